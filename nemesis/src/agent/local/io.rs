//! A bad disk: the layer over it makes operations fail, wait or tear.

use std::time::Instant;

use super::nothing;
use crate::agent::disk;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::time_to_effect;
use crate::agent::layer::{self, Counts};
use crate::agent::ledger::UndoStep;
use crate::agent::state_dir::StateLock;
use crate::fault::io::IoEffects;
use crate::outcome::{Evidence, NodeOutcome, Outcome};

/// What will undo it; an error if there is no such disk, or no layer over it.
pub(super) fn prepare(lock: &StateLock<'_>, dir: &str) -> Result<Vec<UndoStep>, AgentError> {
    let path = disk::own(lock, dir)?;
    if layer::count(lock, &path)?.is_none() {
        return Err(AgentError::Refused(format!(
            "no layer over the disk at {}",
            path.display()
        )));
    }
    Ok(vec![UndoStep::ClearLayer { over: path }])
}

/// Tells the layer what to do.
pub(super) fn strike(
    lock: &StateLock<'_>,
    dir: &str,
    effects: &IoEffects,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    if noop {
        return Ok(nothing("layer"));
    }
    let path = disk::own(lock, dir)?;
    let told = layer::change(lock, &path, Some(effects.clone()))?;
    Ok(match told {
        Some(_) => NodeOutcome {
            outcome: Outcome::Installed,
            evidence: vec![evidence("layer", effects.text()), time_to_effect(ordered)],
        },
        None => NodeOutcome {
            outcome: Outcome::Indeterminate,
            evidence: vec![evidence("layer", "its process is gone")],
        },
    })
}

/// What the layer did; a fault that hit nothing was none.
pub(super) fn last_look(
    lock: &StateLock<'_>,
    dir: &str,
    mut installed: NodeOutcome,
) -> Result<NodeOutcome, AgentError> {
    if installed.outcome == Outcome::Skipped {
        return Ok(installed);
    }
    let path = disk::own(lock, dir)?;
    let Some(counts) = layer::count(lock, &path)? else {
        let seen = evidence("layer before undo", "its process is gone");
        installed.evidence.push(seen);
        installed.outcome = Outcome::Indeterminate;
        return Ok(installed);
    };
    installed.evidence.push(told(counts));
    if counts.hit() == 0 {
        installed.outcome = Outcome::Skipped;
    }
    Ok(installed)
}

fn told(counts: Counts) -> Evidence {
    let Counts {
        seen,
        failed,
        refused,
        held,
        torn,
    } = counts;
    evidence(
        "operations on the disk",
        format!("{seen}, of them {failed} failed, {refused} refused, {held} held, {torn} torn"),
    )
}
