//! What must hold at the end of a scenario.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shakedown_checker::loss::KeyClass;
use toml::Spanned;

/// How much loss is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Every key is in a permitted state.
    None,
    /// Acknowledged writes are lost, it is shown how many, and each is accounted for by the system's own
    /// records: none lost without explanation, none with one found alive.
    Some,
}

/// What is expected of a model that judges the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// It holds; a violation is a broken promise.
    Holds,
    /// It is violated, and the violation is found; if none is, nothing is known.
    Violated,
}

/// What must hold at the end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Loss at the final read of documents.
    pub loss: Option<Spanned<Loss>>,
    /// Classes of documents that are no fault at the end.
    #[serde(default)]
    pub allow: Vec<KeyClass>,
    /// Acknowledged writes of documents below which the run proves nothing.
    pub writes_at_least: Option<Spanned<u64>>,
    /// Operations on objects that ended ok below which the run proves nothing.
    pub operations_at_least: Option<Spanned<u64>>,
    /// What is expected of the models that judge the history of a workload on objects.
    #[serde(default)]
    pub models: BTreeMap<Spanned<String>, Expectation>,
    /// Phases that must have been entered.
    #[serde(default)]
    pub phases: Vec<String>,
    /// Marks of the system that must have appeared, by lane.
    #[serde(default)]
    pub marks: BTreeMap<String, Vec<String>>,
    /// Pairs of captured outputs that must be equal.
    #[serde(default)]
    pub same: Vec<Spanned<[String; 2]>>,
    /// Documents that the system's own records say would be lost without its safety net: at least this
    /// many, else the faults did not bite.
    #[serde(default)]
    pub endangered_at_least: u64,
    /// Memory of each service, last quarter of the run against the second: it may have grown by at most so much.
    pub memory_growth_percent_at_most: Option<f64>,
    /// Gauges that must have reached a value, else the run did not put to the test what they stand for.
    #[serde(default)]
    pub gauges_at_least: BTreeMap<String, f64>,
}

impl Expect {
    /// Loss of documents at the end; validation sees to it that a scenario with documents says it.
    pub fn loss(&self) -> Loss {
        self.loss
            .as_ref()
            .map_or(Loss::None, |loss| *loss.get_ref())
    }
}
