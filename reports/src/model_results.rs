//! What models said of a run's history, and what clients were answered.

use serde::{Deserialize, Serialize};
use shakedown_checker::verdict::Verdict;

/// A model that judged the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelResult {
    /// Its name: `register`, `set-full`, ...
    pub model: String,
    /// What the scenario expects: `holds` or `violated`.
    pub expected: String,
    /// What the model says of the history, whatever is expected.
    pub verdict: Verdict,
    /// What holds, what is wrong, or why it cannot be told.
    pub reason: String,
    /// Operations that the verdict rests on.
    pub judged_operations: u64,
    /// How it was reached.
    pub method: String,
    /// Why the end of the history is missing; null if it is not.
    pub truncated: Option<String>,
    /// What is wrong, or keeps from telling; the first of them.
    pub findings: Vec<ModelFinding>,
    /// Findings beyond those.
    pub findings_omitted: u64,
    /// The page with all of it, relative to the run directory; empty if it could not be written.
    pub page: String,
}

/// One thing that a model found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFinding {
    /// What it concerns: `key 3`, a class of anomaly.
    pub about: String,
    /// What it is, in a sentence.
    pub reason: String,
    /// Lines of evidence; long ones are cut.
    pub lines: Vec<String>,
    /// Its drawing, an SVG file, relative to the run directory; null without one.
    pub drawing: Option<String>,
}

/// An error that operations ended with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientError {
    /// Its name, as the client has declared it.
    pub error: String,
    /// What it means for the operation: `none`, `happened` or `maybe`.
    pub effect: String,
    /// Why it means that.
    pub about: String,
    /// How many operations ended with it.
    pub times: u64,
}
