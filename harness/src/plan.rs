//! A scenario and command line resolved to one value: everything a run needs to be repeated.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shakedown_workloads::duration::HumanDuration;

use crate::scenario::{Limits, PlannedFault, Scenario, ScenarioError};
use crate::system::{NodeRef, System};

/// A node of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its role.
    pub role: String,
}

/// One scenario run, resolved. Stored as `plan.json`; `shakedown run plan.json` runs it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of Shakedown that made it.
    pub shakedown_version: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario file as it was.
    pub scenario_text: String,
    /// The system's file as it was, if the system is not embedded.
    #[serde(default)]
    pub system_text: Option<String>,
    /// The seed everything random comes from.
    pub seed: u64,
    /// The nodes with their roles.
    pub nodes: Vec<PlannedNode>,
    /// The system's settings, with the scenario's changes.
    pub settings: serde_json::Value,
    /// Environment added to every service.
    pub env: BTreeMap<String, String>,
    /// Length of storms and of loads with `soak`, instead of the scenario's own.
    #[serde(default)]
    pub time: Option<HumanDuration>,
    /// How much the models that judge its history may take.
    #[serde(default)]
    pub limits: Limits,
    /// The faults of its storms as drawn from the seed.
    #[serde(default)]
    pub storm: Vec<PlannedFault>,
    /// Whether faults are installed without their effect.
    pub noop_faults: bool,
}

/// Why a scenario could not be planned on these nodes.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Too few nodes.
    #[error(
        "scenario `{scenario}` needs {needed} nodes ({roles}), {given} given; add nodes or use `--local {needed}`"
    )]
    TooFewNodes {
        /// The scenario.
        scenario: String,
        /// Nodes it needs.
        needed: usize,
        /// What for.
        roles: String,
        /// Nodes there are.
        given: usize,
    },
    /// A setting the system does not have.
    #[error(
        "scenario `{scenario}`: system `{system}` has no setting `{setting}`; expected one of {known}"
    )]
    UnknownSetting {
        /// The scenario.
        scenario: String,
        /// The system.
        system: String,
        /// The setting.
        setting: String,
        /// Those there are.
        known: String,
    },
    /// A `plan.json` that cannot be used.
    #[error("{path}: not a plan that can be run again: {reason}")]
    NotAPlan {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl Plan {
    /// Deals out the nodes to the scenario's roles, resolves its settings and draws the faults of its storms,
    /// which the scenario returned has among its own. `time` sets the length of storms and soaking loads.
    ///
    /// # Errors
    /// [`PlanError::TooFewNodes`] and [`PlanError::UnknownSetting`].
    pub fn resolve(
        scenario: &Scenario,
        text: &str,
        system: &System,
        nodes: &[NodeRef],
        seed: u64,
        time: Option<HumanDuration>,
    ) -> Result<(Scenario, Self), PlanError> {
        let (scenario, storm) = scenario.expanded(seed, time);
        let name = scenario.name.get_ref();
        let roles = scenario.roles.get_ref();
        if nodes.len() < scenario.nodes_needed() {
            let roles: Vec<String> = roles
                .iter()
                .map(|r| format!("{} {}", r.nodes, r.role.get_ref()))
                .collect();
            return Err(PlanError::TooFewNodes {
                scenario: name.clone(),
                needed: scenario.nodes_needed(),
                roles: roles.join(", "),
                given: nodes.len(),
            });
        }
        let mut settings = system.settings.clone();
        for (setting, value) in &scenario.settings {
            if !settings.contains_key(setting) {
                let known: Vec<&str> = settings.keys().map(String::as_str).collect();
                return Err(PlanError::UnknownSetting {
                    scenario: name.clone(),
                    system: system.name.clone(),
                    setting: setting.clone(),
                    known: known.join(", "),
                });
            }
            settings.insert(setting.clone(), value.clone());
        }
        let dealt = roles
            .iter()
            .flat_map(|r| std::iter::repeat_n(r.role.get_ref(), r.nodes));
        let nodes = nodes
            .iter()
            .zip(dealt)
            .map(|(node, role)| PlannedNode {
                name: node.name.clone(),
                address: node.address.clone(),
                role: role.clone(),
            })
            .collect();
        let plan = Plan {
            shakedown_version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: name.clone(),
            scenario_text: text.to_owned(),
            system_text: system.text.clone(),
            seed,
            nodes,
            settings: serde_json::to_value(settings)
                .expect("TOML values are JSON values, but for dates as strings"),
            env: BTreeMap::new(),
            time,
            limits: scenario.limits,
            storm,
            noop_faults: false,
        };
        Ok((scenario, plan))
    }

    /// Reads the `plan.json` of an earlier run.
    ///
    /// # Errors
    /// [`PlanError::NotAPlan`].
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let not_a_plan = |reason: String| PlanError::NotAPlan {
            path: path.display().to_string(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| not_a_plan(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| not_a_plan(error.to_string()))
    }

    /// The system from its file, if the plan has it.
    ///
    /// # Errors
    /// As [`System::parse`].
    pub fn system(&self, file: &str) -> Result<Option<System>, ScenarioError> {
        let Some(text) = &self.system_text else {
            return Ok(None);
        };
        let mut system = System::parse(file, text)?;
        system.text = Some(text.clone());
        Ok(Some(system))
    }

    /// The nodes by role, as templates see them.
    pub fn roles(&self) -> BTreeMap<String, Vec<NodeRef>> {
        let mut roles: BTreeMap<String, Vec<NodeRef>> = BTreeMap::new();
        for node in &self.nodes {
            let node_ref = NodeRef::new(&node.name, &node.address);
            roles.entry(node.role.clone()).or_default().push(node_ref);
        }
        roles
    }
}
