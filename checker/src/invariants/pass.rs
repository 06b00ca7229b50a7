//! One pass over a history that feeds any number of invariants.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::{Invariant, Moment};
use crate::history::EventKind;
use crate::import::{Event, ImportError, Value};

/// Events between two looks at the clock.
const STRIDE: u32 = 1024;

/// How to go through a history.
pub struct How<'a> {
    /// Values are `[key value]`, as in Jepsen's independent histories.
    pub by_key: bool,
    /// Time after which the pass stops.
    pub time: Option<Duration>,
    /// Called now and then; `Break` stops the pass.
    pub progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

/// How far a pass has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Events read.
    pub events: u32,
    /// Time since the pass began.
    pub elapsed: Duration,
}

/// What a pass went through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Operations called.
    pub operations: usize,
    /// Why it stopped before the end, if it did.
    pub stopped: Option<String>,
}

/// What belongs together: the operation where the format names it, else the process.
#[derive(PartialEq, Eq, Hash)]
enum Token {
    Operation(u64),
    Process(i64),
}

/// Feeds the events of clients to all invariants. O(events) beside what they do; memory for the calls
/// in flight.
///
/// # Errors
/// [`ImportError`] for events that make no sense, or are no operations of one of the invariants.
pub fn run(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    invariants: &mut [Box<dyn Invariant>],
    how: &mut How<'_>,
) -> Result<Passed, ImportError> {
    let begun = Instant::now();
    let mut passed = Passed::default();
    let mut in_flight: HashMap<Token, Moment> = HashMap::new();
    for (at, event) in (0_u32..).zip(events) {
        if at.is_multiple_of(STRIDE)
            && let Some(why) = stop(at, begun, how)
        {
            passed.stopped = Some(why);
            break;
        }
        let event = event?;
        let Some(process) = event.process else {
            continue;
        };
        let token = event.op.map_or(Token::Process(process), Token::Operation);
        let mut moment = Moment { at, event };
        if moment.event.kind == EventKind::Invoke {
            if how.by_key {
                untuple(&mut moment)?;
            }
            for invariant in &mut *invariants {
                invariant.called(&moment)?;
            }
            passed.operations += 1;
            let line = moment.event.line;
            if let Some(earlier) = in_flight.insert(token, moment) {
                let earlier = earlier.event.line;
                let reason = format!("called again before an answer (line {earlier})");
                return Err(ImportError::new(line, reason));
            }
            continue;
        }
        let Some(call) = in_flight.remove(&token) else {
            return super::wrong(&moment, "a completion without invocation");
        };
        if call.event.f != moment.event.f {
            return super::wrong(&moment, "it completes another function than was invoked");
        }
        if how.by_key && moment.event.value != Value::Nil {
            untuple(&mut moment)?;
        }
        for invariant in &mut *invariants {
            invariant.answered(&call, &moment)?;
        }
    }
    Ok(passed)
}

fn stop(events: u32, begun: Instant, how: &mut How<'_>) -> Option<String> {
    let elapsed = begun.elapsed();
    if how.time.is_some_and(|limit| elapsed >= limit) {
        return Some(format!("the time limit was reached after {events} events"));
    }
    let goes_on = (how.progress)(Progress { events, elapsed });
    let stopped = goes_on.is_break();
    stopped.then(|| format!("it was stopped after {events} events"))
}

fn untuple(moment: &mut Moment) -> Result<(), ImportError> {
    match &moment.event.value {
        Value::Vector(items) | Value::List(items) if items.len() == 2 => {
            let (key, value) = (items[0].clone(), items[1].clone());
            (moment.event.key, moment.event.value) = (Some(key), value);
            Ok(())
        }
        _ => super::wrong(moment, "not [key value]"),
    }
}
