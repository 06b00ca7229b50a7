//! Histories of transactions as Jepsen and Elle write them: operations whose value is a transaction,
//! `[[:append :x 1] [:r :y [2 3]]]` over lists or `[[:w :x 1] [:r :y 2]]` over registers.
//!
//! Linear time. Needs little more memory than the text and the transactions: values of invocations are
//! looked at only if there is no completion that has one.

mod contents;
mod record;
#[cfg(test)]
mod tests;
mod waiting;

use crate::clock::{Clock, Progress};
use crate::history::EventKind;
use crate::isolation::{Dictionary, NONE, Outcome, Transactions, Workload};

use self::contents::Contents;
use self::record::Record;
use self::waiting::{Invoked, Waiting};
use super::error::ImportError;
use super::scan::{Cursor, Stop};

/// To check a history takes so many times the memory that the history takes.
const TIMES: usize = 4;

/// Events between two looks at memory and clock.
const STRIDE: u32 = 1024;

/// A history of transactions that was read.
#[derive(Debug)]
pub struct Imported {
    /// The transactions.
    pub history: Transactions,
    /// The names of keys and values.
    pub names: Dictionary,
    /// Why the end is missing, if it is; the history goes up to there.
    pub cut_off: Option<String>,
}

/// What the transactions in a text work on, by the first operation that says so.
pub fn workload_of(text: &str) -> Option<Workload> {
    let at = |word: &str| text.find(word).unwrap_or(usize::MAX);
    let (append, write) = (at(":append "), at("[:w "));
    match append.cmp(&write) {
        std::cmp::Ordering::Less => Some(Workload::ListAppend),
        std::cmp::Ordering::Greater => Some(Workload::RwRegister),
        std::cmp::Ordering::Equal => None,
    }
}

/// Reads a text. Completions need no invocations; operations of anything but numbered processes are
/// left out.
///
/// A history that would take more than `limit_bytes` to read and to check is an error. When the clock stops,
/// the rest is left out.
pub fn read(
    text: &str,
    workload: Workload,
    limit_bytes: usize,
    clock: Clock,
) -> Result<Imported, ImportError> {
    let mut reader = Reader {
        limit_bytes,
        contents: Contents::new(workload),
        waiting: Waiting::default(),
        events: 0,
        clock,
        stopped: None,
    };
    let mut cursor = Cursor::new(text, 1);
    let cut_off = match reader.operations(&mut cursor) {
        Ok(()) => reader.stopped.take(),
        Err(Stop::End) => Some(format!(
            "line {}: the file ends in the middle of an operation",
            cursor.line()
        )),
        Err(Stop::Malformed(error)) => return Err(error),
    };
    reader.never_completed()?;
    Ok(Imported {
        history: reader.contents.builder.finish(),
        names: reader.contents.names,
        cut_off,
    })
}

struct Reader<'a> {
    limit_bytes: usize,
    contents: Contents,
    waiting: Waiting<'a>,
    events: u32,
    clock: Clock,
    /// Why the clock stopped, if it did.
    stopped: Option<String>,
}

impl<'a> Reader<'a> {
    fn operations(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Stop> {
        let mut inside = None;
        while self.stopped.is_none() && self.step(cursor, &mut inside)? {}
        Ok(())
    }

    /// Reads what comes next; `false` at the end. `inside`: what ends the vector we are in.
    fn step(&mut self, cursor: &mut Cursor<'a>, inside: &mut Option<u8>) -> Result<bool, Stop> {
        match (cursor.peek()?, *inside) {
            (None, None) => return Ok(false),
            (None, Some(_)) => return Err(Stop::End),
            (byte, close) if byte == close => {
                cursor.pass();
                *inside = None;
            }
            (Some(b'[' | b'('), None) => *inside = cursor.enter()?,
            (Some(b'#'), _) => {
                // The tag of a record: #jepsen.history.Op{...}.
                cursor.pass();
                let at = cursor.line();
                while cursor.next()? != b'{' {
                    if cursor.atom()?.is_empty() || cursor.line() != at {
                        return Err(cursor.malformed("a tag without an operation"));
                    }
                }
            }
            (Some(b'{'), _) => {
                let record = Record::read(cursor)?;
                if let Some(process) = record.process {
                    self.event(process, record, cursor)?;
                }
            }
            _ => return Err(cursor.malformed("not an operation")),
        }
        Ok(true)
    }

    fn event(&mut self, process: i64, record: Record<'a>, cursor: &Cursor<'a>) -> Result<(), Stop> {
        let at = self.events;
        if at == NONE - 1 {
            return Err(cursor.malformed("more operations than can be numbered"));
        }
        self.events += 1;
        if at.is_multiple_of(STRIDE) {
            if self.contents.builder.bytes() > self.limit_bytes / TIMES {
                return Err(Stop::Malformed(ImportError::too_large(cursor.line())));
            }
            self.stopped = self.clock.stop(Progress::Events(at));
            if self.stopped.is_some() {
                return Ok(());
            }
        }
        let Record { index, value, .. } = record;
        let outcome = match record.kind {
            EventKind::Invoke => {
                self.waiting.add(Invoked {
                    process,
                    at,
                    index,
                    value,
                });
                return Ok(());
            }
            EventKind::Ok => Outcome::Committed,
            EventKind::Fail => Outcome::Aborted,
            EventKind::Info => Outcome::Open,
        };
        let invoked = self.waiting.take(process, value);
        let label = index.unwrap_or_else(|| at.into());
        let value = value.or(invoked.and_then(|invoked| invoked.value));
        let invoked = invoked.map_or(NONE, |invoked| invoked.at);
        let builder = &mut self.contents.builder;
        builder.begin(label, process, outcome, invoked, at);
        value.map_or(Ok(()), |value| self.contents.read(value))
    }

    fn never_completed(&mut self) -> Result<(), ImportError> {
        for invoked in self.waiting.take_rest() {
            let Invoked {
                process, at, value, ..
            } = invoked;
            let label = invoked.index.unwrap_or_else(|| at.into());
            let builder = &mut self.contents.builder;
            builder.begin(label, process, Outcome::Open, at, NONE);
            let read = value.map_or(Ok(()), |value| self.contents.read(value));
            if let Err(Stop::Malformed(error)) = read {
                return Err(error);
            }
        }
        Ok(())
    }
}
