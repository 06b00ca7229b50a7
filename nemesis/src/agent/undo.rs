//! Ending faults: the last look at their effect, then what undoes them, then proof that it did.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Serialize;

use super::attendant;
use super::cgroup;
use super::clock;
use super::disk;
use super::durable;
use super::error::AgentError;
use super::evidence::{evidence, states};
use super::filter;
use super::helper;
use super::layer;
use super::ledger::{self, Entry, UndoStep};
use super::local;
use super::nft;
use super::process::ProcessId;
use super::service::{self, Record};
use super::signals;
use super::state_dir::{StateDir, StateLock};
use crate::fault::NodeFault;
use crate::outcome::{Evidence, NodeOutcome, Outcome};

/// How often undoing is tried before what remains is left to `heal`.
const ATTEMPTS: u32 = 10;

/// How long processes may take to show the effect of a signal.
const SIGNAL_PATIENCE: Duration = Duration::from_secs(10);

/// A fault that was undone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undone {
    /// The run it belonged to.
    pub run: String,
    /// Its name.
    pub fault: String,
    /// What its last evidence says, and what shows that it ended.
    pub outcome: NodeOutcome,
}

/// A fault that could not be undone and stays in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unhealed {
    /// Its file in the ledger.
    pub file: String,
    /// Why.
    pub error: String,
}

/// What healing a node did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HealReport {
    /// Faults undone.
    pub undone: Vec<Undone>,
    /// Faults still in the ledger.
    pub failed: Vec<Unhealed>,
}

impl HealReport {
    /// What could not be undone, as an error; none if everything was.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = self
            .failed
            .iter()
            .map(|unhealed| format!("{}: {}", unhealed.file, unhealed.error))
            .collect();
        Err(AgentError::StillThere(format!(
            "could not undo {}",
            texts.join("; ")
        )))
    }

    /// Names of the faults undone.
    pub fn names(&self) -> Vec<String> {
        self.undone
            .iter()
            .map(|undone| undone.fault.clone())
            .collect()
    }
}

/// Undoes everything in the ledger, whoever put it there, and removes the disks that nothing uses. May be
/// done any number of times.
///
/// # Errors
/// When the state directory can't be locked or read. A single fault that can't be undone is part of
/// the report and keeps none of the others from being undone.
pub fn heal(state: &StateDir) -> Result<HealReport, AgentError> {
    heal_all(&state.lock()?)
}

/// As [`heal`], with the lock held already.
pub(crate) fn heal_all(lock: &StateLock<'_>) -> Result<HealReport, AgentError> {
    let mut report = heal_from(lock, None)?;
    if let Err(error) = cgroup::tidy(lock) {
        report.failed.push(Unhealed {
            file: "control groups".to_owned(),
            error: error.to_string(),
        });
    }
    if let Err(error) = disk::remove_idle(lock) {
        report.failed.push(Unhealed {
            file: "disks".to_owned(),
            error: error.to_string(),
        });
    }
    Ok(report)
}

/// Undoes what one agent put into the ledger.
fn heal_own(lock: &StateLock<'_>, agent: &ProcessId) -> Result<HealReport, AgentError> {
    heal_from(lock, Some(agent))
}

/// Undoes what one agent, or anyone, put into the ledger.
fn heal_from(lock: &StateLock<'_>, agent: Option<&ProcessId>) -> Result<HealReport, AgentError> {
    let mut report = HealReport::default();
    for (file, entry) in ledger::list(lock)? {
        let outcome = match entry {
            Ok(entry) if agent.is_some_and(|agent| entry.agent != *agent) => continue,
            // Whose it is can't be told, so only who heals everything says so.
            Err(_) if agent.is_some() => continue,
            Ok(entry) => finish(lock, &entry).map(|outcome| Undone {
                run: entry.run,
                fault: entry.fault,
                outcome,
            }),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(undone) => report.undone.push(undone),
            Err(error) => report.failed.push(Unhealed {
                file,
                error: error.to_string(),
            }),
        }
    }
    Ok(report)
}

/// Undoes what one agent left, more than once if need be: a node under test may lack memory or disk.
pub(crate) fn heal_patiently(
    lock: &StateLock<'_>,
    agent: &ProcessId,
) -> Result<HealReport, AgentError> {
    let mut report = heal_own(lock, agent)?;
    for _ in 1..ATTEMPTS {
        if report.failed.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
        let again = heal_own(lock, agent)?;
        report.undone.extend(again.undone);
        report.failed = again.failed;
    }
    Ok(report)
}

