//! What transactions do, from the texts that say it.

use crate::import::scan::{Cursor, Stop};
use crate::isolation::{Builder, Dictionary, NIL, Workload};

use super::record::Text;

/// Transactions as far as they are read, and the names in them.
pub(super) struct Contents {
    pub(super) builder: Builder,
    pub(super) names: Dictionary,
    workload: Workload,
    /// The list that was read last.
    elements: Vec<i64>,
}

impl Contents {
    pub(super) fn new(workload: Workload) -> Self {
        Self {
            builder: Builder::default(),
            names: Dictionary::default(),
            workload,
            elements: Vec::new(),
        }
    }

    /// Reads the operations of the transaction that was begun last.
    pub(super) fn read(&mut self, value: Text<'_>) -> Result<(), Stop> {
        let mut cursor = Cursor::new(value.text, value.line);
        let Some(close) = cursor.enter()? else {
            return Err(cursor.malformed(format!("not a transaction: {}", cut(value.text))));
        };
        while cursor.more(close)? {
            self.operation(&mut cursor, value.text)?;
        }
        Ok(())
    }

    fn operation(&mut self, cursor: &mut Cursor<'_>, whole: &str) -> Result<(), Stop> {
        let wrong = |cursor: &Cursor<'_>| {
            cursor.malformed(format!(
                "not a transaction over {}: {}",
                match self.workload {
                    Workload::ListAppend => "lists",
                    Workload::RwRegister => "registers",
                },
                cut(whole)
            ))
        };
        let Some(close) = cursor.enter()? else {
            return Err(wrong(cursor));
        };
        let f = cursor.atom()?;
        let write = match (f, self.workload) {
            (":r", _) => false,
            (":append", Workload::ListAppend) | (":w", Workload::RwRegister) => true,
            _ => return Err(wrong(cursor)),
        };
        let key = match cursor.integer()? {
            Some(key) => self.names.integer_key(key),
            None => self.names.key(cursor.skip()?),
        };
        let absent = !cursor.more(close)?;
        if absent && write {
            return Err(wrong(cursor));
        }
        if write {
            let value = self.value(cursor)?;
            self.builder.write(key, value);
        } else if self.workload == Workload::RwRegister {
            let value = if absent { NIL } else { self.value(cursor)? };
            self.builder.read_register(key, value);
        } else {
            self.elements.clear();
            if !absent {
                self.list(cursor)?;
            }
            self.builder.read_list(key, &self.elements);
        }
        if !absent && cursor.more(close)? {
            return Err(
                cursor.malformed(format!("an operation with too many parts: {}", cut(whole)))
            );
        }
        Ok(())
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<i64, Stop> {
        if let Some(value) = cursor
            .integer()?
            .and_then(|value| self.names.integer(value))
        {
            return Ok(value);
        }
        Ok(match cursor.skip()? {
            "nil" => NIL,
            text => self.names.value(text),
        })
    }

    fn list(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let Some(close) = cursor.enter()? else {
            return match cursor.skip()? {
                "nil" => Ok(()),
                text => Err(cursor.malformed(format!("not a list: {}", cut(text)))),
            };
        };
        while cursor.more(close)? {
            let value = self.value(cursor)?;
            self.elements.push(value);
        }
        Ok(())
    }
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
