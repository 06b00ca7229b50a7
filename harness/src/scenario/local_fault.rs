//! Parameters of the faults that each node suffers by itself.

use std::fmt::Debug;

use serde::Deserialize;
use shakedown_nemesis::fault::io::{IoEffects, Operation};
use shakedown_nemesis::fault::local::{Damage, LocalFault, Range};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use super::fault::offset_ms;
use super::{Names, PauseFault, millis};

/// What all of these faults have in common.
pub trait LocalParameters: Debug {
    /// Roles or node names.
    fn nodes(&self) -> &Spanned<Names>;

    /// The service it concerns.
    fn service(&self) -> Option<&Spanned<String>> {
        None
    }

    /// Whether the nodes need a disk of their own.
    fn needs_disk(&self) -> bool {
        false
    }

    /// Whether that disk needs a layer.
    fn needs_layer(&self) -> bool {
        false
    }

    /// What each node is ordered. `seed` is for what is left to chance, `disk` where nodes have their own.
    ///
    /// # Errors
    /// What was expected instead.
    fn act(&self, seed: u64, disk: &str) -> Result<LocalFault, String>;
}

/// Parameters of `crash_loop`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashLoopFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// How long it may run each time.
    #[serde(default = "one_second")]
    pub up: HumanDuration,
    /// How long it is down each time.
    #[serde(default = "half_a_second")]
    pub down: HumanDuration,
}

fn one_second() -> HumanDuration {
    HumanDuration::from_secs(1)
}

fn half_a_second() -> HumanDuration {
    HumanDuration(std::time::Duration::from_millis(500))
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

/// Parameters of `inodes_full`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InodesFullFault {
    /// Roles or node names; the roles must have `disk_mib`.
    pub nodes: Spanned<Names>,
}

/// Parameters of `host_clock`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostClockFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// How far the node's own clock is set off: a duration, with `-` before it to set it back.
    pub offset: Spanned<String>,
}

/// Parameters of `io`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoFault {
    /// Roles or node names; the roles must have `disk_mib` and `disk_layer`.
    pub nodes: Spanned<Names>,
    /// Those that fail, are held and count against the speed.
    #[serde(default = "all_operations")]
    pub operations: Vec<Operation>,
    /// Share of them that fails.
    #[serde(default)]
    pub fail: f64,
    /// Share of writes of which only a first part is done.
    #[serde(default)]
    pub torn: f64,
    /// How long each is held.
    #[serde(default)]
    pub latency: HumanDuration,
    /// Together no faster than this.
    pub bytes_per_second: Option<u64>,
    /// Nothing can be changed.
    #[serde(default)]
    pub read_only: bool,
}

fn all_operations() -> Vec<Operation> {
    Operation::ALL.into()
}

/// Parameters of `corrupt`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorruptFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// Regular expression that a file's path below the service's directory must match in full.
    pub files: String,
    /// So many bits are flipped.
    pub flip_bits: Option<u32>,
    /// So many bytes are cut off the end.
    pub truncate_bytes: Option<u64>,
    /// So many bytes are copied over others.
    pub copy_bytes: Option<u64>,
    /// What the file held before the load began is put back.
    #[serde(default)]
    pub restore: bool,
    /// First byte of the part of the file that may be changed.
    #[serde(default)]
    pub from: u64,
    /// Length of that part; to the end without it.
    pub length: Option<u64>,
}

impl PauseFault {
    /// What each node is ordered, unless signals do.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn act(&self) -> Result<Option<LocalFault>, String> {
        let service = self.service.get_ref().clone();
        match (self.by, self.share, self.hold) {
            (PauseBy::Threads, share, hold) => Ok(Some(LocalFault::HoldThreads {
                service,
                share: share.unwrap_or(0.5),
                hold_ms: hold.map_or(100, millis),
            })),
            (_, Some(_), _) | (_, _, Some(_)) => {
                Err("expected `share` and `hold` only with `by = \"threads\"`".to_owned())
            }
            (PauseBy::Freezer, ..) => Ok(Some(LocalFault::Freeze { service })),
            (PauseBy::Signal, ..) => Ok(None),
        }
    }
}

