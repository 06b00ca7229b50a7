//! Load stages of a scenario.

use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;
use shakedown_workloads::documents::Mix;
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::load::LoadSpec;
use toml::Spanned;

use super::Trigger;

/// A load stage.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadItem {
    /// Unique among the scenario's items.
    pub name: Spanned<String>,
    /// When it starts.
    pub when: Spanned<Trigger>,
    /// When it ends, if not by `count` or `for`.
    pub until: Option<Spanned<Trigger>>,
    /// Ends after this many operations: documents written plus reads.
    pub count: Option<NonZeroU64>,
    /// Ends after this long.
    #[serde(rename = "for")]
    pub duration: Option<HumanDuration>,
    /// Open loop: requests per second. Closed loop (each process back to back) without it.
    pub rate: Option<NonZeroU32>,
    /// Logical client processes.
    #[serde(default = "eight")]
    pub processes: NonZeroU32,
    /// Weights of the operations.
    pub mix: Mix,
    /// Documents per write request.
    #[serde(default = "one")]
    pub batch: NonZeroU32,
    /// The group of keys it works on; stages that may overlap in time need different ones.
    #[serde(default = "main_keys")]
    pub keys: String,
    /// `--time` sets its length.
    #[serde(default)]
    pub soak: bool,
}

fn eight() -> NonZeroU32 {
    NonZeroU32::new(8).expect("8 is not 0")
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn main_keys() -> String {
    "main".to_owned()
}

impl LoadItem {
    /// What the load driver is told.
    pub fn spec(&self) -> LoadSpec {
        LoadSpec {
            processes: self.processes,
            rate: self.rate,
            count: self.count,
            duration: self.duration,
            mix: self.mix,
            batch: self.batch,
            keys: self.keys.clone(),
        }
    }
}
