//! One pass over a history that feeds any number of invariants.

use hashbrown::HashMap;

use super::{Invariant, Moment};
use crate::history::EventKind;
use crate::import::{Event, ImportError, Value};

/// What belongs together: the operation where the format names it, else the process.
#[derive(PartialEq, Eq, Hash)]
enum Token {
    Operation(u64),
    Process(i64),
}

/// Feeds the events of clients to all invariants. `by_key`: values are `[key value]`, as in Jepsen's
/// independent histories. Returns how many operations were called. O(events) beside what they do; memory for
/// the calls in flight.
///
/// # Errors
/// [`ImportError`] for events that make no sense, or are no operations of one of the invariants.
pub fn run(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    invariants: &mut [Box<dyn Invariant>],
    by_key: bool,
) -> Result<usize, ImportError> {
    let mut operations = 0;
    let mut in_flight: HashMap<Token, Moment> = HashMap::new();
    for (at, event) in (0_u32..).zip(events) {
        let event = event?;
        let Some(process) = event.process else {
            continue;
        };
        let token = event.op.map_or(Token::Process(process), Token::Operation);
        let mut moment = Moment { at, event };
        if moment.event.kind == EventKind::Invoke {
            if by_key {
                untuple(&mut moment)?;
            }
            for invariant in &mut *invariants {
                invariant.called(&moment)?;
            }
            operations += 1;
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
        if by_key && moment.event.value != Value::Nil {
            untuple(&mut moment)?;
        }
        for invariant in &mut *invariants {
            invariant.answered(&call, &moment)?;
        }
    }
    Ok(operations)
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
