//! Whether a fault happened, and what shows it.

use serde::{Deserialize, Serialize};

/// Whether a fault took hold on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It took hold; the evidence shows an effect.
    Installed,
    /// It did not happen, or had no effect.
    Skipped,
    /// It cannot be told.
    Indeterminate,
}

/// One observation that bears on an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at: `dropped packets`, `state of pid 412`, `probe n1 -> n4`.
    pub what: String,
    /// What was seen.
    pub seen: String,
}

/// The outcome of a fault on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeOutcome {
    /// Whether it took hold.
    pub outcome: Outcome,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}
