//! The models of [`crate::linearizability`]: from a file to an outcome.

use std::mem::size_of_val;
use std::ops::ControlFlow;

use serde_json::json;

use crate::clock::{Clock, Progress};
use crate::import::operations::{self, Dialect};
use crate::import::{Event, Format, ImportError, Names, Recorded, Source, SourceError, Value};
use crate::linearizability::models::{
    AppendText, Bag, Counter, FifoQueue, MultiRegister, Mutex, NIL, Register, Set, Stack, TxnOp,
    TxnStep,
};
use crate::linearizability::{
    self as lin, CheckedKey, Limits, Model, check_keyed, check_single, draw, explain,
};
use crate::verdict::Verdict;

use super::{Finding, Options, Outcome};

/// Objects told about at most.
const MAX_FINDINGS: usize = 16;

type Checked = Result<Outcome, SourceError>;

pub(super) fn register(source: &Source, options: &Options, clock: Clock) -> Checked {
    let dialect = Dialect::of(source.format());
    judge(
        source,
        options,
        clock,
        |events, names| operations::register(events, names, dialect),
        |names, _| Register {
            initial: names.number(&initial(source, options)),
        },
    )
}

pub(super) fn multi_register(source: &Source, options: &Options, clock: Clock) -> Checked {
    let dialect = Dialect::of(source.format());
    judge(
        source,
        options,
        clock,
        |events, names| operations::multi_register(events, names, dialect),
        |names, recorded| {
            let initial = names.number(&initial(source, options));
            let operations = recorded.history.operations().iter();
            let mut keys: Vec<i64> = operations.flat_map(|one| keys_of(&one.op.op)).collect();
            keys.sort_unstable();
            keys.dedup();
            MultiRegister {
                initial: keys.into_iter().map(|key| (key, initial)).collect(),
            }
        },
    )
}

fn keys_of(op: &TxnOp) -> impl Iterator<Item = i64> {
    op.0.iter().map(|step| match *step {
        TxnStep::Read(key, _) | TxnStep::Write(key, _) => key,
    })
}

pub(super) fn mutex(source: &Source, options: &Options, clock: Clock) -> Checked {
    judge(source, options, clock, operations::mutex, |_, _| Mutex)
}

pub(super) fn counter(source: &Source, options: &Options, clock: Clock) -> Checked {
    judge(source, options, clock, operations::counter, |_, _| Counter)
}

pub(super) fn set(source: &Source, options: &Options, clock: Clock) -> Checked {
    judge(source, options, clock, operations::set, |_, _| Set)
}

pub(super) fn queue(source: &Source, options: &Options, clock: Clock) -> Checked {
    judge(source, options, clock, operations::put_take, |_, _| Bag)
}

pub(super) fn fifo_queue(source: &Source, options: &Options, clock: Clock) -> Checked {
    judge(source, options, clock, operations::put_take, |_, _| {
        FifoQueue
    })
}

pub(super) fn stack(source: &Source, options: &Options, clock: Clock) -> Checked {
    judge(source, options, clock, operations::put_take, |_, _| Stack)
}

pub(super) fn append_text(source: &Source, options: &Options, clock: Clock) -> Checked {
    judge(source, options, clock, operations::texts, |_, _| AppendText)
}

/// What a register holds at first: as asked for; as the first line says; 0 in EDN, as Knossos has it;
/// else nothing.
fn initial(source: &Source, options: &Options) -> Value {
    if let Some(initial) = &options.initial {
        return initial.clone();
    }
    match source.format() {
        Format::Edn => Value::Int(0),
        Format::Lines => {
            let first = source.text().lines().next().unwrap_or_default();
            let said = first.split(' ').find_map(|word| word.strip_prefix("init="));
            let number = said.and_then(|value| value.parse().ok());
            number.map_or(Value::Nil, Value::Int)
        }
        _ => Value::Nil,
    }
}

