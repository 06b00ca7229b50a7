//! One row of a history: an invocation, a completion, or a mark set by the nemesis or the system.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Who an event belongs to: a logical client process (0 and up), or one of the harness's own actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub i32);

impl Process {
    /// The fault injector.
    pub const NEMESIS: Process = Process(-1);
    /// The system under test, as seen through its phase events.
    pub const SYSTEM: Process = Process(-2);
    /// The operator: actions a scenario runs, load stages, checkpoints.
    pub const OPERATOR: Process = Process(-3);

    /// Whether this is a client process, as opposed to one of the harness's own actors.
    pub fn is_client(self) -> bool {
        self.0 >= 0
    }
}

/// What an event says about its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The operation is about to be sent.
    Invoke,
    /// It certainly happened, and its response was read in full.
    Ok,
    /// It certainly did not happen, and never will.
    Fail,
    /// It may have happened, or may yet happen; also used for marks that are not operations.
    Info,
}

/// One row of a history.
///
/// An operation is an `Invoke` and at most one completion with the same `op`. An invocation without
/// completion (the harness was killed) counts as indeterminate. The documents of one batched request
/// are separate operations of one process, invoked and completed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Pairs a completion with its invocation; unique within a run.
    pub op: u64,
    /// Whose event it is.
    pub process: Process,
    /// Invocation, completion or mark.
    pub kind: EventKind,
    /// The operation's function: `put`, `delete`, `read`, or a mark's name (see [`WindowMark`]).
    pub f: Cow<'static, str>,
    /// Monotonic nanoseconds since the start of the run.
    pub time_ns: u64,
    /// When an open-loop schedule wanted the operation sent; only on invocations.
    pub intended_ns: Option<u64>,
    /// The key concerned, for workloads with integer keys.
    pub key: Option<i64>,
    /// The version written, or the version a read saw (`None` for absent).
    pub value: Option<i64>,
    /// Error text, or JSON where a workload or mark needs more room.
    pub detail: Option<Box<str>>,
}

/// A named span of time that losses are broken down by: a migration phase, a fault, a load stage.
///
/// Recorded as two `Info` events with `f` = [`WindowMark::START`] / [`WindowMark::END`] and this
/// value as JSON in `detail`. Windows of one lane may overlap; one never ended lasts to the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowMark {
    /// `phase`, `fault` or `load`.
    pub lane: Cow<'static, str>,
    /// Unique within its lane for windows open at the same time.
    pub name: String,
}

impl WindowMark {
    /// `f` of the event that opens a window.
    pub const START: &'static str = "window-start";
    /// `f` of the event that closes a window.
    pub const END: &'static str = "window-end";
}
