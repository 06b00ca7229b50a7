//! Faults and storms: one kind each, on targets that exist, with numbers that make sense.

use std::collections::BTreeSet;

use shakedown_nemesis::fault::CLIENTS;
use toml::Spanned;

use super::triggers::validate_mark;
use super::{Problem, Target, list, split_target};
use crate::scenario::storm::ANY;
use crate::scenario::{
    FaultItem, FaultParameters, Names, PRIMARY, Scenario, SplitFault, SplitShape,
};
use crate::system::System;

const KINDS: &str = "exactly one of `partition`, `split`, `kill`, `pause`, `reset`, `delay`, `shape`, `block`, `stream`, `dns`, `clock`, `power_loss`, `disk_full`, `crash_loop`, `cpu`, `memory`, `limit`, `inodes_full`, `io`, `corrupt`, `host_clock`, `operation`";

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
        if fault.names_primary() && system.primary.is_none() {
            let message = format!(
                "{} does not tell which node is the primary: its file has no [primary]",
                system.name
            );
            return Err(Problem::at(place, message));
        }
        validate_numbers(parameters)?;
        if let FaultParameters::Split(split) = parameters {
            self.validate_split(split, place)?;
        }
        if let FaultParameters::Operation(operation) = parameters {
            for run in std::iter::once(&operation.run).chain(&operation.undo) {
                self.validate_act(run, operation.on.as_ref(), system)?;
            }
            if let Some(mark) = &operation.mark {
                validate_mark(mark, system)?;
            }
        }
        let needs_disk = match parameters {
            FaultParameters::PowerLoss(_) | FaultParameters::DiskFull(_) => true,
            FaultParameters::Local(_, local) => local.needs_disk(),
            _ => false,
        };
        if needs_disk {
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

    /// As other targets, or the `primary`; `clients` may be among those whose packets a fault concerns.
    fn validate_fault_targets(
        &self,
        targets: &Spanned<Names>,
        parameters: FaultParameters<'_>,
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

    fn validate_split<T>(&self, split: &SplitFault, place: &Spanned<T>) -> Result<(), Problem> {
        let problem = |message: &str| Err(Problem::at(place, message.to_owned()));
        let (shape, nodes) = match (split.shape, &split.nodes) {
            (Some(shape), Some(nodes)) if split.pairs.is_empty() => (shape, nodes),
            (None, None) if !split.pairs.is_empty() && split.one.is_none() => {
                let meets = |(a, b): &(Spanned<Names>, Spanned<Names>)| {
                    !self.each_node(a).is_disjoint(&self.each_node(b))
                };
                if split.pairs.iter().any(meets) {
                    return problem(
                        "a node can't be cut off from itself: it is on both sides of a pair",
                    );
                }
                return Ok(());
            }
            _ => return problem("expected `nodes` with `shape`, or `pairs`"),
        };
        let all = self.each_node(nodes);
        match (shape, &split.one) {
            // Whether it is one of them shows when it strikes.
            (SplitShape::Isolate, Some(one)) if one.get_ref().0 == [PRIMARY] => {}
            (SplitShape::Isolate, Some(one)) => {
                let one = self.each_node(one);
                if one.len() != 1 || !one.is_subset(&all) {
                    return problem("expected `one` to be one of `nodes`");
                }
            }
            (SplitShape::Isolate, None) => return problem("expected `one`, the node to isolate"),
            (_, Some(_)) => return problem("`one` belongs to `shape = \"isolate\"`"),
            _ => {}
        }
        let fewest = match shape {
            SplitShape::Isolate | SplitShape::Halves => 2,
            SplitShape::MajorityMinority | SplitShape::Bridge => 3,
            SplitShape::MajoritiesRing => 4,
        };
        if all.len() < fewest {
            let message = format!(
                "this shape needs {fewest} nodes or more, {} given",
                all.len()
            );
            return problem(&message);
        }
        Ok(())
    }

    /// The single nodes that targets name, as `role[index]`; a random one counts as one.
    fn each_node(&self, targets: &Spanned<Names>) -> BTreeSet<String> {
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
                let mut roles = self.roles.get_ref().iter();
                let layered = roles.any(|r| r.role.get_ref() == role && r.disk_layer);
                let message = match parameters {
                    FaultParameters::Local(kind, local) if local.needs_layer() && !layered => {
                        format!(
                            "`{kind}` needs a layer over that disk; add `disk_layer = true` to the role `{role}`"
                        )
                    }
                    FaultParameters::PowerLoss(_) if layered => {
                        format!(
                            "`power_loss` can be had not with `disk_layer` of the role `{role}`: the layer would keep the disk from being mounted anew"
                        )
                    }
                    _ => continue,
                };
                return Err(Problem::at(targets, message));
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
        FaultParameters::Block(block) => validate_port(&block.port)?,
        FaultParameters::Stream(stream) => {
            validate_port(&stream.port)?;
            if let Err(message) = stream.mode() {
                return Err(Problem::at(&stream.nodes, message));
            }
        }
        FaultParameters::Pause(pause) => {
            let checked = match pause.act() {
                Ok(Some(act)) => act.check(),
                Ok(None) => Ok(()),
                Err(message) => Err(message),
            };
            checked.map_err(|message| Problem::at(&pause.service, message))?;
        }
        FaultParameters::Local(_, local) => {
            local
                .act(0, "")
                .and_then(|act| act.check())
                .map_err(|message| Problem::at(local.nodes(), message))?;
        }
        FaultParameters::Clock(clock) => {
            clock
                .skew()
                .map_err(|(place, message)| Problem::at(&Spanned::new(place, ()), message))?;
        }
        _ => {}
    }
    Ok(())
}

fn validate_port(port: &Spanned<u16>) -> Result<(), Problem> {
    if *port.get_ref() == 0 {
        return Err(Problem::at(port, "expected a port of 1 to 65535"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Catalogue, Scenario};

    /// What is wrong with a fault, if anything.
    fn problem(fault: &str) -> Option<String> {
        let text = format!(
            r#"
            name = "test"
            description = "test"
            system = "miroir"
            configuration = "test"
            expectation = "test"
            roles = [{{ role = "router", nodes = 1 }}, {{ role = "store", nodes = 3 }}]
            [[load]]
            name = "writes"
            when = {{ at = "0s" }}
            count = 1
            mix = {{ insert = 1 }}
            [[fault]]
            name = "bad"
            when = {{ at = "0s" }}
            {fault}
            [expect]
            loss = "none"
            writes_at_least = 1
            "#
        );
        let systems = Catalogue::embedded().unwrap().systems;
        let parsed = Scenario::parse("my.toml", &text, &systems);
        parsed.err().map(|error| error.to_string())
    }

    #[test]
    fn faults_on_the_network_that_make_sense_are_accepted() {
        for fault in [
            r#"shape = { from = "clients", to = "router", loss_percent = 2 }"#,
            r#"shape = { from = ["router", "clients"], to = "store", delay = "5ms" }"#,
            r#"shape = { from = "router", to = "store", both = true, bytes_per_second = 1000 }"#,
            r#"partition = { from = "clients", to = "router" }"#,
            r#"block = { nodes = "store", port = 7700, mode = "refuse" }"#,
            r#"block = { nodes = "store", port = 7700, from = "clients", mode = "drop_new" }"#,
            r#"stream = { nodes = "store", port = 7700, hang = true }"#,
            r#"stream = { nodes = "store", port = 7700, cut_after = 10, cut_of = "requests" }"#,
            r#"stream = { nodes = "store", port = 7700, slice = 10, pause = "5ms" }"#,
            r#"stream = { nodes = "store", port = 7700, close_late = "1s" }"#,
            r#"dns = { nodes = "store", mode = "servfail" }"#,
            r#"split = { nodes = "store", shape = "isolate", one = "store[1]" }"#,
            r#"split = { nodes = ["router", "store"], shape = "majorities_ring" }"#,
            r#"split = { pairs = [["router", "store[0]"], ["store[1]", "store[2]"]] }"#,
        ] {
            assert_eq!(problem(fault), None, "{fault}");
        }
    }

    #[test]
    fn faults_on_the_network_that_make_no_sense_are_refused_with_what_was_expected() {
        for (fault, expected) in [
            (
                r#"shape = { from = "router", to = "clients", loss_percent = 2 }"#,
                "can be named only where packets come from",
            ),
            (
                r#"shape = { from = "clients", to = "store", both = true, loss_percent = 2 }"#,
                "`both` can't be had with `clients`",
            ),
            (
                r#"kill = { nodes = "clients", service = "node" }"#,
                "can be named only where packets come from",
            ),
            (
                r#"shape = { from = "router", to = "store" }"#,
                "no effect is asked for",
            ),
            (
                r#"shape = { from = "router", to = "store", loss_percent = 200 }"#,
                "loss of 200 % is not within 0 to 100",
            ),
            (
                r#"shape = { from = ["clients", "nobody"], to = "store", loss_percent = 1 }"#,
                "no role `nobody`",
            ),
            (
                r#"block = { nodes = "store", port = 0, mode = "drop" }"#,
                "expected a port of 1 to 65535",
            ),
            (
                r#"stream = { nodes = "store", port = 7700 }"#,
                "expected exactly one of `hang`",
            ),
            (
                r#"stream = { nodes = "store", port = 7700, hang = true, slice = 1 }"#,
                "expected exactly one of `hang`",
            ),
            (
                r#"stream = { nodes = "store", port = 7700, hang = true, pause = "1s" }"#,
                "`pause` belongs to `slice`",
            ),
            (
                r#"stream = { nodes = "store", port = 7700, slice = 0 }"#,
                "pieces of 0 bytes never arrive",
            ),
            (
                r#"split = { nodes = "store", shape = "majorities_ring" }"#,
                "needs 4 nodes or more, 3 given",
            ),
            (
                r#"split = { nodes = "store", shape = "isolate" }"#,
                "expected `one`",
            ),
            (
                r#"split = { nodes = "store", shape = "isolate", one = "router" }"#,
                "expected `one` to be one of `nodes`",
            ),
            (
                r#"split = { nodes = "store", shape = "bridge", one = "store[0]" }"#,
                "`one` belongs to",
            ),
            (
                r#"split = { nodes = "store", pairs = [["router", "store"]] }"#,
                "expected `nodes` with `shape`, or `pairs`",
            ),
            (
                r#"split = { pairs = [["store[0]", "store"]] }"#,
                "on both sides of a pair",
            ),
            (
                r#"dns = { nodes = "store", mode = "lie" }"#,
                "unknown variant `lie`",
            ),
        ] {
            let found = problem(fault).unwrap_or_else(|| panic!("accepted: {fault}"));
            assert!(found.contains(expected), "{fault}: {found}");
        }
    }
}
