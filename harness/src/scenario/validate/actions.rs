//! Actions: ones that the system has, and captures that are made.

use super::{Problem, list};
use crate::scenario::Scenario;
use crate::system::System;

impl Scenario {
    pub(super) fn validate_actions(&self, system: &System) -> Result<(), Problem> {
        for action in &self.action {
            let Some(spec) = system.action.get(action.run.get_ref()) else {
                let names = list(system.action.keys());
                let message = format!(
                    "{} has no such action; expected one of {names}",
                    system.name
                );
                return Err(Problem::at(&action.run, message));
            };
            match &action.on {
                Some(on) if spec.copy.is_some() => {
                    let message = "this action copies between nodes that the system file names; leave `on` out";
                    return Err(Problem::at(on, message));
                }
                Some(on) => self.validate_targets(on, false)?,
                None => {}
            }
            for target in spec.targets().filter(|_| action.on.is_none()) {
                let role = target.split('[').next().unwrap_or(target);
                if self.nodes_of(role).is_none() {
                    let message = format!(
                        "this action needs a node `{target}`, and no role of this scenario is `{role}`; add the role"
                    );
                    return Err(Problem::at(&action.run, message));
                }
            }
        }
        for pair in &self.expect.same {
            for name in pair.get_ref() {
                if !self.action.iter().any(|a| a.capture.as_ref() == Some(name)) {
                    return Err(Problem::at(
                        pair,
                        format!("no action captures its output as `{name}`"),
                    ));
                }
            }
        }
        Ok(())
    }
}
