//! Actions: ones that the system has, and captures that are made.

use toml::Spanned;

use super::{Problem, list};
use crate::scenario::{Names, Scenario};
use crate::system::System;

impl Scenario {
    pub(super) fn validate_actions(&self, system: &System) -> Result<(), Problem> {
        for action in &self.action {
            self.validate_act(&action.run, action.on.as_ref(), system)?;
            if let Some(on) = &action.on {
                self.validate_targets(on, false)?;
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

    /// The system has the action, and this scenario the nodes it needs; `on` is where it is to be done instead of
    /// where the system file says.
    pub(super) fn validate_act(
        &self,
        run: &Spanned<String>,
        on: Option<&Spanned<Names>>,
        system: &System,
    ) -> Result<(), Problem> {
        let Some(spec) = system.action.get(run.get_ref()) else {
            let names = list(system.action.keys());
            let message = format!(
                "{} has no such action; expected one of {names}",
                system.name
            );
            return Err(Problem::at(run, message));
        };
        if let Some(on) = on.filter(|_| spec.copy.is_some()) {
            let message =
                "this action copies between nodes that the system file names; leave `on` out";
            return Err(Problem::at(on, message));
        }
        for target in spec.targets().filter(|_| on.is_none()) {
            let role = target.split('[').next().unwrap_or(target);
            if self.nodes_of(role).is_none() {
                let message = format!(
                    "this action needs a node `{target}`, and no role of this scenario is `{role}`; add the role"
                );
                return Err(Problem::at(run, message));
            }
        }
        Ok(())
    }
}
