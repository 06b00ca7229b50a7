//! Which bugs can be planted in which system, and which scenarios must catch each: one TOML file a system.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::scenario::{Catalogue, ScenarioError};

/// The embedded files.
const EMBEDDED: &[(&str, &str)] = &[(
    "miroir_planted",
    include_str!("../../systems/miroir_planted.toml"),
)];

/// The bugs that can be planted in one system.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedBugs {
    /// The system.
    pub system: String,
    /// The program of the system that is replaced.
    pub program: String,
    /// The program that has the bugs, found beside `shakedown` unless told otherwise.
    pub planted: String,
    /// Environment variable that names the bug to switch on.
    pub variable: String,
    /// The bugs.
    pub bug: Vec<PlantedBug>,
}

/// A bug, and who must find it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedBug {
    /// Its name: the value of the variable.
    pub name: String,
    /// What it does, in words.
    pub what: String,
    /// Scenarios that must end as `invalid` with it; at least one.
    pub scenarios: Vec<String>,
}

impl PlantedBugs {
    /// The bugs of a system.
    ///
    /// # Errors
    /// [`ScenarioError::Malformed`] if the embedded file is malformed; a test sees to it that none is.
    pub fn of(system: &str) -> Result<Option<Self>, ScenarioError> {
        for (name, text) in EMBEDDED {
            let bugs: PlantedBugs =
                crate::scenario::toml_at(&format!("embedded:{name}.toml"), text)?;
            if bugs.system == system {
                return Ok(Some(bugs));
            }
        }
        Ok(None)
    }

    /// Every scenario named, each once, in the order of the catalogue.
    pub fn scenarios(&self, catalogue: &Catalogue) -> Vec<String> {
        let named: BTreeSet<&str> = self
            .bug
            .iter()
            .flat_map(|bug| bug.scenarios.iter().map(String::as_str))
            .collect();
        let known = catalogue.scenarios.iter().map(|(s, _)| s.name.get_ref());
        known
            .filter(|name| named.contains(name.as_str()))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_has_a_scenario_of_its_system_that_must_catch_it() {
        let catalogue = Catalogue::embedded().unwrap();
        for (file, _) in EMBEDDED {
            let system = file.strip_suffix("_planted").unwrap();
            let bugs = PlantedBugs::of(system).unwrap().unwrap();
            for bug in &bugs.bug {
                assert!(!bug.scenarios.is_empty(), "{}: no scenario", bug.name);
                for name in &bug.scenarios {
                    let known = catalogue.scenarios.iter().any(|(s, _)| {
                        s.name.get_ref() == name && *s.system.get_ref() == bugs.system
                    });
                    assert!(known, "{}: no scenario `{name}` of {system}", bug.name);
                }
            }
        }
    }

    #[test]
    fn a_system_without_planted_bugs_has_none() {
        assert!(PlantedBugs::of("no such system").unwrap().is_none());
    }
}
