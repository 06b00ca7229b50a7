//! Invocations that wait for their completions.

use hashbrown::HashMap;

use crate::import::scan::{Cursor, Stop};

use super::record::Text;

/// An invocation that waits for its completion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Invoked<'a> {
    pub(super) process: i64,
    /// Its place among all events.
    pub(super) at: u32,
    pub(super) index: Option<i64>,
    pub(super) value: Option<Text<'a>>,
}

/// Those that wait, by process.
#[derive(Debug, Default)]
pub(super) struct Waiting<'a>(HashMap<i64, Vec<Invoked<'a>>>);

impl<'a> Waiting<'a> {
    pub(super) fn add(&mut self, invoked: Invoked<'a>) {
        self.0.entry(invoked.process).or_default().push(invoked);
    }

    /// Takes the invocation that a completion belongs to: where a process did not wait, the first of
    /// the same transaction.
    pub(super) fn take(
        &mut self,
        process: i64,
        completed: Option<Text<'a>>,
    ) -> Option<Invoked<'a>> {
        let waiting = self.0.get_mut(&process)?;
        let last = waiting.len().checked_sub(1)?;
        let first = match completed {
            Some(completed) if last > 0 => waiting.iter().position(|invoked| {
                let value = invoked.value;
                value.is_some_and(|value| same_transaction(value.text, completed.text))
            }),
            _ => None,
        };
        Some(waiting.remove(first.unwrap_or(last)))
    }

    /// Takes those that were never completed, in their order.
    pub(super) fn take_rest(&mut self) -> Vec<Invoked<'a>> {
        let mut rest: Vec<_> = self.0.drain().flat_map(|(_, waiting)| waiting).collect();
        rest.sort_unstable_by_key(|invoked| invoked.at);
        rest
    }
}

/// Whether two texts are the same transaction but for what its reads saw.
fn same_transaction(a: &str, b: &str) -> bool {
    matches!((asked(a), asked(b)), (Ok(a), Ok(b)) if a == b)
}

/// The operations of a transaction, without what its reads saw.
fn asked(text: &str) -> Result<Vec<Vec<&str>>, Stop> {
    let mut cursor = Cursor::new(text, 1);
    let mut asked = Vec::new();
    let Some(close) = cursor.enter()? else {
        return Ok(asked);
    };
    while cursor.more(close)? {
        let Some(close) = cursor.enter()? else {
            return Ok(asked);
        };
        let mut parts = Vec::new();
        while cursor.more(close)? {
            parts.push(cursor.skip()?);
        }
        if parts.first() == Some(&":r") {
            parts.truncate(2);
        }
        asked.push(parts);
    }
    Ok(asked)
}
