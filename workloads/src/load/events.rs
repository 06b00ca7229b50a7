//! From operations to the rows of the history: one operation per document, also for batches.
//! The run loop adds the times.

use std::borrow::Cow;

use shakedown_checker::history::{Event, EventKind, Process};

use crate::client::Completion;
use crate::operation::Operation;

/// What all rows of one request have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// What was asked.
    pub(super) operation: &'a Operation,
    /// Number of its first document's operation; the others follow.
    pub(super) first_op: u64,
    /// Who asked.
    pub(super) process: Process,
}

/// Operations in a request: documents written, or one read.
pub(super) fn operations(operation: &Operation) -> u64 {
    match operation {
        Operation::Put(writes) | Operation::Delete(writes) => writes.len() as u64,
        Operation::Read { .. } => 1,
    }
}

impl<'a> Request<'a> {
    /// Its invocations.
    pub(super) fn invocations(self) -> impl Iterator<Item = Event> + 'a {
        self.rows(EventKind::Invoke, None)
    }

    /// Its completions.
    pub(super) fn completions(self, completion: Completion) -> impl Iterator<Item = Event> + 'a {
        let (kind, seen, detail) = match completion {
            Completion::Done { seen } => (EventKind::Ok, seen, None),
            Completion::Corrupt { detail } => {
                (EventKind::Ok, None, Some(format!("corrupt: {detail}")))
            }
            Completion::Failed { error } => (EventKind::Fail, None, Some(error)),
            Completion::Indeterminate { error } => (EventKind::Info, None, Some(error)),
        };
        let detail: Option<Box<str>> = detail.map(String::into_boxed_str);
        self.rows(kind, seen).map(move |event| Event {
            detail: detail.clone(),
            ..event
        })
    }

    fn rows(self, kind: EventKind, seen: Option<i64>) -> impl Iterator<Item = Event> + 'a {
        let (f, writes, read) = match self.operation {
            Operation::Put(writes) => ("put", writes.as_slice(), None),
            Operation::Delete(writes) => ("delete", writes.as_slice(), None),
            Operation::Read { key } => ("read", [].as_slice(), Some((*key, seen))),
        };
        writes
            .iter()
            .map(|write| (write.key, Some(write.version)))
            .chain(read)
            .zip(self.first_op..)
            .map(move |((key, value), op)| Event {
                op,
                process: self.process,
                kind,
                f: Cow::Borrowed(f),
                time_ns: 0,
                intended_ns: None,
                key: Some(key),
                value,
                detail: None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Write;

    #[test]
    fn a_batch_becomes_one_operation_per_document() {
        let writes = vec![Write { key: 4, version: 1 }, Write { key: 9, version: 2 }];
        let operation = Operation::Put(writes);
        let request = Request {
            operation: &operation,
            first_op: 10,
            process: Process(3),
        };
        let invoked: Vec<Event> = request.invocations().collect();
        assert_eq!(
            invoked
                .iter()
                .map(|e| (e.op, e.key, e.value))
                .collect::<Vec<_>>(),
            [(10, Some(4), Some(1)), (11, Some(9), Some(2))]
        );
        let error = "http 503".to_owned();
        let completed: Vec<Event> = request
            .completions(Completion::Indeterminate { error })
            .collect();
        assert_eq!(completed.len(), 2);
        assert!(completed.iter().all(|e| e.kind == EventKind::Info
            && e.detail.as_deref() == Some("http 503")
            && e.intended_ns.is_none()));
    }

    #[test]
    fn a_corrupt_read_is_answered_but_marked() {
        let operation = Operation::Read { key: 2 };
        let request = Request {
            operation: &operation,
            first_op: 0,
            process: Process(0),
        };
        let detail = "sum differs".to_owned();
        let rows: Vec<Event> = request
            .completions(Completion::Corrupt { detail })
            .collect();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].kind, rows[0].value), (EventKind::Ok, None));
        assert_eq!(rows[0].detail.as_deref(), Some("corrupt: sum differs"));
    }
}
