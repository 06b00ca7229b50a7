//! What clients of plain objects are asked, and how they must say what came of it.
//!
//! A mistake in how an error is classified makes a checker blame a database that is innocent, or miss what it
//! did. So a client cannot say "it failed": it can only name one of the errors it has declared, each with what
//! it means for the operation.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One operation, in the terms of the models that judge it (see `docs/checkers.md`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The function: `read`, `write`, `cas`, `add`, `txn`, `transfer`, ...
    pub f: Cow<'static, str>,
    /// The object concerned, where a workload has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<i64>,
    /// The argument; null for a read.
    #[serde(default)]
    pub value: Value,
}

/// What an error means for the operation it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It certainly did not happen, and never will.
    None,
    /// It certainly happened; only its answer is of no use.
    Happened,
    /// It may have happened, or may yet.
    Maybe,
}

/// An error that a client has declared, with what it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownError {
    /// Its name: short, without variable parts, the same for the same cause.
    pub name: Cow<'static, str>,
    /// What it means for the operation.
    pub effect: Effect,
    /// Why it means that, for whoever has to trust it.
    pub about: Cow<'static, str>,
}

impl KnownError {
    /// Declares an error.
    pub const fn new(name: &'static str, effect: Effect, about: &'static str) -> Self {
        KnownError {
            name: Cow::Borrowed(name),
            effect,
            about: Cow::Borrowed(about),
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It happened, and the answer was read in full: what a read saw, what a transaction returned. Writes
    /// repeat their argument.
    Ok(Value),
    /// One of the client's declared errors, with what the database said.
    Error(KnownError, String),
    /// The client cannot keep to its rules, and this is why: a program that broke the protocol, say. The operation is
    /// indeterminate, and the run ends with an error.
    Defect(String),
}

/// A protocol client; one per process, never shared. It never repeats an operation by itself.
pub trait Client: Send + 'static {
    /// Every error an [`Answer`] of this client may name. Naming another is a defect of the client.
    fn errors(&self) -> &[KnownError];

    /// Carries out one operation. Must return within the client's own time-out; whatever may still be under way
    /// then is [`Effect::Maybe`].
    fn invoke(&mut self, invocation: &Invocation) -> impl Future<Output = Answer> + Send;
}
