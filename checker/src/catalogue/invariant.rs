//! The models of [`crate::invariants`]: from a file to outcomes, several of them in one pass.

use std::ops::ControlFlow;

use crate::import::operations::Dialect;
use crate::import::{Source, SourceError};
use crate::invariants::sessions::Guarantee;
use crate::invariants::{
    Availability, Bank, CounterBounds, FinalSet, How, Invariant, LongFork, PerKey, Progress,
    Session, SetFull, TotalQueue, UnhandledErrors, UniqueIds, run,
};

use super::{Model, Options, Outcome};

type Checked = Result<Outcome, SourceError>;
type Make = fn(&Source, &Options) -> Box<dyn Invariant>;

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
    /// Called now and then during the pass; `Break` ends it, with what can be told by then.
    pub progress: Option<fn(Progress) -> ControlFlow<()>>,
}

/// A row for each invariant: name, what it is, functions, and how to make it.
const ROWS: [(&str, &str, &str, Make); COUNT] = [
    (
        "final-set",
        "whatever was added is in the last read",
        "add, read",
        |_, _| per_key(|| Box::<FinalSet>::default()),
    ),
    (
        "set-full",
        "no element is lost, duplicated or made up; staleness is measured",
        "add, read",
        |_, _| per_key(|| Box::<SetFull>::default()),
    ),
    (
        "set-full-strict",
        "like set-full, and no read is stale",
        "add, read",
        |_, _| per_key(|| Box::new(SetFull::strict())),
    ),
    (
        "counter-bounds",
        "reads are within what the adds allow",
        "add, read",
        |_, _| per_key(|| Box::<CounterBounds>::default()),
    ),
    (
        "total-queue",
        "what is enqueued is dequeued, and nothing else",
        "enqueue (put, push), dequeue (take, pop), drain",
        |_, _| per_key(|| Box::<TotalQueue>::default()),
    ),
    (
        "total-queue-once",
        "like total-queue, and nothing comes out twice",
        "enqueue (put, push), dequeue (take, pop), drain",
        |_, _| per_key(|| Box::new(TotalQueue::once())),
    ),
    (
        "unique-ids",
        "no identifier is given out twice",
        "generate",
        |_, _| per_key(|| Box::<UniqueIds>::default()),
    ),
    (
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
    (
        "long-fork",
        "reads agree about the order of writes; every key is written once",
        "any, with values like [[:r x 1] [:r y nil]] and [[:w x 1]]",
        |_, options| Box::new(LongFork::new(options.invariants.group_size)),
    ),
    (
        "monotonic-reads",
        "what a process has read, its later reads have",
        SESSIONS,
        |source, _| session(source, Guarantee::MonotonicReads),
    ),
    (
        "read-your-writes",
        "what a process has written, its later reads have",
        SESSIONS,
        |source, _| session(source, Guarantee::ReadYourWrites),
    ),
    (
        "monotonic-writes",
        "who sees a process's write sees its earlier ones",
        SESSIONS,
        |source, _| session(source, Guarantee::MonotonicWrites),
    ),
    (
        "writes-follow-reads",
        "who sees a process's write sees what it had read before",
        SESSIONS,
        |source, _| session(source, Guarantee::WritesFollowReads),
    ),
    (
        "unhandled-errors",
        "clients know the kind of every error",
        "any",
        |_, _| Box::<UnhandledErrors>::default(),
    ),
    (
        "availability",
        "every function succeeds at least once; shares, gaps and latencies are measured",
        "any",
        |_, _| Box::<Availability>::default(),
    ),
];

const COUNT: usize = 15;

const SESSIONS: &str =
    "add, read of the whole set; or read, write, delete on keys with one writing process each";

fn per_key(make: impl Fn() -> Box<dyn Invariant> + 'static) -> Box<dyn Invariant> {
    Box::new(PerKey::new(make))
}

fn session(source: &Source, guarantee: Guarantee) -> Box<dyn Invariant> {
    let dialect = Dialect::of(source.format());
    Box::new(Session::new(guarantee, dialect.nil_is_absent))
}

/// A row per invariant.
pub(super) static MODELS: [Model; COUNT] = [
    row::<0>(),
    row::<1>(),
    row::<2>(),
    row::<3>(),
    row::<4>(),
    row::<5>(),
    row::<6>(),
    row::<7>(),
    row::<8>(),
    row::<9>(),
    row::<10>(),
    row::<11>(),
    row::<12>(),
    row::<13>(),
    row::<14>(),
];

const fn row<const N: usize>() -> Model {
    Model {
        name: ROWS[N].0,
        about: ROWS[N].1,
        functions: ROWS[N].2,
        check: only::<N>,
    }
}

fn only<const N: usize>(source: &Source, options: &Options) -> Checked {
    let mut outcomes = pass(source, options, &[ROWS[N].3])?;
    Ok(outcomes.remove(0))
}

/// The outcomes of the models of these names, in one pass; `None` for those that are none of this kind.
pub(super) fn together(
    source: &Source,
    options: &Options,
    names: &[&str],
) -> Result<Vec<Option<Outcome>>, SourceError> {
    let of_name = |name: &&str| ROWS.iter().find(|row| row.0 == *name).map(|row| row.3);
    let found: Vec<Option<Make>> = names.iter().map(of_name).collect();
    let makes: Vec<Make> = found.iter().copied().flatten().collect();
    if makes.is_empty() {
        return Ok(vec![None; names.len()]);
    }
    let mut outcomes = pass(source, options, &makes)?.into_iter();
    let outcome = |make: Option<Make>| make.and_then(|_| outcomes.next());
    Ok(found.into_iter().map(outcome).collect())
}

fn pass(source: &Source, options: &Options, makes: &[Make]) -> Result<Vec<Outcome>, SourceError> {
    let mut invariants: Vec<_> = makes.iter().map(|make| make(source, options)).collect();
    let mut events = source.events()?;
    let mut progress = |progress| match options.invariants.progress {
        Some(tell) => tell(progress),
        None => ControlFlow::Continue(()),
    };
    let mut how = How {
        by_key: options.invariants.by_key,
        time: options.time,
        progress: &mut progress,
    };
    let passed =
        run(&mut events, &mut invariants, &mut how).map_err(|error| source.error(error))?;
    let cut_off = source.truncated().or(events.truncated()).map(str::to_owned);
    let outcomes = invariants.iter_mut().map(|invariant| {
        let mut outcome = invariant.outcome();
        outcome.operations = passed.operations;
        match (&passed.stopped, &cut_off) {
            (Some(why), _) | (None, Some(why)) => outcome.cut_off(why.clone()),
            (None, None) => {}
        }
        outcome
    });
    Ok(outcomes.collect())
}
