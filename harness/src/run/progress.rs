//! What a person watching sees: phase, rate, errors and active faults, on standard error.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shakedown_workloads::sink::{EventSink, Totals};

/// Refresh on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_millis(200);
/// Refresh elsewhere: plain lines that also read well in a CI log.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// What the run loop reports; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    scenario: String,
    phase: String,
    faults: BTreeSet<String>,
}

impl Progress {
    pub(crate) fn new(scenario: &str) -> Self {
        let state = State {
            scenario: scenario.to_owned(),
            phase: "deploying".to_owned(),
            faults: BTreeSet::new(),
        };
        Progress(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn phase(&self, phase: &str) {
        self.change(|state| state.phase = phase.to_owned());
    }

    pub(crate) fn fault_began(&self, name: &str) {
        self.change(|state| {
            state.faults.insert(name.to_owned());
        });
    }

    pub(crate) fn fault_ended(&self, name: &str) {
        self.change(|state| {
            state.faults.remove(name);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Shows progress until the task is aborted.
    pub(crate) async fn show(self, sink: EventSink) {
        let terminal = std::io::stderr().is_terminal();
        let started = Instant::now();
        let mut interval = tokio::time::interval(if terminal {
            TERMINAL_EVERY
        } else {
            PLAIN_EVERY
        });
        let mut before = (Instant::now(), sink.totals());
        loop {
            interval.tick().await;
            let (now, totals) = (Instant::now(), sink.totals());
            let line = self.line(started.elapsed(), now - before.0, before.1, totals);
            before = (now, totals);
            if terminal {
                eprint!("\r\x1b[2K{line}");
                // A closed standard error must not end a run.
                let _ = std::io::stderr().flush();
            } else {
                eprintln!("{line}");
            }
        }
    }

    fn line(&self, elapsed: Duration, since: Duration, before: Totals, now: Totals) -> String {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = (now.ok - before.ok) as f64 / since.as_secs_f64().max(0.001);
        let faults = if state.faults.is_empty() {
            "none".to_owned()
        } else {
            state.faults.iter().cloned().collect::<Vec<_>>().join(", ")
        };
        format!(
            "{:>6.1}s {} | {} | {rate:.0} ops/s, {} ok, {} failed, {} indeterminate | faults: {faults}",
            elapsed.as_secs_f64(),
            state.scenario,
            state.phase,
            now.ok,
            now.failed,
            now.indeterminate,
        )
    }
}

/// Clears the progress line, where there is one.
pub(crate) fn clear_line() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_phase_rate_errors_and_faults() {
        let progress = Progress::new("smoke");
        progress.phase("cutover_draining");
        progress.fault_began("reset-new");
        let now = Totals {
            ok: 1500,
            failed: 3,
            indeterminate: 1,
        };
        let line = progress.line(
            Duration::from_secs(12),
            Duration::from_secs(1),
            Totals::default(),
            now,
        );
        assert_eq!(
            line,
            "  12.0s smoke | cutover_draining | 1500 ops/s, 1500 ok, 3 failed, 1 indeterminate | faults: reset-new"
        );
    }
}