/// Takes a fault's last evidence, undoes it, shows that it ended and removes it from the ledger.
pub(crate) fn finish(lock: &StateLock<'_>, entry: &Entry) -> Result<NodeOutcome, AgentError> {
    let outcome = if entry.is_of_this_boot()? {
        let mut outcome = last_look(lock, entry)?;
        let (seen, doubtful) = steps(lock, entry)?;
        outcome.evidence.extend(seen);
        if doubtful && outcome.outcome == Outcome::Installed {
            outcome.outcome = Outcome::Indeterminate;
        }
        outcome
    } else {
        remove_files(entry)?;
        NodeOutcome {
            outcome: Outcome::Indeterminate,
            evidence: vec![evidence("node", "was started anew since")],
        }
    };
    ledger::remove(lock, entry)?;
    Ok(outcome)
}

/// Removes the files of a fault, all that is left of it once the node was started anew.
fn remove_files(entry: &Entry) -> Result<(), AgentError> {
    for step in &entry.undo {
        match step {
            UndoStep::EndAttendant { totals: file, .. }
            | UndoStep::EndHelper { account: file, .. }
            | UndoStep::RemoveFiller { file } => durable::remove(file)?,
            UndoStep::RemoveFiles { directory } => durable::remove_all(directory)?,
            _ => {}
        }
    }
    Ok(())
}

/// Does what undoes a fault, in the reverse of its order, and checks that it worked; says what was seen,
/// and whether that casts doubt on the fault's effect.
pub(crate) fn steps(
    lock: &StateLock<'_>,
    entry: &Entry,
) -> Result<(Vec<Evidence>, bool), AgentError> {
    let (mut seen, mut doubtful) = (Vec::new(), false);
    for step in entry.undo.iter().rev() {
        if let UndoStep::Remount { disk } = step {
            let (evidence, doubt) = disk::restore(lock, disk)?;
            seen.push(evidence);
            doubtful |= doubt;
        } else {
            seen.extend(undo_step(lock, step)?);
        }
    }
    Ok((seen, doubtful))
}

fn undo_step(lock: &StateLock<'_>, step: &UndoStep) -> Result<Option<Evidence>, AgentError> {
    let seen = match step {
        UndoStep::EndLoader { process } => {
            process.signal(Signal::SIGKILL)?;
            if !service::wait_until(SIGNAL_PATIENCE, || !process.is_alive()) {
                return Err(AgentError::StillThere(format!(
                    "nft, pid {}, survives SIGKILL",
                    process.pid
                )));
            }
            return Ok(None);
        }
        UndoStep::EndAttendant { process, totals } => {
            attendant::end(process, totals)?;
            return Ok(None);
        }
        UndoStep::DeleteTable { table } => {
            let deleted = nft::delete(lock, table)?;
            if nft::exists(table)? {
                return Err(AgentError::StillThere(format!("table {table} stays")));
            }
            let seen = if deleted { "deleted" } else { "not there" };
            evidence(format!("table {table} after undo"), seen)
        }
        UndoStep::Continue { process } => {
            process.signal(Signal::SIGCONT)?;
            if !service::wait_until(SIGNAL_PATIENCE, || process.state() != Some('T')) {
                return Err(AgentError::StillThere(format!(
                    "pid {} stays stopped after SIGCONT",
                    process.pid
                )));
            }
            evidence(
                format!("state of pid {} after undo", process.pid),
                process.state_text(),
            )
        }
        UndoStep::KillRest { process } => {
            if !service::kill_tree(process)? {
                return Err(AgentError::StillThere(format!(
                    "service of pid {} survives SIGKILL",
                    process.pid
                )));
            }
            return Ok(None);
        }
        UndoStep::Remount { disk } => disk::restore(lock, disk)?.0,
        UndoStep::RemoveFiller { file } => {
            durable::remove(file)?;
            evidence(format!("{} after undo", file.display()), "removed")
        }
        UndoStep::RestoreClocks { tag, .. } => clock::restore(lock, *tag)?,
        UndoStep::SetHostClockRight { before, offset_ms } => {
            local::set_host_clock_right(*before, *offset_ms)?
        }
        UndoStep::SetHostClockRateRight {
            before,
            natural,
            ours,
        } => local::set_host_clock_rate_right(*before, *natural, *ours)?,
        UndoStep::RemoveGroup { group } => {
            group.remove()?;
            evidence("control group after undo", "removed")
        }
        UndoStep::EndHelper { process, account } => {
            helper::end(process, account)?;
            evidence("helper process after undo", process.state_text())
        }
        UndoStep::RestoreFileLimit {
            service,
            leader,
            ours,
            before,
        } => local::restore_file_limit(lock, (service, leader), *ours, *before)?,
        UndoStep::ClearLayer { over } => {
            let seen = match layer::change(lock, over, None)? {
                Some(_) => "lets everything pass",
                None => "gone",
            };
            evidence(format!("layer over {} after undo", over.display()), seen)
        }
        UndoStep::RemoveFiles { directory } => {
            durable::remove_all(directory)?;
            evidence(format!("{} after undo", directory.display()), "removed")
        }
        UndoStep::StartService { service } => {
            let what = format!("service {service} after undo");
            let record = match Record::load(lock, service)? {
                None => return Ok(Some(evidence(what, "stopped on request since"))),
                Some(record) if record.process.is_alive() => record,
                Some(record) => service::spawn(lock, &record.service)?,
            };
            evidence(
                what,
                format!(
                    "pid {}, state {}",
                    record.process.pid,
                    record.process.state_text()
                ),
            )
        }
    };
    Ok(Some(seen))
}

