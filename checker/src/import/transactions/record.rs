//! One operation as it stands in a history, as far as it concerns transactions.

use crate::history::EventKind;
use crate::import::event::kind_of;
use crate::import::scan::{Cursor, Stop};

#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: EventKind,
    /// The numbered process that did it, if one did.
    pub(super) process: Option<i64>,
    pub(super) index: Option<i64>,
    pub(super) value: Option<Text<'a>>,
}

/// The text of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    /// The line it begins on.
    pub(super) line: u64,
}

impl<'a> Record<'a> {
    /// Reads one from its brace on.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Stop> {
        cursor.pass();
        let mut kind = None;
        let (mut process, mut index, mut value) = (None, None, None);
        while cursor.more(b'}')? {
            match cursor.atom()? {
                ":type" => {
                    let word = cursor.atom()?;
                    kind = word.strip_prefix(':').and_then(kind_of);
                    if kind.is_none() {
                        return Err(cursor.malformed(format!("{word} is no type of operation")));
                    }
                }
                ":process" => process = integer_or_nothing(cursor)?,
                ":index" => index = integer_or_nothing(cursor)?,
                ":value" => {
                    cursor.next()?;
                    let line = cursor.line();
                    let text = cursor.skip()?;
                    value = (text != "nil").then_some(Text { text, line });
                }
                "" => {
                    cursor.skip()?;
                    cursor.skip()?;
                }
                _ => {
                    cursor.skip()?;
                }
            }
        }
        let kind = kind.ok_or_else(|| cursor.malformed("an operation without :type"))?;
        Ok(Record {
            kind,
            process,
            index,
            value,
        })
    }
}

/// An integer; anything else is passed over.
fn integer_or_nothing(cursor: &mut Cursor<'_>) -> Result<Option<i64>, Stop> {
    let integer = cursor.integer()?;
    if integer.is_none() {
        cursor.skip()?;
    }
    Ok(integer)
}
