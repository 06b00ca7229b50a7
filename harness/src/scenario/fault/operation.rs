//! What the system's own operators do to it, as a fault.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use crate::scenario::{FaultParameters, Mark, Names, Scenario};
use crate::system::System;

/// Parameters of `operation`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationFault {
    /// An action of the system file.
    pub run: Spanned<String>,
    /// Where, instead of on the node the system file says: roles or node names, one after the other.
    pub on: Option<Spanned<Names>>,
    /// Arguments for the action's template.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// What must appear in the system's log while it is in force.
    pub mark: Option<Spanned<Mark>>,
    /// The action that takes it back when it ends, in the same place and with the same arguments.
    pub undo: Option<Spanned<String>>,
}

impl Scenario {
    /// The actions of the system file that it runs, by name.
    fn actions_used(&self) -> impl Iterator<Item = &str> {
        let operations = self
            .all_faults()
            .filter_map(FaultParameters::operation)
            .flat_map(|operation| std::iter::once(&operation.run).chain(&operation.undo));
        (self.action.iter().map(|action| &action.run))
            .chain(operations)
            .map(|name| name.get_ref().as_str())
    }

    /// The programs that nodes need for it: those of the system, and those that it is upgraded to.
    pub(crate) fn programs(&self, system: &System) -> BTreeSet<String> {
        let actions = self
            .actions_used()
            .filter_map(|name| system.action.get(name));
        let upgrades = actions.filter_map(|action| action.upgrade.as_ref());
        (system.upload.iter().cloned())
            .chain(upgrades.map(|upgrade| upgrade.get_ref().to.clone()))
            .collect()
    }
}
