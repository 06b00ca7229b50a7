//! Shares with exact binomial confidence intervals.

use serde::{Deserialize, Serialize};

/// `events` out of `trials`, with the exact (Clopper-Pearson) 95 % interval of the underlying share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// How often it happened.
    pub events: u64,
    /// How often it could have happened.
    pub trials: u64,
    /// Lower end of the interval, 0 to 1.
    pub low: f64,
    /// Upper end of the interval, 0 to 1.
    pub high: f64,
}

impl Default for Rate {
    /// No trials: anything between 0 and 1.
    fn default() -> Self {
        Rate {
            events: 0,
            trials: 0,
            low: 0.0,
            high: 1.0,
        }
    }
}
