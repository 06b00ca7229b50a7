//! A cursor over EDN text that builds no values: what is not wanted is skipped over.
//!
//! [`edn`](super::edn) reads any value; histories of transactions are too large for that.

use super::error::ImportError;

/// Values may be nested so deep.
const MAX_DEPTH: usize = 128;

/// Why the cursor stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The text ends in the middle of something.
    End,
    /// The text is no EDN.
    Malformed(ImportError),
}

/// A place in a text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, line: u64) -> Self {
        Cursor { text, at: 0, line }
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> Stop {
        Stop::Malformed(ImportError::new(self.line, reason))
    }

    /// The next byte that is no blank, comma, comment or discarded value; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Stop> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b',' | b'\x0c') => self.at += 1,
                Some(b'\n') => {
                    self.line += 1;
                    self.at += 1;
                }
                Some(b';') => {
                    let rest = &bytes[self.at..];
                    self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                }
                Some(b'#') if bytes.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.skip()?;
                }
                other => return Ok(other.copied()),
            }
        }
    }

    /// The next byte, which must be there.
    pub(super) fn next(&mut self) -> Result<u8, Stop> {
        self.peek()?.ok_or(Stop::End)
    }

    /// Passes one byte that was peeked at.
    pub(super) fn pass(&mut self) {
        self.at += 1;
    }

    /// Enters a vector or list. Says which byte ends it.
    pub(super) fn enter(&mut self) -> Result<Option<u8>, Stop> {
        let close = match self.next()? {
            b'[' => b']',
            b'(' => b')',
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(close))
    }

    /// Whether what was entered goes on; passes its end otherwise.
    pub(super) fn more(&mut self, close: u8) -> Result<bool, Stop> {
        let byte = self.next()?;
        if byte == close {
            self.at += 1;
            return Ok(false);
        }
        if matches!(byte, b')' | b']' | b'}') {
            return Err(self.malformed(format!(
                "{:?} where {:?} should be",
                char::from(byte),
                char::from(close)
            )));
        }
        Ok(true)
    }

    /// The next atom: a number, keyword, symbol, or `nil`. Empty if something else is next.
    pub(super) fn atom(&mut self) -> Result<&'a str, Stop> {
        self.next()?;
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest
            .iter()
            .position(|byte| is_delimiter(*byte))
            .unwrap_or(rest.len());
        if length == rest.len() {
            // There may have been more of it.
            return Err(Stop::End);
        }
        let atom = &self.text[self.at..self.at + length];
        self.at += length;
        Ok(atom)
    }

    /// The next value, if it is an integer of 64 bits.
    pub(super) fn integer(&mut self) -> Result<Option<i64>, Stop> {
        self.next()?;
        let bytes = self.text.as_bytes();
        let negative = bytes[self.at] == b'-';
        let mut at = self.at + usize::from(negative);
        let first = at;
        let mut value: i64 = 0;
        while let Some(digit) = bytes
            .get(at)
            .map(|b| b.wrapping_sub(b'0'))
            .filter(|d| *d < 10)
        {
            let next = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(i64::from(digit)));
            let Some(next) = next else {
                return Ok(None);
            };
            value = next;
            at += 1;
        }
        let Some(after) = bytes.get(at) else {
            return Err(Stop::End);
        };
        if at == first || !is_delimiter(*after) {
            return Ok(None);
        }
        self.at = at;
        Ok(Some(if negative { -value } else { value }))
    }

    /// Skips a value and returns its text.
    pub(super) fn skip(&mut self) -> Result<&'a str, Stop> {
        self.next()?;
        let from = self.at;
        let mut depth = 0;
        loop {
            let byte = self.next()?;
            match byte {
                b'[' | b'(' | b'{' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(
                            self.malformed(format!("values nested more than {MAX_DEPTH} deep"))
                        );
                    }
                    self.at += 1;
                }
                b']' | b')' | b'}' => {
                    if depth == 0 {
                        return Err(
                            self.malformed(format!("{:?} without a beginning", char::from(byte)))
                        );
                    }
                    depth -= 1;
                    self.at += 1;
                }
                b'"' => self.string()?,
                b'\\' => {
                    let rest = &self.text[self.at + 1..];
                    self.at += 1 + rest.chars().next().map_or(0, char::len_utf8);
                    self.atom_rest();
                }
                b'#' => {
                    // A set, or a tag before a value.
                    self.at += 1;
                    if self.text.as_bytes().get(self.at) != Some(&b'{') {
                        self.atom_rest();
                    }
                    continue;
                }
                _ => {
                    self.atom()?;
                }
            }
            if depth == 0 {
                return Ok(&self.text[from..self.at]);
            }
        }
    }

    fn atom_rest(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest
            .iter()
            .position(|byte| is_delimiter(*byte))
            .unwrap_or(rest.len());
    }

    fn string(&mut self) -> Result<(), Stop> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.at += 1,
                b'\n' => self.line += 1,
                _ => {}
            }
        }
        Err(Stop::End)
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\n'
            | b'\t'
            | b'\r'
            | b'\x0c'
            | b','
            | b';'
            | b'('
            | b')'
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'"'
    )
}
