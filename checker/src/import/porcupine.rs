//! The formats of Porcupine's test data.

use super::edn::Reader;
use super::error::ImportError;
use super::event::{Event, kind_of};
use super::jepsen;
use super::value::Value;

/// Reads a log of Jepsen's etcd test: `INFO  jepsen.util - 4 :invoke :write 3` a line, in real-time
/// order. Other lines are an error, but for empty ones.
pub fn read_etcd(text: &str) -> Result<Vec<Event>, ImportError> {
    let lines = (1..).zip(text.lines());
    let events = lines.filter(|(_, line)| !line.trim().is_empty());
    events.map(|(line, text)| etcd_event(line, text)).collect()
}

fn etcd_event(line: u64, text: &str) -> Result<Event, ImportError> {
    let wrong = |what: &str| ImportError::new(line, format!("{what}: {text}"));
    let (_, rest) = text
        .split_once(" - ")
        .filter(|(head, _)| head.starts_with("INFO") && head.ends_with("jepsen.util"))
        .ok_or_else(|| wrong("not a line of jepsen.util"))?;
    let mut reader = Reader::new(rest);
    let mut field = |what: &str| {
        let value = reader.value().map_err(|error| wrong(&error.reason))?;
        value.ok_or_else(|| wrong(&format!("no {what}")))
    };
    let process = match field("process")? {
        Value::Int(process) => Some(process),
        _ => None,
    };
    let kind = field("type")?;
    let kind = kind
        .name()
        .and_then(kind_of)
        .ok_or_else(|| wrong("not a type of event"))?;
    let f = field("function")?;
    let f = f.name().ok_or_else(|| wrong("not a function"))?.into();
    let value = field("value")?;
    Ok(Event {
        line,
        process,
        kind,
        f,
        value,
        key: None,
    })
}

/// Reads a history of the key-value test: one EDN map a line.
pub fn read_kv(text: &str) -> Result<Vec<Event>, ImportError> {
    jepsen::read(text)
}
