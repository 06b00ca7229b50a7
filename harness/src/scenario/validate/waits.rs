//! Items that wait for each other, or for an end that never comes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;

use super::Problem;
use crate::scenario::{Scenario, Trigger};

/// A moment in the life of an item: `NAME.start` or `NAME`, as triggers spell it.
type Moment = String;

/// What must have happened before a moment can come.
#[derive(Default)]
pub(super) struct Waits {
    for_all: BTreeMap<Moment, (Range<usize>, Vec<Moment>)>,
    /// Ends that come with the end of the scenario only.
    never: BTreeSet<String>,
}

fn names(trigger: &Trigger) -> Vec<Moment> {
    (trigger.after.as_ref()).map_or_else(Vec::new, |names| names.get_ref().0.clone())
}

impl Waits {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let mut waits = Waits::default();
        for load in &scenario.load {
            // `count` and `for` end it, too: then its end does not have to wait for `until`.
            let own_end = load.count.is_some() || load.duration.is_some();
            let until = load.until.as_ref().filter(|_| !own_end);
            waits.item(&load.name, &load.when, until);
        }
        for fault in &scenario.fault {
            waits.item(&fault.name, &fault.when, fault.until.as_ref());
            if fault.until.is_none() && fault.duration.is_none() {
                waits.never.insert(fault.name.get_ref().clone());
            }
        }
        for storm in &scenario.storm {
            waits.item(&storm.name, &storm.when, None);
        }
        for action in &scenario.action {
            waits.item(&action.name, &action.when, None);
        }
        for checkpoint in &scenario.checkpoint {
            waits.item(&checkpoint.name, &checkpoint.when, None);
        }
        waits
    }

    fn item(
        &mut self,
        name: &Spanned<String>,
        when: &Spanned<Trigger>,
        until: Option<&Spanned<Trigger>>,
    ) {
        let start = format!("{}.start", name.get_ref());
        let mut before_end = vec![start.clone()];
        before_end.extend(until.iter().flat_map(|until| names(until.get_ref())));
        let end_span = until.map_or(when.span(), Spanned::span);
        (self.for_all).insert(start, (when.span(), names(when.get_ref())));
        (self.for_all).insert(name.get_ref().clone(), (end_span, before_end));
    }

    /// Whether `later` can only come after `earlier`.
    pub(super) fn follows(&self, later: &str, earlier: &str) -> bool {
        let mut open = vec![later];
        let mut seen = BTreeSet::new();
        while let Some(moment) = open.pop() {
            if moment == earlier {
                return true;
            }
            if seen.insert(moment)
                && let Some((_, before)) = self.for_all.get(moment)
            {
                open.extend(before.iter().map(String::as_str));
            }
        }
        false
    }

    /// A circle of moments through `moment`, if there is one.
    fn circle(&self, moment: &str) -> Option<Vec<&str>> {
        let mut paths: Vec<Vec<&str>> = vec![vec![self.for_all.get_key_value(moment)?.0]];
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop() {
            let last = path.last().expect("paths begin with a moment");
            let before = self.for_all.get(*last).map(|(_, before)| before);
            for next in before.into_iter().flatten() {
                if next == moment {
                    return Some(path);
                }
                if seen.insert(next) {
                    paths.push(path.iter().copied().chain([next.as_str()]).collect());
                }
            }
        }
        None
    }
}

impl Scenario {
    /// Refuses triggers that can never fire since they wait, in the end, for themselves, or for the end
    /// of a fault that lasts as long as the scenario.
    pub(super) fn validate_waits(&self) -> Result<(), Problem> {
        let waits = Waits::of(self);
        for (moment, (span, before)) in &waits.for_all {
            if let Some(circle) = waits.circle(moment) {
                let mut steps: Vec<String> = circle.iter().map(|m| format!("`{m}`")).collect();
                steps.push(format!("`{moment}`"));
                return Err(Problem {
                    span: span.clone(),
                    message: format!(
                        "these wait for each other, so none ever comes: {}; break the circle",
                        steps.join(" waits for ")
                    ),
                });
            }
            if let Some(never) = before.iter().find(|b| waits.never.contains(*b)) {
                return Err(Problem {
                    span: span.clone(),
                    message: format!(
                        "fault `{never}` lasts to the end of the scenario, so nothing can wait for its end; \
                         give it `for` or `until`, or wait for `{never}.start`"
                    ),
                });
            }
        }
        Ok(())
    }
}