/// By what a service is paused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseBy {
    /// SIGSTOP and SIGCONT.
    #[default]
    Signal,
    /// The kernel's freezer.
    Freezer,
    /// Some of its threads at a time, drawn anew again and again.
    Threads,
}

impl LocalParameters for CrashLoopFault {
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

impl LocalParameters for CpuFault {
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

impl LocalParameters for MemoryFault {
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

impl LocalParameters for LimitFault {
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

impl LocalParameters for InodesFullFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn needs_disk(&self) -> bool {
        true
    }

    fn act(&self, _seed: u64, disk: &str) -> Result<LocalFault, String> {
        Ok(LocalFault::InodesFull {
            dir: disk.to_owned(),
        })
    }
}

impl LocalParameters for HostClockFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn act(&self, _seed: u64, _disk: &str) -> Result<LocalFault, String> {
        let offset_ms = offset_ms(&self.offset).map_err(|(_, message)| message)?;
        Ok(LocalFault::HostClock { offset_ms })
    }
}

impl LocalParameters for IoFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn needs_disk(&self) -> bool {
        true
    }

    fn needs_layer(&self) -> bool {
        true
    }

    fn act(&self, seed: u64, disk: &str) -> Result<LocalFault, String> {
        Ok(LocalFault::Io {
            dir: disk.to_owned(),
            effects: IoEffects {
                operations: self.operations.clone(),
                fail: self.fail,
                torn: self.torn,
                latency_ms: millis(self.latency),
                bytes_per_second: self.bytes_per_second,
                read_only: self.read_only,
                seed,
            },
        })
    }
}

impl LocalParameters for CorruptFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn service(&self) -> Option<&Spanned<String>> {
        Some(&self.service)
    }

