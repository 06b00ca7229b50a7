//! What the system's records say must be missing, as its predictor reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use shakedown_checker::rate::Rate;
use shakedown_reports::results::Explained;

use super::local_program::{ProgramError, output};
use crate::system::{PredictSpec, TemplateContext};

/// Keys listed at most in an explanation.
const KEYS_LISTED: usize = 100;

/// A line of the predictor.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    /// How many documents were at risk.
    AtRisk { at_risk: u64 },
    /// Writes of a group sent to two owners, and how many of them failed at the second.
    Group {
        group: String,
        dual_writes: u64,
        failed: u64,
    },
    /// What is expected of one.
    Prediction(Prediction),
}

#[derive(Debug, Deserialize)]
struct Prediction {
    id: String,
    expect: Expected,
    /// For `maybe`: what is expected if the write did not arrive.
    kind: Option<String>,
    /// For `maybe`: how the write failed.
    cause: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Lost,
    Stale,
    Resurrected,
    /// The records cannot tell whether the write reached its target.
    Maybe,
}

/// What the system's records say must be missing.
pub(crate) struct Predictions {
    certain: BTreeSet<i64>,
    maybe: BTreeSet<i64>,
    /// Documents that could have been lost, if the records tell.
    at_risk: Option<u64>,
    /// Writes that failed at their second owner, of those sent to two, by group.
    pub(crate) dual_writes: BTreeMap<String, Rate>,
}

/// Why there is no prediction.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PredictError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("not a prediction: {line}")]
    Line { line: String },
}

/// Runs the predictor over the collected records.
pub(crate) fn predict(
    spec: &PredictSpec,
    context: &TemplateContext,
    local_bin: &BTreeMap<String, PathBuf>,
    records: Vec<PathBuf>,
    parse_id: impl Fn(&str) -> Option<i64>,
) -> Result<Predictions, PredictError> {
    let records = records.iter().map(|path| path.display().to_string());
    let context = TemplateContext {
        files: records.collect(),
        ..context.clone()
    };
    let printed = output(&spec.argv, &context, local_bin, std::iter::empty::<&str>())?;
    let mut predictions = Predictions {
        certain: BTreeSet::new(),
        maybe: BTreeSet::new(),
        at_risk: None,
        dual_writes: BTreeMap::new(),
    };
    for line in String::from_utf8_lossy(&printed).lines() {
        let not_one = || PredictError::Line {
            line: line.to_owned(),
        };
        let prediction = match serde_json::from_str(line).map_err(|_| not_one())? {
            Line::AtRisk { at_risk } => {
                predictions.at_risk = Some(at_risk);
                continue;
            }
            Line::Group {
                group,
                dual_writes,
                failed,
            } if failed <= dual_writes => {
                let rate = Rate::new(failed, dual_writes);
                predictions.dual_writes.insert(group, rate);
                continue;
            }
            Line::Group { .. } => return Err(not_one()),
            Line::Prediction(prediction) => prediction,
        };
        let key = parse_id(&prediction.id).ok_or_else(not_one)?;
        let did_not_arrive = prediction
            .cause
            .is_some_and(|cause| spec.not_applied.contains(&cause));
        match (
            prediction.expect,
            did_not_arrive,
            prediction.kind.as_deref(),
        ) {
            (Expected::Maybe, true, None | Some("none")) => {}
            (Expected::Maybe, false, _) => {
                predictions.maybe.insert(key);
            }
            _ => {
                predictions.certain.insert(key);
            }
        }
    }
    Ok(predictions)
}

impl Predictions {
    /// Documents in danger: certainly or perhaps missing.
    pub(crate) fn endangered(&self) -> BTreeSet<i64> {
        &self.certain | &self.maybe
    }

    /// Compares with the keys that are in fact lost, stale or resurrected.
    pub(crate) fn explain(&self, bad: &BTreeSet<i64>) -> Explained {
        let unexplained = bad
            .iter()
            .filter(|key| !self.certain.contains(key) && !self.maybe.contains(key));
        let found_alive = self.certain.iter().filter(|key| !bad.contains(key));
        let explained = self.certain.iter().filter(|key| bad.contains(key)).count() as u64;
        Explained {
            predicted: self.certain.len() as u64,
            explained,
            at_risk: self
                .at_risk
                .filter(|n| *n >= explained)
                .map(|n| Rate::new(explained, n)),
            unexplained: unexplained.take(KEYS_LISTED).copied().collect(),
            found_alive: found_alive.take(KEYS_LISTED).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_nobody_predicted_and_a_predicted_one_found_alive_are_both_named() {
        let predictions = Predictions {
            certain: [1, 2].into(),
            maybe: [3].into(),
            at_risk: Some(10),
            dual_writes: BTreeMap::new(),
        };
        let explained = predictions.explain(&[2, 3, 4].into());
        assert_eq!(explained.unexplained, [4]);
        assert_eq!(explained.found_alive, [1]);
        assert_eq!((explained.predicted, explained.explained), (2, 1));
        assert_eq!(explained.at_risk, Some(Rate::new(1, 10)));
    }
}
