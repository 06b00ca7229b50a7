//! A service that crashes again and again, or a service or node that is short of something, as a scenario describes it.

use std::time::Duration;

use serde::Deserialize;
use shakedown_nemesis::fault::local::LocalFault;
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use super::Local;
use crate::scenario::{Names, millis};

/// Parameters of `crash_loop`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashLoopFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// How long it may run each time.
    #[serde(default = "up")]
    pub up: HumanDuration,
    /// How long it is down each time.
    #[serde(default = "down")]
    pub down: HumanDuration,
}

impl CrashLoopFault {
    /// How long it may run, unless something else is given.
    pub(crate) const UP: HumanDuration = HumanDuration::from_secs(1);
    /// How long it is down, unless something else is given.
    pub(crate) const DOWN: HumanDuration = HumanDuration(Duration::from_millis(500));
}

fn up() -> HumanDuration {
    CrashLoopFault::UP
}

fn down() -> HumanDuration {
    CrashLoopFault::DOWN
}

impl Local for CrashLoopFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn service(&self) -> Option<&Spanned<String>> {
        Some(&self.service)
    }

    fn act(&self, _seed: u64, _disk: &str) -> Result<LocalFault, String> {
        Ok(LocalFault::CrashLoop {
            service: self.service.get_ref().clone(),
            up_ms: millis(self.up),
            down_ms: millis(self.down),
        })
    }
}

/// Parameters of `cpu`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system; for a quota.
    pub service: Option<Spanned<String>>,
    /// What it gets of one processor, percent.
    pub quota_percent: Option<u32>,
    /// So many threads keep processors busy.
    pub burn: Option<u32>,
}

impl Local for CpuFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn service(&self) -> Option<&Spanned<String>> {
        self.service.as_ref()
    }

    fn act(&self, _seed: u64, _disk: &str) -> Result<LocalFault, String> {
        match (&self.service, self.quota_percent, self.burn) {
            (Some(service), Some(percent), None) => Ok(LocalFault::CpuQuota {
                service: service.get_ref().clone(),
                percent,
            }),
            (None, None, Some(threads)) => Ok(LocalFault::CpuBurn { threads }),
            _ => Err("expected either `service` and `quota_percent`, or `burn`".to_owned()),
        }
    }
}

/// Parameters of `memory`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system; for a limit.
    pub service: Option<Spanned<String>>,
    /// So much more than it has, and no more, MiB.
    pub more_mib: Option<u32>,
    /// So much is taken, MiB.
    pub hold_mib: Option<u32>,
}

impl Local for MemoryFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn service(&self) -> Option<&Spanned<String>> {
        self.service.as_ref()
    }

    fn act(&self, _seed: u64, _disk: &str) -> Result<LocalFault, String> {
        match (&self.service, self.more_mib, self.hold_mib) {
            (Some(service), Some(more_mib), None) => Ok(LocalFault::MemoryLimit {
                service: service.get_ref().clone(),
                more_mib,
            }),
            (None, None, Some(mib)) => Ok(LocalFault::MemoryHold { mib }),
            _ => Err("expected either `service` and `more_mib`, or `hold_mib`".to_owned()),
        }
    }
}

/// Parameters of `limit`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// So many more files than it has open, in each of its processes.
    pub more_files: Option<u32>,
    /// So many more threads and processes than it has.
    pub more_tasks: Option<u32>,
}

impl Local for LimitFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn service(&self) -> Option<&Spanned<String>> {
        Some(&self.service)
    }

    fn act(&self, _seed: u64, _disk: &str) -> Result<LocalFault, String> {
        let service = self.service.get_ref().clone();
        match (self.more_files, self.more_tasks) {
            (Some(more), None) => Ok(LocalFault::FileLimit { service, more }),
            (None, Some(more)) => Ok(LocalFault::TaskLimit { service, more }),
            _ => Err("expected one of `more_files`, `more_tasks`".to_owned()),
        }
    }
}
