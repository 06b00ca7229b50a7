//! How much the check of a history may take.

use serde::{Deserialize, Serialize};
use shakedown_workloads::duration::HumanDuration;

use crate::size::ByteSize;

/// Bounds of the models that judge a history; past one, what is left is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory for the history and the search.
    #[serde(default = "memory")]
    pub memory: ByteSize,
    /// Time for all models together.
    #[serde(default = "time")]
    pub time: HumanDuration,
}

fn memory() -> ByteSize {
    ByteSize(1 << 30)
}

fn time() -> HumanDuration {
    HumanDuration::from_secs(60)
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: memory(),
            time: time(),
        }
    }
}