/// Reads the operations, decides, and tells what is wrong.
fn judge<M: Model>(
    source: &Source,
    options: &Options,
    clock: Clock,
    read: impl FnOnce(
        &mut dyn Iterator<Item = Result<Event, ImportError>>,
        &mut Names,
    ) -> Result<Recorded<M::Op>, ImportError>,
    model: impl FnOnce(&mut Names, &Recorded<M::Op>) -> M,
) -> Checked
where
    M::State: Send,
{
    let mut names = Names::default();
    let mut events = source.events(clock.for_reading())?;
    let recorded = read(&mut events, &mut names).map_err(|error| source.error(error))?;
    let truncated = source.truncated().or(events.truncated()).map(str::to_owned);
    let model = model(&mut names, &recorded);
    let held_bytes = source.text().len() + size_of_val(recorded.history.operations());
    let tell = |progress: lin::Progress| {
        let progress = Progress::Search {
            returns: progress.returns,
            of: progress.of,
            configurations: progress.configurations,
        };
        match clock.stop(progress) {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    };
    let limits = Limits {
        memory_bytes: options.memory_bytes.saturating_sub(held_bytes),
        time: clock.left(),
        progress: Some(&tell),
        threads: options.threads,
        ..Limits::default()
    };
    let operations = recorded.history.len();
    let Recorded { history, lines } = recorded;
    let keys = match history.into_single() {
        Ok((key, history)) => vec![check_single(&model, key, history, &limits)],
        Err(history) => check_keyed(&model, &history, &limits),
    };
    let place = |moment: u32| lines.get(moment as usize).copied().unwrap_or(0);
    let told = Told {
        model: &model,
        names: &names,
        unit: source.format().unit(),
        place: &place,
    };
    let mut outcome = told.outcome(&keys);
    outcome.operations = operations;
    if let Some(why) = truncated {
        outcome.cut_off(why);
    }
    Ok(outcome)
}

/// What is needed to put a verdict in words.
struct Told<'a, M> {
    model: &'a M,
    names: &'a Names,
    unit: &'static str,
    place: &'a dyn Fn(u32) -> u32,
}

impl<M: Model> Told<'_, M> {
    fn outcome(&self, keys: &[CheckedKey<M::Op, M::State>]) -> Outcome {
        let mut outcome = Outcome {
            method: methods(keys),
            ..Outcome::default()
        };
        let (mut invalid, mut unknown) = (Vec::new(), Vec::new());
        for key in keys {
            match &key.checked.verdict {
                lin::Verdict::Linearizable => {}
                lin::Verdict::NotLinearizable(_) => invalid.push(key),
                lin::Verdict::Unknown(_) => unknown.push(key),
            }
        }
        let count = |bad: &[&CheckedKey<M::Op, M::State>]| match (keys, bad) {
            ([only], [_]) if only.key == NIL => "the history".to_owned(),
            (_, [one]) => format!("1 of {} keys ({})", keys.len(), self.names.name(one.key)),
            _ => format!("{} of {} keys", bad.len(), keys.len()),
        };
        (outcome.verdict, outcome.reason) = if !invalid.is_empty() {
            let what = format!("not linearizable: {}", count(&invalid));
            (Verdict::Invalid, what)
        } else if !unknown.is_empty() {
            (Verdict::Unknown, format!("undecided: {}", count(&unknown)))
        } else if keys.is_empty() {
            let nothing = "no operation in the history says anything".to_owned();
            (Verdict::Unknown, nothing)
        } else {
            (Verdict::Valid, "linearizable".to_owned())
        };
        let findings = invalid.iter().chain(&unknown);
        outcome.findings = findings
            .take(MAX_FINDINGS)
            .map(|key| self.finding(key))
            .collect();
        outcome.findings_left_out = invalid.len() + unknown.len() - outcome.findings.len();
        outcome.facts = json!({
            "keys": keys.len(),
            "not_linearizable": invalid.len(),
            "undecided": unknown.len(),
            "configurations": keys.iter().map(|key| key.checked.configurations).sum::<u64>(),
        });
        outcome
    }

    fn finding(&self, key: &CheckedKey<M::Op, M::State>) -> Finding {
        let about = match key.key {
            NIL => "the history".to_owned(),
            key => format!("key {}", self.names.name(key)),
        };
        let violation = match &key.checked.verdict {
            lin::Verdict::NotLinearizable(violation) => violation,
            lin::Verdict::Unknown(reason) => {
                return Finding {
                    about,
                    reason: format!("undecided: {reason}"),
                    evidence: Vec::new(),
                    facts: json!({"operations": key.history.len()}),
                    drawing: None,
                };
            }
            lin::Verdict::Linearizable => unreachable!("only what is wrong is told"),
        };
        let name = |value| self.names.name(value);
        let told = explain(self.model, &key.history, violation, &name);
        let drawing = Some(draw(&told));
        let told = told.placed(self.unit, self.place);
        Finding {
            about,
            reason: told.reason.clone(),
            evidence: told.evidence(),
            facts: serde_json::to_value(&told).unwrap_or_default(),
            drawing,
        }
    }
}

/// The algorithms that decided, each once.
fn methods<O, S>(keys: &[CheckedKey<O, S>]) -> String {
    let mut methods: Vec<_> = keys.iter().map(|key| key.checked.method).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}
