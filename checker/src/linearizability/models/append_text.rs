//! A text that operations replace, extend and read as a whole: a key of Porcupine's key-value store.

use std::mem::size_of;
use std::sync::Arc;

use crate::linearizability::appends;
use crate::linearizability::history::History;
use crate::linearizability::model::{Model, Shortcut};

/// A text, at first empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendText;

/// An operation of an [`AppendText`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextOp {
    /// Saw the whole text.
    Get(Arc<str>),
    /// Replaced the text.
    Put(Arc<str>),
    /// Added at the end.
    Append(Arc<str>),
}

impl Model for AppendText {
    type Op = TextOp;
    type State = Arc<str>;

    fn initial(&self) -> Arc<str> {
        Arc::from("")
    }

    fn step(&self, state: &Arc<str>, op: &TextOp, next: &mut Vec<Arc<str>>) {
        match op {
            TextOp::Get(seen) => next.extend((seen == state).then(|| state.clone())),
            TextOp::Put(text) => next.push(text.clone()),
            TextOp::Append(text) => next.push(Arc::from(format!("{state}{text}"))),
        }
    }

    fn is_pure(&self, op: &TextOp) -> bool {
        matches!(op, TextOp::Get(_))
    }

    fn is_blind(&self, op: &TextOp) -> bool {
        matches!(op, TextOp::Put(_))
    }

    fn state_bytes(&self, state: &Arc<str>) -> usize {
        size_of::<Arc<str>>() + 2 * size_of::<usize>() + state.len()
    }

    fn without_answer(&self, op: &TextOp) -> Option<TextOp> {
        (!self.is_pure(op)).then(|| op.clone())
    }

    fn shortcut(&self, history: &History<TextOp>) -> Option<Shortcut> {
        appends::text(history)
    }

    fn describe(&self, op: &TextOp, _: &dyn Fn(i64) -> String) -> String {
        match op {
            TextOp::Get(seen) => format!("get {seen:?}"),
            TextOp::Put(text) => format!("put {text:?}"),
            TextOp::Append(text) => format!("append {text:?}"),
        }
    }

    fn describe_state(&self, state: &Arc<str>, _: &dyn Fn(i64) -> String) -> String {
        format!("{state:?}")
    }
}
