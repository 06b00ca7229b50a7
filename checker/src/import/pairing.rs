//! Invocations and completions put together, by object.

use hashbrown::HashMap;

use crate::history::EventKind;
use crate::linearizability::models::NIL;
use crate::linearizability::{Called, History, HistoryBuilder, Keyed};

use super::error::ImportError;
use super::event::Event;
use super::names::Names;
use super::value::Value;

/// What an operation says, if anything.
type Said<O> = Result<Option<O>, ImportError>;

/// Operations as they stand in a file.
#[derive(Debug, Clone)]
pub struct Recorded<O> {
    /// The operations, by object; where the history has no keys, there is one object, [`NIL`].
    pub history: History<Keyed<O>>,
    /// The line of each moment of the history.
    pub lines: Vec<u32>,
}

impl<O> Recorded<O> {
    /// The line of a moment, from 1; 0 if there is no such moment.
    pub fn line(&self, moment: u32) -> u32 {
        self.lines.get(moment as usize).copied().unwrap_or(0)
    }
}

/// Where the key of an operation may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Beside the value only.
    Beside,
    /// Beside the value, or, as Jepsen does it, in it: `[key value]`. The first operation shows which:
    /// what it reads or writes is `[key value]` then.
    InValue,
}

/// What belongs together: the operation where the format names it, else the process.
#[derive(PartialEq, Eq, Hash)]
enum Token {
    Operation(u64),
    Process(i64),
}

/// Pairs invocations with completions. `open` says what an operation counts as if it never returns,
/// `done` what it counts as once it has returned, `ok` or `fail`.
pub(super) fn pair<O: Clone>(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    names: &mut Names,
    keys: Keys,
    open: impl Fn(&Event, &mut Names) -> Said<O>,
    done: impl Fn(&Event, &Event, &mut Names) -> Said<O>,
) -> Result<Recorded<O>, ImportError> {
    let mut builder: HistoryBuilder<Option<Keyed<O>>> = HistoryBuilder::default();
    let mut pending: HashMap<Token, (Called, Event, i64)> = HashMap::new();
    let mut lines = Vec::new();
    let mut tuples = match keys {
        Keys::Beside => Some(false),
        Keys::InValue => None,
    };
    for event in events {
        let mut event = event?;
        let Some(process) = event.process else {
            continue;
        };
        let token = event.op.map_or(Token::Process(process), Token::Operation);
        let line = u32::try_from(event.line).unwrap_or(u32::MAX);
        if event.kind == EventKind::Invoke {
            if event.key.is_none() && *tuples.get_or_insert_with(|| is_tuple(&event)) {
                let (key, value) = untuple(&event)?;
                (event.key, event.value) = (Some(key), value);
            }
            let key = event.key.as_ref().map_or(NIL, |key| names.number(key));
            let op = open(&event, names)?.map(|op| Keyed { key, op });
            let called = builder.call(process, op);
            lines.push(line);
            if let Some((_, earlier, _)) = pending.insert(token, (called, event, key)) {
                let reason = match earlier.op {
                    Some(_) => "an operation of its number was invoked before",
                    None => "its process has not completed its last operation",
                };
                let earlier = format!("{reason} (line {})", earlier.line);
                return Err(ImportError::new(u64::from(line), earlier));
            }
            continue;
        }
        let Some((called, invoked, key)) = pending.remove(&token) else {
            return Err(wrong(&event, "a completion without invocation"));
        };
        if invoked.f != event.f {
            return Err(wrong(
                &event,
                "it completes another function than was invoked",
            ));
        }
        if event.kind == EventKind::Info {
            continue;
        }
        if tuples == Some(true) && event.key.is_none() && event.value != Value::Nil {
            event.value = untuple(&event)?.1;
        }
        match done(&invoked, &event, names)? {
            Some(op) => builder.ret(called, Some(Keyed { key, op })),
            None => builder.forget(called),
        }
        lines.push(line);
    }
    Ok(Recorded {
        history: builder.finish().flatten(),
        lines,
    })
}

/// Whether the value of an invocation is a key and what belongs to it.
fn is_tuple(event: &Event) -> bool {
    match event.value.items() {
        // A compare-and-set has two values of its own.
        Some([_, value]) if &*event.f == "cas" => value.items().is_some(),
        Some([_, _]) => true,
        _ => false,
    }
}

fn untuple(event: &Event) -> Result<(Value, Value), ImportError> {
    match event.value.items() {
        Some([key, value]) => Ok((key.clone(), value.clone())),
        _ => Err(wrong(
            event,
            "not [key value], as the operations before have it",
        )),
    }
}

pub(super) fn wrong(event: &Event, reason: &str) -> ImportError {
    let process = event.process.map_or("?".to_owned(), |p| p.to_string());
    ImportError::new(
        event.line,
        format!("{reason}: process {process} {} {}", event.f, event.value),
    )
}

pub(super) fn unknown<T>(event: &Event) -> Result<T, ImportError> {
    Err(wrong(event, "not an operation of this type"))
}
