//! Faults on the disks of nodes that have their own, as a scenario describes them.

use serde::Deserialize;
use toml::Spanned;

use crate::scenario::Names;

/// Parameters of `power_loss`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerLossFault {
    /// Roles or node names; the roles must have `disk_mib`.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
}

/// Parameters of `disk_full`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFullFault {
    /// Roles or node names; the roles must have `disk_mib`.
    pub nodes: Spanned<Names>,
    /// What stays free, KiB.
    #[serde(default)]
    pub leave_kib: u32,
}
