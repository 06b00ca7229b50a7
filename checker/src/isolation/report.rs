//! What the isolation checker found.

use std::collections::BTreeMap;

use super::anomaly::{Anomaly, Form};
use super::cases::Class;
use super::model::{Model, Models, violated_by};

/// What to look for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The models that the history is said to satisfy.
    pub models: Vec<Model>,
    /// Anomalies that must not occur in any case.
    pub forbidden: Vec<Anomaly>,
    /// How the order of a register's versions is inferred; lists show theirs.
    pub versions: Inference,
    /// How many cases of each class to keep.
    pub keep: usize,
}

/// What a register's versions are ordered by, beside that all follow the initial one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inference {
    /// Within a transaction, a write follows the read of the same key.
    pub wfr_keys: bool,
    /// Each key by itself is sequentially consistent: processes see its versions in order.
    pub sequential_keys: bool,
    /// Each key by itself is linearizable: real time orders its versions.
    pub linearizable_keys: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            models: vec![Model::StrictSerializable],
            forbidden: Vec::new(),
            versions: Inference::default(),
            keep: 8,
        }
    }
}

impl Options {
    /// The default options for one model.
    pub fn for_model(model: Model) -> Self {
        Options {
            models: vec![model],
            ..Options::default()
        }
    }

    /// The strongest order that the models speak of.
    pub fn form(&self) -> Form {
        let forms = self.models.iter().map(|model| model.form());
        let cycles = self.forbidden.iter().map(|anomaly| match anomaly {
            Anomaly::Cycle(_, form) => *form,
            _ => Form::Data,
        });
        forms.chain(cycles).max().unwrap_or(Form::Data)
    }

    /// Whether an anomaly means that the history is not what it is said to be.
    pub fn forbids(&self, anomaly: Anomaly) -> bool {
        self.forbidden.contains(&anomaly) || self.models.iter().any(|model| model.forbids(anomaly))
    }
}

/// Whether a history is what it is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As far as it shows, yes.
    Valid,
    /// No.
    Invalid,
    /// It says nothing either way.
    Unknown,
}

/// What was found in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// Transactions that committed.
    pub committed: u64,
    /// Transactions of which nobody knows, and those of them that somebody saw.
    pub open: (u64, u64),
    /// Transactions that aborted.
    pub aborted: u64,
    /// Dependencies in the graph, junctions' included.
    pub edges: u64,
    /// Everything that was found, whether forbidden or not.
    pub found: BTreeMap<Anomaly, Class>,
    /// The order that was looked at.
    pub form: Form,
    /// Per class, whether the options forbid it.
    pub forbidden: Vec<Anomaly>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

impl Report {
    /// The models that the history violates.
    pub fn violated(&self) -> Models {
        let weakest = self.found.keys().map(|anomaly| violated_by(*anomaly));
        let weakest = weakest.fold(Models::default(), Models::union);
        weakest.with_stronger()
    }

    /// The models that hold as far as the history shows: not violated, and looked for.
    pub fn hold(&self) -> Models {
        let others = self.violated().others();
        others
            .iter()
            .filter(|model| model.form() <= self.form)
            .collect()
    }

    /// The models that were not looked for, because they speak of an order that was not asked for.
    pub fn not_examined(&self) -> Models {
        let others = self.violated().others();
        others
            .iter()
            .filter(|model| model.form() > self.form)
            .collect()
    }
}
