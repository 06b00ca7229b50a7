//! An event of a foreign history.

use crate::history::EventKind;

use super::value::Value;

/// An invocation or completion by a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its line, from 1; in Arrow files its number.
    pub line: u64,
    /// The client; `None` for anybody else, such as the nemesis.
    pub process: Option<i64>,
    /// Which operation it belongs to, in formats that say; in others, a process has one at a time.
    pub op: Option<u64>,
    /// Invocation or completion.
    pub kind: EventKind,
    /// The function.
    pub f: Box<str>,
    /// Arguments, with results in completions.
    pub value: Value,
    /// The key, in formats that have one beside the value.
    pub key: Option<Value>,
    /// When, in nanoseconds since some moment of its own, in formats that say.
    pub time_ns: Option<u64>,
    /// What went wrong, in completions that say: a keyword or `[:keyword ...]` where the client knows what
    /// it is, a text where it does not.
    pub error: Option<Value>,
}

/// The event kind of a word.
pub(super) fn kind_of(word: &str) -> Option<EventKind> {
    Some(match word {
        "invoke" => EventKind::Invoke,
        "ok" => EventKind::Ok,
        "fail" => EventKind::Fail,
        "info" => EventKind::Info,
        _ => return None,
    })
}
