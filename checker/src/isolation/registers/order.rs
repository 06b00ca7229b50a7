//! The order of registers' versions, from all sources that are to be believed.
//!
//! A source that contradicts those before it is an anomaly, and is not believed for the key concerned.

use super::super::anomaly::Anomaly;
use super::super::cases::Cases;
use super::super::components::Components;
use super::super::cycles::circle;
use super::super::dictionary::Dictionary;
use super::super::graph::{Edge, Edges, Graph, GraphBuilder};
use super::super::report::Inference;
use super::super::transactions::NONE;
use super::interactions::Registers;
use super::sources::{self, Pairs};
use super::within::show;
use super::zones::Zones;

/// Which version comes before which.
#[derive(Debug)]
pub(crate) struct VersionOrder {
    rows: Vec<u32>,
    targets: Vec<u32>,
    /// The order in real time, and per key whether it is believed.
    pub(crate) zones: Option<(Zones, Vec<bool>)>,
}

impl VersionOrder {
    /// Infers the order. Linear time but for sorting.
    pub(crate) fn infer(
        registers: &Registers<'_>,
        inference: Inference,
        names: &Dictionary,
        cases: &mut Cases,
    ) -> Self {
        let mut believed = Believed {
            registers,
            pairs: sources::initial(registers),
            names: vec!["the initial version"],
        };
        if inference.wfr_keys {
            let pairs = sources::writes_follow_reads(registers);
            believed.add(pairs, "writes that follow reads", names, cases);
        }
        if inference.sequential_keys {
            let pairs = sources::sequential(registers);
            believed.add(pairs, "the order within processes", names, cases);
        }
        let zones = inference.linearizable_keys.then(|| {
            let zones = Zones::new(registers);
            let keys = believed.add_zones(&zones, "real time", names, cases);
            (zones, keys)
        });
        let (rows, targets) = compress(registers.versions(), believed.pairs);
        VersionOrder {
            rows,
            targets,
            zones,
        }
    }

    /// An order that is known otherwise.
    #[cfg(test)]
    pub(crate) fn known(registers: &Registers<'_>, pairs: Pairs) -> Self {
        let (rows, targets) = compress(registers.versions(), pairs);
        VersionOrder {
            rows,
            targets,
            zones: None,
        }
    }

    /// The versions known to follow a version, but for those that only real time tells of.
    pub(crate) fn after(&self, version: u32) -> &[u32] {
        let from = self.rows[version as usize] as usize;
        &self.targets[from..self.rows[version as usize + 1] as usize]
    }

    /// Whether one version is directly known to come before another.
    pub(crate) fn before(&self, registers: &Registers<'_>, version: u32, other: u32) -> bool {
        let key = registers.key[version as usize];
        let by_time = self.zones.as_ref().is_some_and(|(zones, believed)| {
            believed[key as usize] && zones.before(version, other)
        });
        key == registers.key[other as usize] && (by_time || self.after(version).contains(&other))
    }
}

/// Adds a chain of junctions per key: one for each version by its latest invocation, which leads to the
/// next and to the version's node, if it has one. Returns the first junction.
pub(super) fn add_chain(
    registers: &Registers<'_>,
    zones: &Zones,
    graph: &mut GraphBuilder,
    node: impl Fn(u32) -> u32,
) -> u32 {
    let first = graph.junctions(zones.places());
    for key in 0..registers.history.keys() {
        for (at, version) in zones.by_invocation(key).iter().enumerate() {
            let junction = first + zones.place(key, at);
            if node(*version) != NONE {
                graph.edge(junction, node(*version), Edge::On);
            }
            if at > 0 {
                graph.edge(junction - 1, junction, Edge::On);
            }
        }
    }
    first
}

/// Pairs by their first, without duplicates.
fn compress(versions: u32, pairs: Pairs) -> (Vec<u32>, Vec<u32>) {
    let mut rows = vec![0u32; versions as usize + 1];
    for (from, _) in &pairs {
        rows[*from as usize + 1] += 1;
    }
    for version in 0..versions as usize {
        rows[version + 1] += rows[version];
    }
    let mut next = rows.clone();
    let mut targets = vec![0; pairs.len()];
    for (from, to) in pairs {
        let place = &mut next[from as usize];
        targets[*place as usize] = to;
        *place += 1;
    }
    let mut kept = 0;
    for version in 0..versions as usize {
        let row = rows[version] as usize..next[version] as usize;
        targets[row.clone()].sort_unstable();
        rows[version] = kept as u32;
        for at in row.clone() {
            if at == row.start || targets[at] != targets[kept - 1] {
                targets[kept] = targets[at];
                kept += 1;
            }
        }
    }
    rows[versions as usize] = kept as u32;
    targets.truncate(kept);
    (rows, targets)
}

