//! A plain form for large histories of registers: `i|o|f|n PROCESS r|w|c KEY VALUE [VALUE]` a line, for
//! invocation, ok, fail and no answer of a read, write or compare-and-set; `nil` and `-` for no value. A
//! line that begins with `#` is a comment.

use crate::history::EventKind;

use super::error::ImportError;
use super::event::Event;
use super::text_lines::TextLines;
use super::value::Value;

/// Reads the events of a text. Linear time.
#[derive(Debug, Clone)]
pub struct Lines<'a>(TextLines<'a>);

impl<'a> Lines<'a> {
    /// The events of this text.
    pub fn new(text: &'a str) -> Self {
        Lines(TextLines::new(text))
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Event, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_event(event)
    }
}

fn event(line: u64, text: &str) -> Result<Event, ImportError> {
    let wrong = |what: &str| ImportError::new(line, format!("{what}: {text}"));
    let mut event = Event {
        line,
        process: None,
        op: None,
        kind: EventKind::Info,
        f: "comment".into(),
        value: Value::Nil,
        key: None,
        time_ns: None,
        error: None,
    };
    if text.starts_with('#') {
        return Ok(event);
    }
    let mut words = text.split_ascii_whitespace();
    event.kind = match words.next() {
        Some("i") => EventKind::Invoke,
        Some("o") => EventKind::Ok,
        Some("f") => EventKind::Fail,
        Some("n") => EventKind::Info,
        _ => return Err(wrong("not i, o, f or n")),
    };
    let integer = |word: Option<&str>| word.and_then(|word| word.parse().ok());
    event.process = Some(integer(words.next()).ok_or_else(|| wrong("not a process"))?);
    event.f = match words.next() {
        Some("r") => "read".into(),
        Some("w") => "write".into(),
        Some("c") => "cas".into(),
        _ => return Err(wrong("not r, w or c")),
    };
    event.key = Some(Value::Int(
        integer(words.next()).ok_or_else(|| wrong("not a key"))?,
    ));
    let mut value = || match words.next() {
        None | Some("-" | "nil") => Ok(Value::Nil),
        word => integer(word)
            .map(Value::Int)
            .ok_or_else(|| wrong("not a value")),
    };
    event.value = match &*event.f {
        "cas" => Value::Vector(vec![value()?, value()?]),
        _ => value()?,
    };
    Ok(event)
}
