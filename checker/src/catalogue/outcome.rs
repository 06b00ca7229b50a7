//! What came of checking a history against a model.

use serde::Serialize;
use serde_json::Value;

use crate::verdict::Verdict;

/// A verdict, and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// `valid`, `invalid` or `unknown`. A history that is cut off is never `valid`.
    pub verdict: Verdict,
    /// What holds, what is wrong, or why it cannot be told: one sentence.
    pub reason: String,
    /// Operations that the verdict rests on.
    pub operations: usize,
    /// How the verdict was reached.
    pub method: String,
    /// Why the end of the history is missing, if it is.
    pub truncated: Option<String>,
    /// What is wrong, or keeps from telling; the first of them.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub findings_left_out: usize,
    /// Facts of this kind of check, for programs.
    pub facts: Value,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it concerns: `key 3`, a class of anomaly.
    pub about: String,
    /// What it is: one sentence.
    pub reason: String,
    /// Evidence, in lines of text.
    pub evidence: Vec<String>,
    /// The same for programs.
    pub facts: Value,
    /// A drawing of it, as SVG.
    #[serde(skip)]
    pub drawing: Option<String>,
}

impl Default for Outcome {
    /// Nothing is known.
    fn default() -> Self {
        Outcome {
            verdict: Verdict::Unknown,
            reason: String::new(),
            operations: 0,
            method: String::new(),
            truncated: None,
            findings: Vec::new(),
            findings_left_out: 0,
            facts: Value::Null,
        }
    }
}

impl Outcome {
    /// Notes that the end of the history is missing: what was seen does not prove that it is valid.
    pub fn cut_off(&mut self, why: String) {
        if self.verdict == Verdict::Valid {
            self.verdict = Verdict::Unknown;
            self.reason = format!(
                "{} as far as it goes, but the history is cut off",
                self.reason
            );
        }
        self.truncated = Some(why);
    }
}
