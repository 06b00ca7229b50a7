//! The models of [`crate::invariants`]: from a file to outcomes, several of them in one pass.

use crate::clock::Clock;
use crate::import::operations::Dialect;
use crate::import::{Source, SourceError};
use crate::invariants::sessions::Guarantee;
use crate::invariants::{
    Availability, Bank, CounterBounds, FinalSet, Invariant, LongFork, PerKey, Session, SetFull,
    TotalQueue, UnhandledErrors, UniqueIds, run,
};

use super::{Check, Model, Options, Outcome};

/// Makes an invariant.
pub(super) type Make = fn(&Source, &Options) -> Box<dyn Invariant>;

/// What the invariants need to know.
#[derive(Debug, Clone, Default)]
pub struct Invariants {
    /// Values are `[key value]`, and each key is an object of its own.
    pub by_key: bool,
    /// What balances of a bank add up to; without it, what the first read does.
    pub total: Option<i64>,
    /// Balances of a bank may be below zero.
    pub negative_balances: bool,
    /// How many keys each read for long forks has, if it is to be the same.
    pub group_size: Option<usize>,
}

/// A row for each invariant: name, what it is, functions, and how to make it.
pub(super) static MODELS: [Model; 15] = [
    row(
        "final-set",
        "whatever was added is in the last read",
        "add, read",
        |_, _| per_key(|| Box::<FinalSet>::default()),
    ),
    row(
        "set-full",
        "no element is lost, duplicated or made up; staleness is measured",
        "add, read",
        |_, _| per_key(|| Box::<SetFull>::default()),
    ),
    row(
        "set-full-strict",
        "like set-full, and no read is stale",
        "add, read",
        |_, _| per_key(|| Box::new(SetFull::strict())),
    ),
    row(
        "counter-bounds",
        "reads are within what the adds allow",
        "add, read",
        |_, _| per_key(|| Box::<CounterBounds>::default()),
    ),
    row(
        "total-queue",
        "what is enqueued is dequeued, and nothing else",
        "enqueue (put, push), dequeue (take, pop), drain",
        |_, _| per_key(|| Box::<TotalQueue>::default()),
    ),
    row(
        "total-queue-once",
        "like total-queue, and nothing comes out twice",
        "enqueue (put, push), dequeue (take, pop), drain",
        |_, _| per_key(|| Box::new(TotalQueue::once())),
    ),
    row(
        "unique-ids",
        "no identifier is given out twice",
        "generate",
        |_, _| per_key(|| Box::<UniqueIds>::default()),
    ),
    row(
        "bank",
        "balances add up to the same in every read",
        "read of all balances as a map, transfer",
        |_, options| {
            let Invariants {
                total,
                negative_balances: negative,
                ..
            } = options.invariants;
            per_key(move || Box::new(Bank::new(total, negative)))
        },
    ),
    row(
        "long-fork",
        "reads agree about the order of writes; every key is written once",
        "any, with values like [[:r x 1] [:r y nil]] and [[:w x 1]]",
        |_, options| Box::new(LongFork::new(options.invariants.group_size)),
    ),
    row(
        "monotonic-reads",
        "what a process has read, its later reads have",
        SESSIONS,
        |source, _| session(source, Guarantee::MonotonicReads),
    ),
    row(
        "read-your-writes",
        "what a process has written, its later reads have",
        SESSIONS,
        |source, _| session(source, Guarantee::ReadYourWrites),
    ),
    row(
        "monotonic-writes",
        "who sees a process's write sees its earlier ones",
        SESSIONS,
        |source, _| session(source, Guarantee::MonotonicWrites),
    ),
    row(
        "writes-follow-reads",
        "who sees a process's write sees what it had read before",
        SESSIONS,
        |source, _| session(source, Guarantee::WritesFollowReads),
    ),
    row(
        "unhandled-errors",
        "clients know the kind of every error",
        "any",
        |_, _| Box::<UnhandledErrors>::default(),
    ),
    row(
        "availability",
        "every function succeeds at least once; shares, gaps and latencies are measured",
        "any",
        |_, _| Box::<Availability>::default(),
    ),
];

const fn row(
    name: &'static str,
    about: &'static str,
    functions: &'static str,
    make: Make,
) -> Model {
    Model {
        name,
        about,
        functions,
        check: Check::Invariant(make),
    }
}

const SESSIONS: &str =
    "add, read of the whole set; or read, write, delete on keys with one writing process each";

fn per_key(make: impl Fn() -> Box<dyn Invariant> + 'static) -> Box<dyn Invariant> {
    Box::new(PerKey::new(make))
}

fn session(source: &Source, guarantee: Guarantee) -> Box<dyn Invariant> {
    let dialect = Dialect::of(source.format());
    Box::new(Session::new(guarantee, dialect.nil_is_absent))
}

/// Checks an opened history against all of these, in one pass.
pub(super) fn judge(
    source: &Source,
    options: &Options,
    clock: Clock,
    makes: &[Make],
) -> Result<Vec<Outcome>, SourceError> {
    let mut invariants: Vec<_> = makes.iter().map(|make| make(source, options)).collect();
    let mut events = source.events(clock)?;
    let operations = run(&mut events, &mut invariants, options.invariants.by_key)
        .map_err(|error| source.error(error))?;
    let cut_off = source.truncated().or(events.truncated());
    let outcomes = invariants.iter_mut().map(|invariant| {
        let mut outcome = invariant.outcome();
        outcome.operations = operations;
        if let Some(why) = cut_off {
            outcome.cut_off(why.to_owned());
        }
        outcome
    });
    Ok(outcomes.collect())
}
