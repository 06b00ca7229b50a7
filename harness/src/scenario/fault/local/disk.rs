//! Disks that do badly what is asked of them, and damaged files, as a scenario describes them.

use serde::Deserialize;
use shakedown_nemesis::fault::io::{IoEffects, Operation};
use shakedown_nemesis::fault::local::{Damage, LocalFault, Range};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use super::Local;
use crate::scenario::{Names, millis};

/// Parameters of `inodes_full`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InodesFullFault {
    /// Roles or node names; the roles must have `disk_mib`.
    pub nodes: Spanned<Names>,
}

impl Local for InodesFullFault {
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

impl Local for IoFault {
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

impl Local for CorruptFault {
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
