//! Which faults this node can be given, by which mechanism, or why not: each mechanism is tried, and what the
//! trial made is gone when it has answered.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::cgroup::{self, Control};
use super::clock;
use super::disk;
use super::error::AgentError;
use super::held_thread::HeldThread;
use super::local;
use super::nft;
use super::port_rules;
use super::queue;
use super::rules::{self, Concerned, Table};
use super::state_dir::StateDir;
use crate::ports::BlockMode;

/// A fault and whether this node can be given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ability {
    /// Its kind as scenario files spell it, with what narrows it down in parentheses.
    pub fault: String,
    /// Whether it can be inflicted here.
    pub available: bool,
    /// By which mechanism, or why not.
    pub how: String,
    /// The flag without which no run inflicts it, also where it can be: most nodes lack it, and that is no fault.
    #[serde(default)]
    pub only_with: Option<String>,
}

/// Tries every mechanism. Takes up to a second, most of it for the trial of a disk.
pub fn abilities(state: &StateDir) -> Vec<Ability> {
    if !nix::unistd::geteuid().is_root() {
        let no = "needs root on the node: log in as root, or use --sudo";
        return FAULTS
            .iter()
            .map(|(fault, _)| ability(fault, Err(no.to_owned())))
            .collect();
    }
    FAULTS
        .iter()
        .map(|(fault, trial)| ability(fault, trial(state).map_err(|error| error.to_string())))
        .collect()
}

/// What [`abilities`] tells of, in its order.
pub fn fault_names() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|(fault, _)| *fault)
}

const HOST_CLOCK: &str = "host_clock";

type Trial = fn(&StateDir) -> Result<String, AgentError>;

/// One line for each fault, in the order of the documentation.
const FAULTS: &[(&str, Trial)] = &[
    ("partition", |_| partition()),
    ("split", |_| partition()),
    ("reset", |_| reset(false)),
    ("reset (containing)", |_| reset(true)),
    ("delay", |_| shaped()),
    ("shape", |_| shaped()),
    ("block", |_| blocked(BlockMode::Drop)),
    ("block (refuse)", |_| blocked(BlockMode::Refuse)),
    ("stream", |_| led_astray()),
    ("dns", |_| asked_astray()),
    ("kill", |_| Ok("signals".to_owned())),
    ("pause", |_| Ok("SIGSTOP and SIGCONT".to_owned())),
    ("pause (freezer)", |state| group(state, Control::Freezer)),
    ("pause (threads)", |_| held_threads()),
    ("crash_loop", |_| Ok("signals".to_owned())),
    ("cpu (quota)", |state| group(state, Control::Cpu)),
    ("cpu (burn)", |_| Ok("busy threads".to_owned())),
    ("memory (limit)", |state| group(state, Control::Memory)),
    (
        "memory (hold)",
        |_| Ok("a process that takes it".to_owned()),
    ),
    ("limit (tasks)", |state| group(state, Control::Pids)),
    ("limit (files)", |_| Ok("prlimit".to_owned())),
    ("corrupt", |_| Ok("writes to files".to_owned())),
    ("clock", |_| {
        clock::check().map(|()| "other clock functions in the vDSO of each process".to_owned())
    }),
    (HOST_CLOCK, |_| {
        local::check_host_clock()
            .map(|()| "clock_settime and adjtimex, with --allow-host-clock".to_owned())
    }),
    ("power_loss", own_disk),
    ("disk_full", own_disk),
    ("inodes_full", own_disk),
    ("io", layered_disk),
];

fn ability(fault: &str, answer: Result<String, String>) -> Ability {
    Ability {
        fault: fault.to_owned(),
        available: answer.is_ok(),
        how: answer.unwrap_or_else(|why| why),
        only_with: (fault == HOST_CLOCK).then(|| "--allow-host-clock".to_owned()),
    }
}

/// An address that stands for any: rules for it are checked, never loaded.
const ANYONE: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))];

/// Names the tables that are checked.
const TABLE: &str = "shakedown_doctor";

/// Packets that may be any.
const ANY: Concerned<'static> = Concerned {
    from: ANYONE,
    clients: &[],
    port: Some(1),
    answers: false,
};

fn partition() -> Result<String, AgentError> {
    rules(&rules::drop_from(TABLE, ANY, &Vec::new()))
}

fn reset(inspected: bool) -> Result<String, AgentError> {
    let table = rules::reset(TABLE, (1, ANYONE), 0.5, inspected, &Vec::new());
    let how = rules(&table)?;
    if inspected {
        return queued();
    }
    Ok(how)
}

fn shaped() -> Result<String, AgentError> {
    rules(&rules::shape(TABLE, ANY, &Vec::new()))?;
    queued()
}

fn blocked(mode: BlockMode) -> Result<String, AgentError> {
    rules(&port_rules::block(TABLE, ANY, mode, &Vec::new()))
}

fn led_astray() -> Result<String, AgentError> {
    rules(&port_rules::lead_astray(TABLE, ANY, 1, &Vec::new()))?;
    Ok("nftables rules that redirect connections to a server of the agent's".to_owned())
}

fn asked_astray() -> Result<String, AgentError> {
    rules(&port_rules::lead_questions(TABLE, 1, &Vec::new()))?;
    rules(&port_rules::drop_answers(TABLE, &Vec::new()))?;
    Ok("nftables rules that redirect questions to a server of the agent's".to_owned())
}

fn rules(table: &Table) -> Result<String, AgentError> {
    nft::try_out(table)?;
    Ok("nftables rules".to_owned())
}

fn queued() -> Result<String, AgentError> {
    let filler = queue::trial()?;
    Ok(format!("nftables rules and a queue, filled by {filler}"))
}

/// Makes a small disk and removes it.
fn own_disk(state: &StateDir) -> Result<String, AgentError> {
    disk::trial(&state.lock()?)?;
    Ok("an ext4 image on a loop device".to_owned())
}

/// Makes a small disk with a layer and removes both.
fn layered_disk(state: &StateDir) -> Result<String, AgentError> {
    disk::layer_trial(&state.lock()?)?;
    Ok("a FUSE file system over an ext4 image on a loop device".to_owned())
}

/// Makes a control group and removes it.
fn group(state: &StateDir, control: Control) -> Result<String, AgentError> {
    cgroup::trial(&state.lock()?, control)
}

/// Holds a thread of a process of our own for a moment.
fn held_threads() -> Result<String, AgentError> {
    let failed = |error: io::Error| AgentError::Refused(format!("ptrace: {error}"));
    let mut child = Command::new("sleep").arg("60").spawn().map_err(failed)?;
    let held = HeldThread::stop(Pid::from_raw(child.id().cast_signed()));
    let outcome = held.map(drop).map_err(failed);
    child.kill().and_then(|()| child.wait()).map_err(failed)?;
    outcome.map(|()| "ptrace".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_says_why() {
        let no = ability("clock", Err("no vDSO".to_owned()));
        assert_eq!((no.available, no.how.as_str()), (false, "no vDSO"));
        assert!(ability("kill", Ok("signals".to_owned())).available);
    }

    #[test]
    fn every_fault_is_tried_once() {
        let mut names: Vec<&str> = FAULTS.iter().map(|(fault, _)| *fault).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
    }
}
