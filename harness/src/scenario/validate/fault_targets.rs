//! Targets of faults: nodes that exist, and names that stand for others.

use std::collections::BTreeSet;

use shakedown_nemesis::fault::CLIENTS;
use toml::Spanned;

use super::{Problem, Target, list, split_target};
use crate::scenario::storm::ANY;
use crate::scenario::{FaultParameters, Names, PRIMARY, Scenario};

impl Scenario {
    /// As other targets, or the `primary`; `clients` may be among those whose packets a fault concerns.
    pub(super) fn validate_fault_targets(
        &self,
        targets: &Spanned<Names>,
        parameters: &FaultParameters,
        in_storm: bool,
    ) -> Result<(), Problem> {
        let mut nodes = targets.clone();
        nodes
            .get_mut()
            .0
            .retain(|target| target != CLIENTS && target != PRIMARY);
        if nodes.get_ref().0.len() == targets.get_ref().0.len() {
            return self.validate_targets(targets, in_storm);
        }
        let clients = targets.get_ref().0.iter().any(|target| target == CLIENTS);
        let senders = parameters.senders();
        if clients && !senders.is_some_and(|senders| std::ptr::eq(senders, targets)) {
            let message = format!(
                "`{CLIENTS}` can be named only where packets come from, in `from` of `partition`, `shape`, `block` and `stream`"
            );
            return Err(Problem::at(targets, message));
        }
        if nodes.get_ref().0.is_empty() {
            return Ok(());
        }
        self.validate_targets(&nodes, in_storm)
    }

    /// Targets are roles of this scenario, or one node of a role as `role[index]`.
    pub(super) fn validate_targets(
        &self,
        targets: &Spanned<Names>,
        in_storm: bool,
    ) -> Result<(), Problem> {
        if targets.get_ref().0.is_empty() {
            return Err(Problem::at(
                targets,
                "expected at least one role, or node as `role[0]`",
            ));
        }
        for target in &targets.get_ref().0 {
            let (role, which) = match target.strip_suffix(ANY) {
                Some(role) if in_storm => (role, Target::All),
                Some(role) => {
                    let message = format!(
                        "a random node, `{target}`, can be named only in a storm; expected `{role}` or `{role}[0]`"
                    );
                    return Err(Problem::at(targets, message));
                }
                None => split_target(target),
            };
            match (self.nodes_of(role), which) {
                (None, _) => {
                    let known = list(self.roles.get_ref().iter().map(|r| r.role.get_ref()));
                    let message = format!(
                        "no role `{role}` in this scenario; expected one of {known}, or one node as `role[0]`"
                    );
                    return Err(Problem::at(targets, message));
                }
                (Some(nodes), Target::One(index)) if index >= nodes => {
                    let message = format!("role `{role}` has {nodes} nodes, counted from 0");
                    return Err(Problem::at(targets, message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The single nodes that targets name, as `role[index]`; a random one counts as one.
    pub(super) fn each_node(&self, targets: &Spanned<Names>) -> BTreeSet<String> {
        let nodes = targets.get_ref().0.iter().flat_map(|target| {
            if let Some(role) = target.strip_suffix(ANY) {
                return vec![format!("{role}[0]")];
            }
            match split_target(target) {
                (_, Target::One(_)) => vec![target.clone()],
                (role, Target::All) => {
                    let count = self.nodes_of(role).unwrap_or(0);
                    (0..count).map(|i| format!("{role}[{i}]")).collect()
                }
            }
        });
        nodes.collect()
    }
}