    fn act(&self, seed: u64, _disk: &str) -> Result<LocalFault, String> {
        let within = Range {
            from: self.from,
            length: self.length,
        };
        let mut given = [
            self.flip_bits.map(|bits| Damage::Flip { bits, within }),
            self.truncate_bytes.map(|bytes| Damage::Truncate { bytes }),
            self.copy_bytes.map(|bytes| Damage::Copy { bytes, within }),
            self.restore.then_some(Damage::Restore { within }),
        ]
        .into_iter()
        .flatten();
        let (Some(damage), None) = (given.next(), given.next()) else {
            return Err("expected exactly one of `flip_bits`, `truncate_bytes`, `copy_bytes`, `restore = true`".to_owned());
        };
        if matches!(damage, Damage::Truncate { .. }) && within != Range::default() {
            return Err("expected no `from` or `length` with `truncate_bytes`".to_owned());
        }
        Ok(LocalFault::Corrupt {
            service: self.service.get_ref().clone(),
            files: self.files.clone(),
            damage,
            seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Catalogue, Scenario};

    /// A scenario with this fault; what is wrong with it, if anything.
    fn problem(fault: &str) -> Option<String> {
        let text = format!(
            r#"
            name = "test"
            description = "test"
            system = "miroir"
            configuration = "test"
            expectation = "test"
            roles = [{{ role = "router", nodes = 1, disk_mib = 16 }}, {{ role = "store", nodes = 1 }}, {{ role = "joining", nodes = 1, disk_mib = 16, disk_layer = true }}]
            [[fault]]
            name = "f"
            when = {{ at = "0s" }}
            for = "1s"
            {fault}
            [[load]]
            name = "writes"
            when = {{ at = "0s" }}
            count = 1
            mix = {{ insert = 1 }}
            [expect]
            loss = "none"
            writes_at_least = 1
            "#
        );
        let systems = Catalogue::embedded().unwrap().systems;
        let parsed = Scenario::parse("my.toml", &text, &systems);
        parsed.err().map(|error| error.to_string())
    }

    #[test]
    fn every_form_of_every_kind_is_accepted() {
        for fault in [
            r#"pause = { nodes = "store", service = "node", by = "freezer" }"#,
            r#"pause = { nodes = "store", service = "node", by = "threads", share = 0.2, hold = "10ms" }"#,
            r#"crash_loop = { nodes = "store", service = "node" }"#,
            r#"cpu = { nodes = "store", service = "node", quota_percent = 20 }"#,
            r#"cpu = { nodes = "store", burn = 2 }"#,
            r#"memory = { nodes = "store", service = "node", more_mib = 64 }"#,
            r#"memory = { nodes = "store", hold_mib = 64 }"#,
            r#"limit = { nodes = "store", service = "node", more_files = 0 }"#,
            r#"limit = { nodes = "store", service = "node", more_tasks = 0 }"#,
            r#"corrupt = { nodes = "store", service = "node", files = ".*", flip_bits = 1 }"#,
            r#"corrupt = { nodes = "store", service = "node", files = ".*", restore = true, from = 4096, length = 4096 }"#,
            r#"inodes_full = { nodes = "joining" }"#,
            r#"io = { nodes = "joining", read_only = true }"#,
            r#"io = { nodes = "joining", operations = ["sync"], fail = 0.5, latency = "20ms" }"#,
            r#"io = { nodes = "joining", torn = 0.1, bytes_per_second = 1048576 }"#,
            r#"host_clock = { nodes = "store", offset = "-1h" }"#,
            r#"clock = { nodes = "store", service = "node", rate = 1.01 }"#,
            r#"clock = { nodes = "store", service = "node", offset = "-5s", strobe = "200ms" }"#,
            r#"clock = { nodes = "store", service = "node", freeze = true }"#,
        ] {
            assert_eq!(problem(fault), None, "{fault}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_expected() {
        for (fault, expected) in [
            (
                r#"pause = { nodes = "store", service = "node", share = 0.2 }"#,
                "only with `by",
            ),
            (
                r#"pause = { nodes = "store", service = "node", by = "threads", share = 2.0 }"#,
                "`share` from 0.01 to 1",
            ),
            (
                r#"crash_loop = { nodes = "store", service = "node", up = "0s" }"#,
                "`up` from 1 to",
            ),
            (
                r#"crash_loop = { nodes = "store", service = "nobody" }"#,
                "no such service",
            ),
            (
                r#"cpu = { nodes = "store", quota_percent = 20 }"#,
                "either `service` and `quota_percent`",
            ),
            (
                r#"cpu = { nodes = "store", burn = 0 }"#,
                "`burn` from 1 to 1024",
            ),
            (r#"memory = { nodes = "store" }"#, "or `hold_mib`"),
            (
                r#"limit = { nodes = "store", service = "node" }"#,
                "one of `more_files`, `more_tasks`",
            ),
            (r#"inodes_full = { nodes = "store" }"#, "add `disk_mib"),
            (
                r#"corrupt = { nodes = "store", service = "node", files = "(", flip_bits = 1 }"#,
                "regular expression",
            ),
            (
                r#"corrupt = { nodes = "store", service = "node", files = ".*" }"#,
                "exactly one of `flip_bits`",
            ),
            (
                r#"host_clock = { nodes = "store", offset = "1s" }"#,
                "`offset` from 2000 to",
            ),
            (
                r#"clock = { nodes = "store", service = "node" }"#,
                "exactly one of `offset`",
            ),
            (
                r#"clock = { nodes = "store", service = "node", rate = 1.0 }"#,
                "other than 1",
            ),
            (
                r#"clock = { nodes = "store", service = "node", offset = "11y" }"#,
                "up to ten years",
            ),
            (
                r#"clock = { nodes = "store", service = "node", freeze = true, strobe = "1s" }"#,
                "only with `offset`",
            ),
        ] {
            let error = problem(fault).unwrap_or_else(|| panic!("accepted: {fault}"));
            assert!(error.contains(expected), "{fault}: {error}");
        }
    }
}
