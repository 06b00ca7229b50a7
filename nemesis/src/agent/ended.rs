//! How services ended: noted by the process that started them, the only one that the kernel tells.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::durable;
use super::state_dir::StateDir;

/// The end of a service's first process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pid: i32,
    how: String,
}

impl Ended {
    /// Where the last end of a service is noted.
    pub(crate) fn path(state: &StateDir, service: &str) -> PathBuf {
        state.services().join(format!("{service}.ended"))
    }

    /// What the kernel said of it; `None` for an end as on request.
    pub(crate) fn new(pid: u32, status: ExitStatus) -> Option<Self> {
        let as_asked = status.success() || status.signal() == Some(Signal::SIGTERM as i32);
        (!as_asked).then(|| Ended {
            pid: pid.cast_signed(),
            how: words(status),
        })
    }

    /// How this process of a service ended, if that was seen.
    pub(crate) fn of(state: &StateDir, service: &str, pid: i32) -> Option<String> {
        let ended: Option<Ended> = durable::read(&Self::path(state, service)).ok()?;
        ended
            .filter(|ended| ended.pid == pid)
            .map(|ended| ended.how)
    }
}

/// `SIGSEGV, core dumped`, or `exit status: 1`.
fn words(status: ExitStatus) -> String {
    let Some(number) = status.signal() else {
        return status.to_string();
    };
    let name = Signal::try_from(number).map_or(format!("signal {number}"), |s| s.to_string());
    let core = if status.core_dumped() {
        ", core dumped"
    } else {
        ""
    };
    format!("{name}{core}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_which_signal_and_whether_there_is_a_core() {
        assert_eq!(words(ExitStatus::from_raw(11)), "SIGSEGV");
        assert_eq!(
            words(ExitStatus::from_raw(6 | 0x80)),
            "SIGABRT, core dumped"
        );
        assert_eq!(words(ExitStatus::from_raw(3 << 8)), "exit status: 3");
        assert!(Ended::new(7, ExitStatus::from_raw(15)).is_none());
        assert!(Ended::new(7, ExitStatus::from_raw(0)).is_none());
        assert!(Ended::new(7, ExitStatus::from_raw(9)).is_some());
    }
}