/// What a fault's effect is, or was, just before it ends.
fn last_look(lock: &StateLock<'_>, entry: &Entry) -> Result<NodeOutcome, AgentError> {
    // The agent died before it could say how far it got.
    let installed = entry.installed.clone().unwrap_or(NodeOutcome {
        outcome: Outcome::Indeterminate,
        evidence: vec![evidence(
            "installation",
            "never reported: interrupted, or only prepared",
        )],
    });
    match &entry.order {
        NodeFault::DropFrom { .. }
        | NodeFault::Reset { .. }
        | NodeFault::Shape { .. }
        | NodeFault::Block { .. }
        | NodeFault::Stream { .. }
        | NodeFault::Dns { .. } => filter::last_look(entry, installed),
        NodeFault::Pause { .. } => Ok(still_paused(entry, installed)),
        NodeFault::Kill { .. } => Ok(signals::ended_by_now(entry, installed)),
        NodeFault::Clock { .. } => clock::last_look(entry, installed),
        NodeFault::DiskFull { dir, .. } => disk::still_full(dir, installed),
        NodeFault::Local { act } => local::last_look(lock, entry, act, installed),
        _ => Ok(installed),
    }
}

fn still_paused(entry: &Entry, mut installed: NodeOutcome) -> NodeOutcome {
    let paused: Vec<ProcessId> = entry
        .undo
        .iter()
        .filter_map(|step| match step {
            UndoStep::Continue { process } => Some(process.clone()),
            _ => None,
        })
        .collect();
    installed.evidence.extend(states(&paused, "before undo"));
    let all = paused.iter().all(|p| p.state() == Some('T'));
    if installed.outcome == Outcome::Installed && !all {
        installed.outcome = Outcome::Indeterminate;
    }
    installed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::process;

    /// A fault of an agent of this boot or of another, with its files; heals, and tells what it says and which files are left.
    fn healed(boot_id: String) -> (NodeOutcome, Vec<String>) {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let process = ProcessId {
            pid: 7,
            start_ticks: u64::MAX,
            boot_id,
        };
        let kept = home.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        let files = ["totals", "account", "kept/copy", "another's"];
        for file in files {
            std::fs::write(home.path().join(file), "1").unwrap();
        }
        let entry = Entry {
            run: "r1".into(),
            fault: "f".into(),
            order: NodeFault::Pause {
                service: "web".into(),
            },
            agent: process.clone(),
            seed: 0,
            undo: vec![
                UndoStep::EndAttendant {
                    process: process.clone(),
                    totals: home.path().join("totals"),
                },
                UndoStep::EndHelper {
                    process,
                    account: home.path().join("account"),
                },
                UndoStep::RemoveFiles { directory: kept },
            ],
            installed: None,
        };
        ledger::write(&state.lock().unwrap(), &entry).unwrap();
        let report = heal(&state).unwrap();
        assert_eq!(report.failed, []);
        assert!(ledger::list(&state.lock().unwrap()).unwrap().is_empty());
        let left = files.iter().filter(|file| home.path().join(file).exists());
        let left = left.map(|file| (*file).to_owned()).collect();
        (report.undone[0].outcome.clone(), left)
    }

    #[test]
    fn after_a_power_cut_the_files_of_a_fault_go_with_its_entry() {
        let (outcome, left) = healed("before the power cut".to_owned());
        assert_eq!(
            outcome.evidence,
            [evidence("node", "was started anew since")]
        );
        assert_eq!(left, ["another's"]);
    }

    #[test]
    fn without_a_power_cut_a_fault_is_undone_step_by_step() {
        let (outcome, left) = healed(process::boot_id().unwrap());
        assert!(outcome.evidence.len() > 1, "{outcome:?}");
        assert_eq!(left, ["another's"]);
    }
}
