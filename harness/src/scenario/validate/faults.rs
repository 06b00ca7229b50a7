//! Faults and storms: one kind each, on targets that exist, with numbers that make sense.

use shakedown_nemesis::fault::CLIENTS;
use toml::Spanned;

use super::{Problem, Target, list, split_target};
use crate::scenario::storm::ANY;
use crate::scenario::{FaultItem, FaultParameters, Names, Scenario};
use crate::system::System;

const KINDS: &str = "exactly one of `partition`, `kill`, `pause`, `reset`, `delay`, `shape`, `clock`, `power_loss`, `disk_full`";

impl Scenario {
    pub(super) fn validate_faults(&self, system: &System) -> Result<(), Problem> {
        for fault in &self.fault {
            if fault.until.is_some() && fault.duration.is_some() {
                return Err(Problem::at(
                    &fault.name,
                    "expected `until` or `for`, not both",
                ));
            }
            self.validate_kind(fault, &fault.name, system, false)?;
        }
        Ok(())
    }

    pub(super) fn validate_storms(&self, system: &System) -> Result<(), Problem> {
        for storm in &self.storm {
            let every = storm.every.get_ref();
            let at_once = *storm.at_once.get_ref();
            if at_once == 0
                || storm
                    .nodes_at_once
                    .as_ref()
                    .is_some_and(|n| *n.get_ref() == 0)
            {
                let message = "expected `at_once` and `nodes_at_once` of at least 1";
                return Err(Problem::at(&storm.name, message));
            }
            for pair in &storm.never_together {
                let known: Vec<&str> = (storm.fault.iter())
                    .filter_map(|f| {
                        f.item(storm.name.clone(), storm.when.clone())
                            .parameters()
                            .map(FaultParameters::kind)
                    })
                    .collect();
                if let Some(unknown) = pair
                    .get_ref()
                    .iter()
                    .find(|kind| !known.contains(&kind.as_str()))
                {
                    let message = format!(
                        "no fault of this storm is a `{unknown}`; expected two of {}",
                        list(known)
                    );
                    return Err(Problem::at(pair, message));
                }
            }
            if at_once == 1 && storm.hold >= *every {
                let message = format!(
                    "`every` ({every}) must be longer than `hold` ({}): one fault at a time, and time to recover",
                    storm.hold
                );
                return Err(Problem::at(&storm.name, message));
            }
            if storm.duration < *every {
                let message = format!(
                    "`for` ({}) is shorter than `every` ({every}), so nothing would ever strike",
                    storm.duration
                );
                return Err(Problem::at(&storm.name, message));
            }
            if storm.fault.is_empty() {
                return Err(Problem::at(
                    &storm.name,
                    "expected at least one [[storm.fault]]",
                ));
            }
            for fault in &storm.fault {
                if *fault.weight.get_ref() == 0 {
                    return Err(Problem::at(
                        &fault.weight,
                        "expected a weight of at least 1",
                    ));
                }
                let item = fault.item(storm.name.clone(), storm.when.clone());
                self.validate_kind(&item, &fault.weight, system, true)?;
            }
        }
        Ok(())
    }

    fn validate_kind<T>(
        &self,
        fault: &FaultItem,
        place: &Spanned<T>,
        system: &System,
        in_storm: bool,
    ) -> Result<(), Problem> {
        let Some(parameters) = fault.parameters() else {
            return Err(Problem::at(place, format!("expected {KINDS}")));
        };
        for targets in parameters.targets() {
            self.validate_fault_targets(targets, parameters, in_storm)?;
        }
        validate_numbers(parameters)?;
        if let FaultParameters::PowerLoss(_) | FaultParameters::DiskFull(_) = parameters {
            self.validate_disk(parameters)?;
        }
        let Some(service) = parameters.service() else {
            return Ok(());
        };
        if system.service.iter().any(|s| s.name == *service) {
            return Ok(());
        }
        let names = system.service.iter().map(|s| s.name.get_ref());
        let message = format!(
            "{} has no such service; expected one of {}",
            system.name,
            list(names)
        );
        Err(Problem::at(service, message))
    }

    /// As other targets; `clients` may be among those whose packets a fault concerns.
    fn validate_fault_targets(
        &self,
        targets: &Spanned<Names>,
        parameters: FaultParameters<'_>,
        in_storm: bool,
    ) -> Result<(), Problem> {
        let mut nodes = targets.clone();
        nodes.get_mut().0.retain(|target| target != CLIENTS);
        if nodes.get_ref().0.len() == targets.get_ref().0.len() {
            return self.validate_targets(targets, in_storm);
        }
        let senders = parameters.senders();
        if !senders.is_some_and(|senders| std::ptr::eq(senders, targets)) {
            let message = format!(
                "`{CLIENTS}` can be named only where packets come from, in `from` of `shape`"
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

    fn validate_disk(&self, parameters: FaultParameters<'_>) -> Result<(), Problem> {
        for targets in parameters.targets() {
            for target in &targets.get_ref().0 {
                let role = target.split('[').next().unwrap_or(target);
                let mut roles = self.roles.get_ref().iter();
                if !roles.any(|r| r.role.get_ref() == role && r.disk_mib.is_some()) {
                    let message = format!(
                        "`{}` needs nodes with a disk of their own; add `disk_mib = 64` to the role `{role}`",
                        parameters.kind()
                    );
                    return Err(Problem::at(targets, message));
                }
            }
        }
        Ok(())
    }
}

fn validate_numbers(parameters: FaultParameters<'_>) -> Result<(), Problem> {
    match parameters {
        FaultParameters::Reset(reset) => {
            let probability = *reset.probability.get_ref();
            if !(probability > 0.0 && probability <= 1.0) {
                return Err(Problem::at(
                    &reset.probability,
                    "expected a probability above 0, up to 1",
                ));
            }
            for pattern in &reset.containing {
                if let Err(error) = regex::bytes::Regex::new(pattern.get_ref()) {
                    let message = format!("expected a regular expression: {error}");
                    return Err(Problem::at(pattern, message));
                }
            }
        }
        FaultParameters::Delay(delay) => {
            if delay.delay.get_ref().0.as_millis() == 0 {
                return Err(Problem::at(
                    &delay.delay,
                    "expected a delay of at least 1ms",
                ));
            }
            if delay.jitter > *delay.delay.get_ref() {
                return Err(Problem::at(
                    &delay.delay,
                    "expected a `jitter` not above the delay: packets cannot arrive before they are sent",
                ));
            }
        }
        FaultParameters::Shape(shape) => {
            let effects = shape.effects().check();
            let both_ways = shape.both && shape.from.get_ref().0.iter().any(|f| f == CLIENTS);
            let problem = if both_ways {
                Some(format!(
                    "`both` can't be had with `{CLIENTS}`: what goes to them comes in at no node"
                ))
            } else if shape.port == Some(0) {
                Some("expected a port of 1 to 65535".to_owned())
            } else {
                effects.err().map(|error| error.to_string())
            };
            if let Some(message) = problem {
                return Err(Problem::at(&shape.to, message));
            }
        }
        FaultParameters::Clock(clock) if clock.offset_ms().is_none_or(|ms| ms == 0) => {
            return Err(Problem::at(
                &clock.offset,
                "expected a duration other than 0, with `-` before it for a clock that is behind, like \"-5s\"",
            ));
        }
        _ => {}
    }
    Ok(())
}
