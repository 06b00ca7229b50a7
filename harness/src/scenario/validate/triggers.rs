//! Triggers: one condition each, on things that exist.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{Problem, list};
use crate::scenario::{Mark, Scenario, Trigger};
use crate::system::System;

impl Scenario {
    /// Every trigger of the scenario.
    fn triggers(&self) -> impl Iterator<Item = &Spanned<Trigger>> {
        let loads = (self.load.iter()).flat_map(|i| [Some(&i.when), i.until.as_ref()]);
        let faults = (self.fault.iter()).flat_map(|i| [Some(&i.when), i.until.as_ref()]);
        loads
            .chain(faults)
            .flatten()
            .chain(self.storm.iter().map(|i| &i.when))
            .chain(self.action.iter().map(|i| &i.when))
            .chain(self.checkpoint.iter().map(|i| &i.when))
    }

    pub(super) fn validate_triggers(
        &self,
        system: &System,
        items: &BTreeSet<&str>,
    ) -> Result<(), Problem> {
        self.triggers()
            .try_for_each(|trigger| validate_trigger(trigger, system, items))
    }
}

fn validate_trigger(
    trigger: &Spanned<Trigger>,
    system: &System,
    items: &BTreeSet<&str>,
) -> Result<(), Problem> {
    let Trigger {
        at,
        after,
        after_ops,
        phase,
        mark,
        delay: _,
    } = trigger.get_ref();
    let given = [
        at.is_some(),
        after.is_some(),
        after_ops.is_some(),
        phase.is_some(),
        mark.is_some(),
    ];
    if given.iter().filter(|g| **g).count() != 1 {
        return Err(Problem::at(
            trigger,
            "expected exactly one of `at`, `after`, `after_ops`, `phase`, `mark`",
        ));
    }
    if let Some(names) = after {
        if names.get_ref().0.is_empty() {
            return Err(Problem::at(names, "expected at least one item"));
        }
        for name in &names.get_ref().0 {
            let item = name.strip_suffix(".start").unwrap_or(name);
            if !items.contains(item) {
                return Err(Problem::at(
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
        return Err(Problem::at(phase, message));
    }
    mark.as_ref()
        .map_or(Ok(()), |mark| validate_mark(mark, system))
}

/// A mark is in a lane that the system has.
pub(super) fn validate_mark(mark: &Spanned<Mark>, system: &System) -> Result<(), Problem> {
    let lanes: BTreeSet<&str> = system.event.iter().map(|e| e.lane.as_str()).collect();
    if lanes.contains(mark.get_ref().lane.as_str()) {
        return Ok(());
    }
    let message = format!(
        "{} has no lane `{}`; expected one of {}",
        system.name,
        mark.get_ref().lane,
        list(lanes)
    );
    Err(Problem::at(mark, message))
}
