//! The first half of the loss checker: takes in the history.

use super::judge::LossJudge;
use super::keys::Keys;
use super::write_log::{Action, Fate, WriteLog, malformed};
use crate::error::CheckError;
use crate::history::{EventBatch, EventKind, EventRow, WindowMark};
use crate::windows::WindowCollector;

/// Takes in a history event by event; [`into_judge`](LossChecker::into_judge) then takes the observations.
#[derive(Debug, Default)]
pub struct LossChecker {
    until_ns: Option<u64>,
    log: WriteLog,
    windows: WindowCollector,
    /// Time of the last event.
    end_ns: u64,
    pub(super) acknowledged_writes: u64,
    pub(super) failed_writes: u64,
    pub(super) writes: u64,
    pub(super) reads: u64,
}

/// What an event's `f` means to this checker.
#[derive(Debug, Clone, Copy)]
enum Function {
    Operation(Action),
    Window,
    Other,
}

impl LossChecker {
    /// No events yet.
    ///
    /// With `until_ns`, later events are as if they had not happened: an operation then still open is
    /// indeterminate. For final reads taken before the end of the run.
    pub fn new(until_ns: Option<u64>) -> Self {
        LossChecker {
            until_ns,
            ..Default::default()
        }
    }

    /// Takes the next batch of events.
    ///
    /// Fails at events that cannot be part of a history: a write without key or version, a completion
    /// without invocation, an operation invoked twice.
    pub fn batch(&mut self, batch: &EventBatch) -> Result<(), CheckError> {
        let functions: Vec<_> = batch.functions().map(function).collect();
        (0..batch.len())
            .try_for_each(|row| self.take(functions[batch.function(row)], &batch.row(row)))
    }

    /// Takes the next event; errors as in [`batch`](LossChecker::batch).
    pub fn event(&mut self, event: &EventRow<'_>) -> Result<(), CheckError> {
        self.take(function(event.f), event)
    }

    /// Ends the history. `sources` are the names of all sources of observations, and at most
    /// `keep_anomalies` anomalies are listed in the report (all are counted).
    pub fn into_judge(self, sources: &[String], keep_anomalies: usize) -> LossJudge {
        let windows = self.windows.finish(self.end_ns);
        let (keys, impossible_reads) = Keys::new(self.log.into_sorted());
        let counts = super::judge::HistoryCounts {
            acknowledged_writes: self.acknowledged_writes,
            failed_writes: self.failed_writes,
            indeterminate_writes: self.writes - self.acknowledged_writes - self.failed_writes,
            reads: self.reads,
            impossible_reads,
        };
        LossJudge::new(keys, windows, counts, sources, keep_anomalies)
    }

    fn take(&mut self, function: Function, event: &EventRow<'_>) -> Result<(), CheckError> {
        if self.until_ns.is_some_and(|until| event.time_ns > until) {
            return Ok(());
        }
        self.end_ns = self.end_ns.max(event.time_ns);
        match function {
            Function::Operation(action) if event.process.is_client() => {
                self.operation(action, event)
            }
            Function::Window => Ok(self.windows.event(event)?),
            Function::Operation(_) | Function::Other => Ok(()),
        }
    }

    fn operation(&mut self, action: Action, event: &EventRow<'_>) -> Result<(), CheckError> {
        match (action, event.kind) {
            (Action::Read, EventKind::Ok) => {
                self.reads += 1;
                if let (Some(key), Some(version)) = (event.key, event.value) {
                    self.log.saw(key, version, event.time_ns);
                }
            }
            (Action::Read, _) => {}
            (_, EventKind::Invoke) => {
                let key = event
                    .key
                    .ok_or_else(|| malformed(event.op, action, "has no key"))?;
                let version = event
                    .value
                    .ok_or_else(|| malformed(event.op, action, "has no version"))?;
                self.log
                    .invoke(event.op, action, key, version, event.time_ns)?;
                self.writes += 1;
            }
            (_, EventKind::Ok) => {
                self.log.complete(event.op, action, Fate::Acknowledged)?;
                self.acknowledged_writes += 1;
            }
            (_, EventKind::Fail) => {
                self.log.complete(event.op, action, Fate::Failed)?;
                self.failed_writes += 1;
            }
            (_, EventKind::Info) => self.log.complete(event.op, action, Fate::Indeterminate)?,
        }
        Ok(())
    }
}

fn function(name: &str) -> Function {
    match name {
        "put" => Function::Operation(Action::Put),
        "delete" => Function::Operation(Action::Delete),
        "read" => Function::Operation(Action::Read),
        WindowMark::START | WindowMark::END => Function::Window,
        _ => Function::Other,
    }
}
