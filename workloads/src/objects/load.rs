//! What a load stage on plain objects is asked to do, as written in a scenario's `[[load]]` table.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::duration::HumanDuration;
use crate::load::Pace;
use crate::objects::Spec;

/// One load stage.
///
/// With neither `count` nor `for` it lasts until it is stopped. With both, whichever is reached first ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectLoad {
    /// Client processes, each with one operation under way at a time.
    #[serde(default = "one")]
    pub processes: NonZeroU32,
    /// Operations per second over all processes, sent by the clock whether or not earlier ones were
    /// answered (open loop). Without it each process sends its next operation when the last one is
    /// answered (closed loop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
    /// Operations in all. Split evenly over the processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<NonZeroU64>,
    /// How long to go on. In a closed loop no operation starts later; in an open loop all that are meant to
    /// start within it are sent, however late.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<HumanDuration>,
    /// In which proportion functions are asked for; without it, [`Spec::mix`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<BTreeMap<String, u16>>,
}

/// A `mix` that the workload cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// A weight for something that the workload does not do.
    #[error("mix: a {kind} workload has no {name:?}: give weights to {}", known.join(", "))]
    Unknown {
        /// What there is no such of.
        name: String,
        /// The kind of workload.
        kind: &'static str,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// All weights are zero.
    #[error("mix: at least one weight must be above zero")]
    Empty,
}

/// In which proportion functions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weights(Vec<(&'static str, u16)>);

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

impl Default for ObjectLoad {
    fn default() -> Self {
        ObjectLoad {
            processes: one(),
            rate: None,
            count: None,
            duration: None,
            mix: None,
        }
    }
}

impl ObjectLoad {
    /// Whether its `mix` fits the workload.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(&self, spec: &Spec) -> Result<(), MixError> {
        self.weights(spec).map(drop)
    }

    pub(super) fn weights(&self, spec: &Spec) -> Result<Weights, MixError> {
        let known = spec.mix();
        let Some(mix) = &self.mix else {
            return Ok(Weights(known.to_vec()));
        };
        let unknown = |name: &&String| known.iter().all(|(known, _)| known != name);
        if let Some(name) = mix.keys().find(unknown) {
            return Err(MixError::Unknown {
                name: name.clone(),
                kind: spec.kind(),
                known: known.iter().map(|(name, _)| *name).collect(),
            });
        }
        let weights = known
            .iter()
            .map(|(name, _)| (*name, mix.get(*name).copied().unwrap_or(0)));
        let weights = Weights(weights.collect());
        if weights.sum() == 0 {
            return Err(MixError::Empty);
        }
        Ok(weights)
    }

    pub(super) fn pace(&self) -> Pace {
        Pace {
            processes: self.processes,
            rate: self.rate,
            count: self.count,
            duration: self.duration,
        }
    }
}

impl Weights {
    fn sum(&self) -> u32 {
        self.0.iter().map(|(_, weight)| u32::from(*weight)).sum()
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> &'static str {
        let mut at = rng.random_range(0..self.sum());
        for (name, weight) in &self.0 {
            let weight = u32::from(*weight);
            if at < weight {
                return name;
            }
            at -= weight;
        }
        unreachable!("what is drawn is below the sum")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_names_functions_of_the_workload() {
        let spec = Spec::of_kind("cas").unwrap();
        for (text, expected) in [
            ("mix = { reads = 1 }", "give weights to read, write, cas"),
            ("mix = { read = 0 }", "at least one weight"),
            ("mix = {}", "at least one weight"),
        ] {
            let load: ObjectLoad = toml::from_str(text).unwrap();
            let error = load.check(&spec).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let load: ObjectLoad = toml::from_str("mix = { cas = 3 }\nfor = \"5s\"").unwrap();
        let expected = vec![("read", 0), ("write", 0), ("cas", 3)];
        assert_eq!(load.weights(&spec), Ok(Weights(expected)));
        assert_eq!(ObjectLoad::default().check(&spec), Ok(()));
    }
}
