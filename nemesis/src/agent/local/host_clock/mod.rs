//! The node's own clock set wrong or running wrong, and set right again against a clock that nobody can set.
//!
//! Only where the run was allowed to, on a host with a kernel of its own whose clock no time service keeps. What touches
//! the clocks is behind [`clock::Clock`], so that nothing else of this needs a real one.

mod adjtimex;
mod clock;
mod drift;
mod jump;
mod place;

use std::io;
use std::time::Instant;

pub(crate) use clock::{Frequency, Reading};
pub(crate) use drift::undo as set_rate_right;
pub(crate) use jump::undo as set_right;

use super::nothing;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::{rewrite, time_to_effect};
use crate::agent::ledger::{self, Entry, UndoStep};
use crate::agent::state_dir::StateLock;
use crate::outcome::{Evidence, NodeOutcome, Outcome};
use clock::{Clock, OfThisHost};
use place::Place;

/// What is done to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Set off by so many milliseconds.
    Offset(i64),
    /// Run faster by so many millionths.
    Faster(i32),
}

/// Whether this host's clock can be set; no more is done than looking.
pub(crate) fn check() -> Result<(), AgentError> {
    let refused = |why: String| AgentError::Refused(format!("host_clock: {why}"));
    let place = Place::here().map_err(|error| refused(error.to_string()))?;
    place.refusal().map_or(Ok(()), |why| Err(refused(why)))
}

/// What will undo it; an error unless the run may do it and this host is one.
pub(super) fn prepare(allowed: bool, wrong: Wrong) -> Result<Vec<UndoStep>, AgentError> {
    if !allowed {
        return Err(AgentError::Refused(
            "host_clock: this run may not set clocks; it needs --allow-host-clock".to_owned(),
        ));
    }
    check()?;
    Ok(vec![step(&OfThisHost, wrong).map_err(failed)?])
}

/// What will undo it from now on.
fn step(clock: &dyn Clock, wrong: Wrong) -> io::Result<UndoStep> {
    let before = Reading::of(clock)?;
    Ok(match wrong {
        Wrong::Offset(offset_ms) => UndoStep::SetHostClockRight { before, offset_ms },
        Wrong::Faster(ppm) => {
            let natural = clock.frequency()?;
            UndoStep::SetHostClockRateRight {
                before,
                natural,
                ours: natural.faster_by(ppm),
            }
        }
    })
}

fn failed(error: io::Error) -> AgentError {
    AgentError::Refused(format!("host_clock: {error}"))
}

/// Sets the clock, or lets it run wrong.
pub(super) fn strike(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    wrong: Wrong,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    if noop {
        return Ok(nothing("clock of the host"));
    }
    if let Some(other) = another(lock, entry)? {
        let held = evidence(
            "clock of the host",
            format!("wrong already by fault {other}"),
        );
        return Ok(NodeOutcome {
            outcome: Outcome::Skipped,
            evidence: vec![held],
        });
    }
    // The clock may have been set since the fault was prepared, by another one that has ended, for instance.
    let step = step(&OfThisHost, wrong).map_err(failed)?;
    rewrite(lock, entry, vec![step])?;
    let seen = match &mut entry.undo[..] {
        [UndoStep::SetHostClockRight { before, offset_ms }] => {
            jump::set(&mut OfThisHost, *before, *offset_ms)
        }
        [
            UndoStep::SetHostClockRateRight {
                before,
                natural,
                ours,
            },
        ] => drift::set(&mut OfThisHost, before, *natural, *ours),
        _ => return Ok(nothing("clock of the host")),
    };
    let mut seen = seen.map_err(failed)?;
    seen.evidence.push(time_to_effect(ordered));
    Ok(seen)
}

/// Another fault that has this host's clock now: the two could not be told apart when they are undone.
fn another(lock: &StateLock<'_>, entry: &Entry) -> Result<Option<String>, AgentError> {
    let is_clock = |step: &UndoStep| {
        matches!(
            step,
            UndoStep::SetHostClockRight { .. } | UndoStep::SetHostClockRateRight { .. }
        )
    };
    let holds = |other: &Entry| {
        let installed = other.installed.as_ref();
        installed.is_some_and(|i| i.outcome != Outcome::Skipped)
            && other.undo.iter().any(is_clock)
            && (&other.run, &other.fault) != (&entry.run, &entry.fault)
    };
    let listed = ledger::list(lock)?;
    let others = listed.into_iter().filter_map(|(_, other)| other.ok());
    Ok(others.into_iter().find(holds).map(|other| other.fault))
}

/// How wrong the clock is just before the end.
pub(super) fn last_look(steps: &[UndoStep], mut installed: NodeOutcome) -> NodeOutcome {
    let (seen, in_place) = match steps {
        [UndoStep::SetHostClockRight { before, offset_ms }] => {
            jump::look(&OfThisHost, *before, *offset_ms)
        }
        [
            UndoStep::SetHostClockRateRight {
                before,
                natural,
                ours,
            },
        ] => drift::look(&OfThisHost, *before, *natural, *ours),
        _ => return installed,
    }
    .unwrap_or_else(|error| {
        let seen = evidence("clock of the host before undo", error.to_string());
        (vec![seen], false)
    });
    installed.evidence.extend(seen);
    if installed.outcome == Outcome::Installed && !in_place {
        installed.outcome = Outcome::Indeterminate;
    }
    installed
}

/// The outcome of a look right after the clock was made wrong.
fn outcome(in_place: bool, evidence: Vec<Evidence>) -> NodeOutcome {
    let outcome = match in_place {
        true => Outcome::Installed,
        false => Outcome::Indeterminate,
    };
    NodeOutcome { outcome, evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::process::ProcessId;
    use crate::agent::state_dir::StateDir;
    use crate::fault::NodeFault;
    use crate::fault::local::LocalFault;

    #[test]
    fn without_leave_it_is_refused_wherever_it_is_asked_for() {
        for wrong in [Wrong::Offset(3_600_000), Wrong::Faster(-1000)] {
            let refused = prepare(false, wrong).unwrap_err().to_string();
            assert!(refused.contains("--allow-host-clock"), "{refused}");
        }
    }

    #[test]
    fn without_its_effect_it_is_skipped_and_sets_no_clock() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let lock = state.lock().unwrap();
        for (wrong, act) in [
            (
                Wrong::Offset(3_600_000),
                LocalFault::HostClock {
                    offset_ms: 3_600_000,
                },
            ),
            (
                Wrong::Faster(-1000),
                LocalFault::HostClockRate { ppm: -1000 },
            ),
        ] {
            let mut entry = Entry {
                run: "r1".to_owned(),
                fault: "wrong".to_owned(),
                order: NodeFault::Local { act },
                agent: ProcessId {
                    pid: 7,
                    start_ticks: 1,
                    boot_id: "b".to_owned(),
                },
                seed: 0,
                undo: vec![step(&OfThisHost, wrong).unwrap()],
                installed: None,
            };
            let struck = strike(&lock, &mut entry, wrong, true, Instant::now()).unwrap();
            assert_eq!(struck.outcome, Outcome::Skipped);
            assert_eq!(struck.evidence[0].seen, "not touched");
            let still = last_look(&entry.undo, struck);
            assert_eq!(still.outcome, Outcome::Skipped);
        }
    }
}
