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

/// Other bounds than those of a plan, where given.
#[derive(Debug, Clone, Copy, Default)]
pub struct LimitsWish {
    /// Memory.
    pub memory: Option<ByteSize>,
    /// Time.
    pub time: Option<HumanDuration>,
}

impl LimitsWish {
    /// What is given, and else those of the plan.
    pub fn over(self, limits: Limits) -> Limits {
        Limits {
            memory: self.memory.unwrap_or(limits.memory),
            time: self.time.unwrap_or(limits.time),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: memory(),
            time: time(),
        }
    }
}
