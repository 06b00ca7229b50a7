//! What a scenario's parts must agree on, beyond their form.

mod actions;
mod fault_numbers;
mod fault_targets;
mod faults;
mod overlap;
mod split;
mod storms;
mod triggers;
mod waits;
mod workload;

use std::collections::BTreeSet;
use std::ops::Range;

use shakedown_nemesis::protocol::{LARGEST_DISK_MIB, SMALLEST_DISK_MIB};
use shakedown_reports::results::ClaimOf;
use toml::Spanned;

use super::{Claim, Scenario};
use crate::system::System;

/// A problem and the place in the text it concerns.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn at<T>(place: &Spanned<T>, message: impl Into<String>) -> Self {
        Problem {
            span: place.span(),
            message: message.into(),
        }
    }
}

/// Names for a message.
pub(crate) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
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
            return Err(Problem::at(
                &self.name,
                "expected a name of lower-case letters, digits and `_`",
            ));
        }
        let system = systems
            .iter()
            .find(|s| s.name == *self.system.get_ref())
            .ok_or_else(|| {
                let names = list(systems.iter().map(|s| &s.name));
                Problem::at(
                    &self.system,
                    format!("no such system; expected one of {names}"),
                )
            })?;
        self.validate_roles(system)?;
        if self.load.is_empty() {
            return Err(Problem::at(
                &self.name,
                "expected at least one [[load]]: a run without load proves nothing",
            ));
        }
        let items = self.unique_items()?;
        self.validate_triggers(system, &items)?;
        self.validate_claim()?;
        self.validate_loads()?;
        self.validate_workload(system)?;
        self.validate_faults(system)?;
        self.validate_storms(system)?;
        self.validate_actions(system)?;
        self.validate_waits()?;
        self.validate_overlaps()
    }

    fn validate_roles(&self, system: &System) -> Result<(), Problem> {
        if self.roles.get_ref().is_empty() {
            return Err(Problem::at(&self.roles, "expected at least one role"));
        }
        for role in self.roles.get_ref() {
            let roles = system.roles();
            if !roles.contains(role.role.get_ref().as_str()) {
                return Err(Problem::at(
                    &role.role,
                    format!("no such role; expected one of {}", list(roles)),
                ));
            }
            if role.nodes == 0 {
                return Err(Problem::at(
                    &role.role,
                    "expected at least one node for this role",
                ));
            }
            if role.disk_layer && role.disk_mib.is_none() {
                return Err(Problem::at(
                    &role.role,
                    "expected `disk_layer` only with `disk_mib` for this role",
                ));
            }
            let sizes = SMALLEST_DISK_MIB..=LARGEST_DISK_MIB;
            if role.disk_mib.is_some_and(|mib| !sizes.contains(&mib)) {
                let message = format!(
                    "expected a `disk_mib` of {} to {} for this role",
                    sizes.start(),
                    sizes.end()
                );
                return Err(Problem::at(&role.role, message));
            }
        }
        Ok(())
    }

    fn unique_items(&self) -> Result<BTreeSet<&str>, Problem> {
        let mut items = BTreeSet::new();
        let names = (self.load.iter().map(|i| &i.name))
            .chain(self.fault.iter().map(|i| &i.name))
            .chain(self.storm.iter().map(|i| &i.name))
            .chain(self.action.iter().map(|i| &i.name))
            .chain(self.checkpoint.iter().map(|i| &i.name));
        for name in names {
            let text = name.get_ref().as_str();
            if text == "final" || text.is_empty() || text.contains('.') || text.contains('/') {
                return Err(Problem::at(
                    name,
                    "expected a name without `.` and `/`, other than `final`",
                ));
            }
            if !items.insert(text) {
                return Err(Problem::at(
                    name,
                    "another item has this name; expected a unique one",
                ));
            }
        }
        Ok(items)
    }

    fn validate_claim(&self) -> Result<(), Problem> {
        let Some(claim) = &self.claim else {
            return Ok(());
        };
        let Claim {
            rate_percent,
            max_per_million,
            of,
            ..
        } = claim.get_ref();
        let figure = match (of, rate_percent, max_per_million) {
            (ClaimOf::Expectation, None, None) => return Ok(()),
            (ClaimOf::Expectation, ..) => {
                let message = "expected no figure: a claim about the expectation is not a rate";
                return Err(Problem::at(claim, message));
            }
            (_, Some(percent), None) => percent / 1e2,
            (_, None, Some(per_million)) => per_million / 1e6,
            _ => {
                let message = "expected either `rate_percent` or `max_per_million`";
                return Err(Problem::at(claim, message));
            }
        };
        if !(0.0..=1.0).contains(&figure) {
            return Err(Problem::at(claim, "expected a rate from 0 to 100 %"));
        }
        Ok(())
    }

    fn validate_loads(&self) -> Result<(), Problem> {
        for load in &self.load {
            if load.count.is_none() && load.duration.is_none() && load.until.is_none() {
                return Err(Problem::at(
                    &load.name,
                    "expected one of `count`, `for` and `until`, or it never ends",
                ));
            }
            if load.soak && load.duration.is_none() {
                return Err(Problem::at(
                    &load.name,
                    "expected a `for`, which `soak` lets `--time` change",
                ));
            }
        }
        Ok(())
    }

    /// Nodes of a role; `None` if the scenario has no such role.
    pub(crate) fn nodes_of(&self, role: &str) -> Option<usize> {
        let found = self
            .roles
            .get_ref()
            .iter()
            .find(|r| r.role.get_ref() == role);
        found.map(|r| r.nodes)
    }
}

/// Where a target points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// All nodes of the role.
    All,
    /// The node at this place, counted from 0.
    One(usize),
}

/// Splits `store[1]` into `store` and its second node, and `store` into `store` and all of its nodes.
pub(crate) fn split_target(target: &str) -> (&str, Target) {
    if let Some((role, rest)) = target.split_once('[')
        && let Some(Ok(index)) = rest.strip_suffix(']').map(str::parse)
    {
        return (role, Target::One(index));
    }
    (target, Target::All)
}
