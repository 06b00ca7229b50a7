//! What a scenario's parts must agree on, beyond their form.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;

use super::{FaultParameters, Names, Scenario, Trigger};
use crate::system::System;

/// A problem and the place in the text it concerns.
pub(crate) struct Problem {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

fn problem<T>(place: &Spanned<T>, message: impl Into<String>) -> Problem {
    Problem {
        span: place.span(),
        message: message.into(),
    }
}

fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|n| format!("`{}`", n.as_ref()))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

impl Scenario {
    pub(crate) fn validate(&self, systems: &[System]) -> Result<(), Problem> {
        let name = self.name.get_ref();
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            return Err(problem(
                &self.name,
                "expected a name of lower-case letters, digits and `_`",
            ));
        }
        let system = systems
            .iter()
            .find(|s| s.name == *self.system.get_ref())
            .ok_or_else(|| {
                problem(
                    &self.system,
                    format!(
                        "no such system; expected one of {}",
                        list(systems.iter().map(|s| &s.name))
                    ),
                )
            })?;
        for role in self.roles.get_ref() {
            let roles = system.roles();
            if !roles.contains(role.role.get_ref().as_str()) {
                return Err(problem(
                    &role.role,
                    format!("no such role; expected one of {}", list(roles)),
                ));
            }
            if role.nodes == 0 {
                return Err(problem(
                    &role.role,
                    "expected at least one node for this role",
                ));
            }
        }
        if self.roles.get_ref().is_empty() {
            return Err(problem(&self.roles, "expected at least one role"));
        }
        if self.load.is_empty() {
            return Err(problem(
                &self.name,
                "expected at least one [[load]]: a run without load proves nothing",
            ));
        }
        let items = self.unique_items()?;
        self.validate_triggers(system, &items)?;
        self.validate_claim()?;
        self.validate_loads()?;
        self.validate_faults(system)?;
        self.validate_actions(system)
    }

    fn unique_items(&self) -> Result<BTreeSet<&str>, Problem> {
        let mut items = BTreeSet::new();
        let names = (self.load.iter().map(|i| &i.name))
            .chain(self.fault.iter().map(|i| &i.name))
            .chain(self.action.iter().map(|i| &i.name))
            .chain(self.checkpoint.iter().map(|i| &i.name));
        for name in names {
            let text = name.get_ref().as_str();
            if text == "final" || text.is_empty() || text.contains('.') || text.contains('/') {
                return Err(problem(
                    name,
                    "expected a name without `.` and `/`, other than `final`",
                ));
            }
            if !items.insert(text) {
                return Err(problem(
                    name,
                    "another item has this name; expected a unique one",
                ));
            }
        }
        Ok(items)
    }

    fn validate_triggers(&self, system: &System, items: &BTreeSet<&str>) -> Result<(), Problem> {
        let triggers = (self
            .load
            .iter()
            .flat_map(|i| [Some(&i.when), i.until.as_ref()]))
        .chain(
            self.fault
                .iter()
                .flat_map(|i| [Some(&i.when), i.until.as_ref()]),
        )
        .chain(self.action.iter().map(|i| Some(&i.when)))
        .chain(self.checkpoint.iter().map(|i| Some(&i.when)));
        for trigger in triggers.flatten() {
            let Trigger {
                at,
                after,
                after_ops,
                phase,
                delay: _,
            } = trigger.get_ref();
            let given = [
                at.is_some(),
                after.is_some(),
                after_ops.is_some(),
                phase.is_some(),
            ];
            if given.iter().filter(|g| **g).count() != 1 {
                return Err(problem(
                    trigger,
                    "expected exactly one of `at`, `after`, `after_ops`, `phase`",
                ));
            }
            if let Some(names) = after {
                for name in &names.get_ref().0 {
                    let item = name.strip_suffix(".start").unwrap_or(name);
                    if !items.contains(item) {
                        return Err(problem(
                            names,
                            format!("no item `{name}`; expected one of {}", list(items)),
                        ));
                    }
                }
            }
            if let Some(phase) = phase
                && !system.phases.contains(phase.get_ref())
            {
                let message = format!(
                    "{} has no such phase; expected one of {}",
                    system.name,
                    list(&system.phases)
                );
                return Err(problem(phase, message));
            }
        }
        Ok(())
    }

    fn validate_claim(&self) -> Result<(), Problem> {
        let Some(claim) = &self.claim else {
            return Ok(());
        };
        let figure = match (
            claim.get_ref().rate_percent,
            claim.get_ref().max_per_million,
        ) {
            (Some(percent), None) => percent / 1e2,
            (None, Some(per_million)) => per_million / 1e6,
            _ => {
                let message = "expected either `rate_percent` or `max_per_million`";
                return Err(problem(claim, message));
            }
        };
        if !(0.0..=1.0).contains(&figure) {
            return Err(problem(claim, "expected a rate from 0 to 100 %"));
        }
        Ok(())
    }

    fn validate_loads(&self) -> Result<(), Problem> {
        for load in &self.load {
            if load.count.is_none() && load.duration.is_none() && load.until.is_none() {
                return Err(problem(
                    &load.name,
                    "expected one of `count`, `for` and `until`, or it never ends",
                ));
            }
        }
        Ok(())
    }

    fn validate_faults(&self, system: &System) -> Result<(), Problem> {
        for fault in &self.fault {
            let Some(parameters) = fault.parameters() else {
                let message = "expected exactly one of [fault.partition], [fault.kill], [fault.pause], [fault.reset]";
                return Err(problem(&fault.name, message));
            };
            if fault.until.is_some() && fault.duration.is_some() {
                return Err(problem(&fault.name, "expected `until` or `for`, not both"));
            }
            let (targets, service): (Vec<&Spanned<Names>>, Option<&Spanned<String>>) =
                match parameters {
                    FaultParameters::Partition(p) => (vec![&p.from, &p.to], None),
                    FaultParameters::Kill(k) => (vec![&k.nodes], Some(&k.service)),
                    FaultParameters::Pause(p) => (vec![&p.nodes], Some(&p.service)),
                    FaultParameters::Reset(r) => {
                        if !(*r.probability.get_ref() > 0.0 && *r.probability.get_ref() <= 1.0) {
                            return Err(problem(
                                &r.probability,
                                "expected a probability above 0, up to 1",
                            ));
                        }
                        (
                            std::iter::once(&r.nodes).chain(r.from.as_ref()).collect(),
                            None,
                        )
                    }
                };
            for target in targets {
                self.validate_target(target)?;
            }
            if let Some(service) = service
                && !system.service.iter().any(|s| s.name == *service.get_ref())
            {
                let names = system.service.iter().map(|s| &s.name);
                let message = format!(
                    "{} has no such service; expected one of {}",
                    system.name,
                    list(names)
                );
                return Err(problem(service, message));
            }
        }
        Ok(())
    }

    /// Targets are roles of this scenario, or one node of a role as `role[index]`.
    fn validate_target(&self, targets: &Spanned<Names>) -> Result<(), Problem> {
        let roles = self.roles.get_ref();
        if targets.get_ref().0.is_empty() {
            return Err(problem(
                targets,
                "expected at least one role, or node as `role[0]`",
            ));
        }
        for target in &targets.get_ref().0 {
            let (role, index) = split_target(target);
            match roles.iter().find(|r| r.role.get_ref() == role) {
                None => {
                    let known = list(roles.iter().map(|r| r.role.get_ref()));
                    let message = format!(
                        "no role `{role}` in this scenario; expected one of {known}, or one node as `role[0]`"
                    );
                    return Err(problem(targets, message));
                }
                Some(found) if index.is_some_and(|index| index >= found.nodes) => {
                    let message =
                        format!("role `{role}` has {} nodes, counted from 0", found.nodes);
                    return Err(problem(targets, message));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn validate_actions(&self, system: &System) -> Result<(), Problem> {
        for action in &self.action {
            if !system.action.contains_key(action.run.get_ref()) {
                let names = list(system.action.keys());
                return Err(problem(
                    &action.run,
                    format!(
                        "{} has no such action; expected one of {names}",
                        system.name
                    ),
                ));
            }
        }
        for pair in &self.expect.same {
            for name in pair.get_ref() {
                if !self.action.iter().any(|a| a.capture.as_ref() == Some(name)) {
                    return Err(problem(
                        pair,
                        format!("no action captures its output as `{name}`"),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Splits `store[1]` into `store` and 1, and `store` into `store` and nothing.
pub(crate) fn split_target(target: &str) -> (&str, Option<usize>) {
    if let Some((role, rest)) = target.split_once('[')
        && let Some(Ok(index)) = rest.strip_suffix(']').map(str::parse)
    {
        return (role, Some(index));
    }
    (target, None)
}
