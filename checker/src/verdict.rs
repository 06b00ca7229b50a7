//! The three verdicts, and which of several stands for all.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a scenario, a check or a whole run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything promised was exercised, and held.
    Valid,
    /// It cannot be told: a fault did not happen, a phase was not reached, a read is incomplete.
    Unknown,
    /// Something promised does not hold. Never masked by the others.
    Invalid,
}

impl Verdict {
    /// The worst of them: `invalid` over `unknown` over `valid`. Of nothing, `unknown`: nothing
    /// was exercised.
    #[must_use]
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Unknown)
    }

    /// One word, lower case, as in `results.json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Unknown => "unknown",
            Verdict::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