/// What is believed so far.
struct Believed<'a> {
    registers: &'a Registers<'a>,
    pairs: Pairs,
    names: Vec<&'static str>,
}

const WW: Edges = Edges::of(&[Edge::Ww]);

impl Believed<'_> {
    /// Adds a source, but for keys where it contradicts what is believed.
    fn add(&mut self, pairs: Pairs, name: &'static str, names: &Dictionary, cases: &mut Cases) {
        let registers = self.registers;
        let key = |version: u32| registers.key[version as usize] as usize;
        // A cycle leads back at some point: from a version to one that comes earlier in the history.
        let mut leads_back = vec![false; registers.history.keys() as usize];
        for (from, to) in self.pairs.iter().chain(&pairs) {
            leads_back[key(*from)] |= to < from;
        }
        let mut graph = GraphBuilder::new(registers.versions());
        let all = self.pairs.iter().chain(&pairs);
        for (from, to) in all.filter(|(from, _)| leads_back[key(*from)]) {
            graph.edge(*from, *to, Edge::Ww);
        }
        let believed = match leads_back.contains(&true) {
            true => self.judge(&graph.finish(), name, names, cases),
            false => {
                self.names.push(name);
                leads_back.iter().map(|back| !back).collect()
            }
        };
        self.pairs
            .extend(pairs.into_iter().filter(|(from, _)| believed[key(*from)]));
    }

    /// Says for which keys the order in real time does not contradict what is believed.
    fn add_zones(
        &mut self,
        zones: &Zones,
        name: &'static str,
        names: &Dictionary,
        cases: &mut Cases,
    ) -> Vec<bool> {
        let registers = self.registers;
        let mut graph = GraphBuilder::new(registers.versions());
        for (from, to) in &self.pairs {
            graph.edge(*from, *to, Edge::Ww);
        }
        // That the chain may lead a version back to itself does no harm: a contradiction needs two.
        let chain = add_chain(registers, zones, &mut graph, |version| version);
        for version in 0..registers.versions() {
            let key = registers.key[version as usize];
            if let Some((at, _)) = zones.followers(key, version)
                && at < zones.by_invocation(key).len()
            {
                graph.edge(version, chain + zones.place(key, at), Edge::Ww);
            }
        }
        self.judge(&graph.finish(), name, names, cases)
    }

    /// Tells cycles of versions, and says which keys have none.
    fn judge(
        &mut self,
        graph: &Graph,
        name: &'static str,
        names: &Dictionary,
        cases: &mut Cases,
    ) -> Vec<bool> {
        let registers = self.registers;
        self.names.push(name);
        let mut believed = vec![true; registers.history.keys() as usize];
        let components = Components::new(graph, WW);
        if components.count < graph.nodes() {
            let members = components.members();
            let mut numbers = vec![u32::MAX; graph.nodes() as usize];
            for component in 0..components.count {
                let members = members.of(component);
                if members.len() < 2 || !graph.is_txn(members[1]) {
                    continue;
                }
                let key = registers.key[members[0] as usize];
                believed[key as usize] = false;
                cases.add(Anomaly::CyclicVersions, || {
                    let part = graph.part(members, &mut numbers);
                    let versions = circle(&part).into_iter().map(|at| members[at as usize]);
                    let text = tell(registers, names, versions.collect(), &self.names);
                    (Vec::new(), text)
                });
            }
        }
        if believed.contains(&false) {
            self.names.pop();
        }
        believed
    }
}

fn tell(
    registers: &Registers<'_>,
    names: &Dictionary,
    versions: Vec<u32>,
    sources: &[&str],
) -> String {
    let shown = |version: &u32| names.show_value(registers.value[*version as usize]);
    let rest: Vec<_> = versions
        .iter()
        .skip(1)
        .chain(versions.first())
        .map(shown)
        .collect();
    let first = versions
        .first()
        .map(|version| show(registers, names, *version));
    format!(
        "{} comes before {}, by {}",
        first.unwrap_or_default(),
        rest.join(" before "),
        sources.join(", ")
    )
}
