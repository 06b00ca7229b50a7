//! The events of a history in any format, one after the other.

use std::mem::size_of;

use crate::clock::{Clock, Progress};
use crate::history::{EventKind, HistoryReader};

use super::error::{ImportError, Problem};
use super::event::Event;
use super::format::Format;
use super::{jepsen, lines, porcupine, recorded};

/// Reads events. A history that is cut off ends like any other, and so it does when the clock stops, but
/// [`truncated`](Self::truncated) tells.
pub struct Events<'a> {
    of: Of<'a>,
    truncated: Option<String>,
    /// Memory that what is made of the events may still take, in bytes.
    left_bytes: usize,
    clock: Clock,
    read: u32,
}

/// Events between two looks at the clock.
const STRIDE: u32 = 1024;

enum Of<'a> {
    Arrow(Box<recorded::Arrow>),
    JsonLines(recorded::JsonLines<'a>),
    Edn(jepsen::Events<'a>),
    EtcdLog(porcupine::EtcdLog<'a>),
    Lines(lines::Lines<'a>),
    Done,
}

impl<'a> Events<'a> {
    pub(super) fn of_text(format: Format, text: &'a str, left_bytes: usize, clock: Clock) -> Self {
        let of = match format {
            Format::Arrow => Of::Done,
            Format::JsonLines => Of::JsonLines(recorded::JsonLines::new(text)),
            Format::Edn => Of::Edn(jepsen::Events::new(text)),
            Format::EtcdLog => Of::EtcdLog(porcupine::EtcdLog::new(text)),
            Format::Lines => Of::Lines(lines::Lines::new(text)),
        };
        Events::new(of, left_bytes, clock)
    }

    pub(super) fn of_arrow(reader: HistoryReader, left_bytes: usize, clock: Clock) -> Self {
        let of = Of::Arrow(Box::new(recorded::Arrow::new(reader)));
        Events::new(of, left_bytes, clock)
    }

    fn new(of: Of<'a>, left_bytes: usize, clock: Clock) -> Self {
        Events {
            of,
            truncated: None,
            left_bytes,
            clock,
            read: 0,
        }
    }

    /// Why the end is missing, if it is; known once the last event was read.
    pub fn truncated(&self) -> Option<&str> {
        self.truncated.as_deref()
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.is_multiple_of(STRIDE)
            && !matches!(self.of, Of::Done)
            && let Some(why) = self.clock.stop(Progress::Events(self.read))
        {
            self.truncated = Some(why);
            self.of = Of::Done;
        }
        self.read = self.read.wrapping_add(1);
        let next = match &mut self.of {
            Of::Arrow(events) => events.next(),
            Of::JsonLines(events) => events.next(),
            Of::Edn(events) => events.next(),
            Of::EtcdLog(events) => events.next(),
            Of::Lines(events) => events.next(),
            Of::Done => None,
        };
        match next {
            Some(Err(error)) if error.problem == Problem::CutOff => {
                self.truncated = Some(error.reason);
                self.of = Of::Done;
                None
            }
            Some(Ok(event)) => {
                // Whoever reads them keeps about as much of each invocation.
                let bytes = match event.kind {
                    EventKind::Invoke => size_of::<Event>() + event.value.heap_bytes(),
                    _ => event.value.heap_bytes(),
                };
                match self.left_bytes.checked_sub(bytes) {
                    Some(left) => self.left_bytes = left,
                    None => return Some(Err(ImportError::too_large(event.line))),
                }
                Some(Ok(event))
            }
            next => next,
        }
    }
}
