//! Processes as the kernel shows them in /proc, told apart even when a pid is used again.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::error::AgentError;

/// One process, once and for all: a pid alone may name another process later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid.
    pub pid: i32,
    /// When it started, clock ticks since boot.
    pub start_ticks: u64,
    /// The boot it belongs to.
    pub boot_id: String,
}

/// What /proc/PID/stat says.
#[derive(Debug, Clone, Copy)]
struct Stat {
    state: char,
    parent: i32,
    session: i32,
    start_ticks: u64,
}

impl ProcessId {
    /// The process that has this pid now; `None` if there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            start_ticks: stat(pid)?.start_ticks,
            boot_id: boot_id().ok()?,
        })
    }

    /// The kernel's state letter; `None` if the process is gone, even if its pid is used again.
    pub(crate) fn state(&self) -> Option<char> {
        if boot_id().ok().as_deref() != Some(&self.boot_id) {
            return None;
        }
        stat(self.pid)
            .filter(|stat| stat.start_ticks == self.start_ticks)
            .map(|stat| stat.state)
    }

    /// True if it exists and is no zombie.
    pub(crate) fn is_alive(&self) -> bool {
        self.state().is_some_and(is_alive)
    }

    /// The state letter, or `gone`.
    pub(crate) fn state_text(&self) -> String {
        self.state()
            .map_or_else(|| "gone".to_owned(), |state| state.to_string())
    }

    /// Sends a signal to this very process; does nothing if it is gone.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), AgentError> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
            Err(source) => Err(AgentError::Signal {
                signal: signal.as_str(),
                pid: self.pid,
                source,
            }),
        }
    }

    /// Memory it has in use, KiB; 0 if it is gone.
    pub(crate) fn rss_kib(&self) -> u64 {
        fs::read_to_string(format!("/proc/{}/status", self.pid))
            .ok()
            .filter(|_| self.is_alive())
            .and_then(|status| parse_rss(&status))
            .unwrap_or(0)
    }

    /// The living processes of the session this process leads, and everything they started, even in
    /// sessions of their own; itself included. Linear in the number of processes on the node.
    pub(crate) fn tree(&self) -> Vec<ProcessId> {
        let all = all_processes();
        let Ok(boot_id) = boot_id() else {
            return Vec::new();
        };
        // While anyone is in the session its number can't be used again. So if the pid now names a
        // process that started at another time, nobody of this session is left.
        let reused = all
            .iter()
            .any(|(pid, stat)| *pid == self.pid && stat.start_ticks != self.start_ticks);
        if reused || boot_id != self.boot_id {
            return Vec::new();
        }
        let mut members: BTreeSet<i32> = all
            .iter()
            .filter(|(pid, stat)| stat.session == self.pid || *pid == self.pid)
            .map(|(pid, _)| *pid)
            .collect();
        loop {
            let before = members.len();
            for (pid, stat) in &all {
                if members.contains(&stat.parent) {
                    members.insert(*pid);
                }
            }
            if members.len() == before {
                break;
            }
        }
        all.into_iter()
            .filter(|(pid, stat)| members.contains(pid) && is_alive(stat.state))
            .map(|(pid, stat)| ProcessId {
                pid,
                start_ticks: stat.start_ticks,
                boot_id: boot_id.clone(),
            })
            .collect()
    }
}

/// Every living process that this one sees.
pub(crate) fn everyone() -> Vec<ProcessId> {
    let Ok(boot_id) = boot_id() else {
        return Vec::new();
    };
    all_processes()
        .into_iter()
        .filter(|(_, stat)| is_alive(stat.state))
        .map(|(pid, stat)| ProcessId {
            pid,
            start_ticks: stat.start_ticks,
            boot_id: boot_id.clone(),
        })
        .collect()
}

/// Names this boot of the kernel.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

fn is_alive(state: char) -> bool {
    !matches!(state, 'Z' | 'X' | 'x')
}

fn all_processes() -> Vec<(i32, Stat)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect()
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The fields after the program's name, which may itself hold spaces and parentheses; proc(5).
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

/// `VmRSS` of /proc/PID/status; kernel threads and zombies have none.
fn parse_rss(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "412 (a ) S 9 (b) T 7 412 400 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let stat = parse_stat(line).unwrap();
        assert_eq!(
            (stat.state, stat.parent, stat.session, stat.start_ticks),
            ('T', 7, 400, 98765)
        );
    }

    #[test]
    fn memory_is_read_from_the_kernels_status_and_absent_for_who_has_none() {
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t    9432 kB\n"), Some(9432));
        assert_eq!(parse_rss("Name:\tkthreadd\n"), None);
        let me = ProcessId::of(std::process::id().cast_signed()).unwrap();
        assert!(me.rss_kib() > 100);
    }

    #[test]
    fn a_process_is_not_taken_for_a_later_one_with_its_pid() {
        let me = ProcessId::of(std::process::id().cast_signed()).unwrap();
        assert!(me.is_alive());
        let earlier = ProcessId {
            start_ticks: me.start_ticks - 1,
            ..me.clone()
        };
        let other_boot = ProcessId {
            boot_id: "another".into(),
            ..me
        };
        for other in [earlier, other_boot] {
            assert_eq!(other.state(), None);
            assert!(other.tree().is_empty());
            other
                .signal(Signal::SIGKILL)
                .expect("a signal to a process that is gone does nothing");
        }
    }
}
