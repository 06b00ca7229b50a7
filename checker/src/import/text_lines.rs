//! Lines of text with their numbers, for formats with one event a line.

use super::error::ImportError;
use super::event::Event;

/// The lines of a text that are not empty.
#[derive(Debug, Clone)]
pub(super) struct TextLines<'a> {
    rest: &'a str,
    line: u64,
}

impl<'a> TextLines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        TextLines {
            rest: text,
            line: 0,
        }
    }

    /// The event of the next line that is not empty. An error in a last line that does not end says that
    /// the text is cut off.
    pub(super) fn next_event(
        &mut self,
        event: impl Fn(u64, &str) -> Result<Event, ImportError>,
    ) -> Option<Result<Event, ImportError>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            self.line += 1;
            let (line, ended) = match self.rest.split_once('\n') {
                Some((line, rest)) => {
                    self.rest = rest;
                    (line, true)
                }
                None => (std::mem::take(&mut self.rest), false),
            };
            if line.trim().is_empty() {
                continue;
            }
            let found = event(self.line, line.trim());
            return Some(match found {
                Err(error) if !ended => Err(ImportError::cut_off(
                    error.line,
                    format!("the last line, {}, is cut off", error.line),
                )),
                found => found,
            });
        }
    }
}
