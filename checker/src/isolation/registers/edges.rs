//! Dependencies between transactions over registers.

use super::super::graph::{Edge, GraphBuilder};
use super::super::transactions::NONE;
use super::interactions::Registers;
use super::order::{VersionOrder, add_chain};

/// Adds all dependencies by data. Linear in interactions and known pairs of versions.
pub(crate) fn add_edges(registers: &Registers<'_>, order: &VersionOrder, graph: &mut GraphBuilder) {
    let readers = Readers::new(registers);
    for version in 0..registers.versions() {
        let writer = registers.writer[version as usize];
        if writer != NONE {
            for reader in readers.of(version) {
                graph.edge(writer, *reader, Edge::Wr);
            }
        }
    }
    let chain = order.zones.as_ref().map(|(zones, believed)| {
        let node = |version: u32| registers.writer[version as usize];
        (zones, believed, add_chain(registers, zones, graph, node))
    });
    let mut after: Vec<u32> = Vec::new();
    for version in 0..registers.versions() {
        let key = registers.key[version as usize];
        let writer = registers.writer[version as usize];
        after.clear();
        after.extend(order.after(version));
        if let Some((zones, believed, chain)) = &chain
            && believed[key as usize]
            && let Some((first, behind)) = zones.followers(key, version)
        {
            // Those before its own place; those behind it are reached by the chain.
            let versions = zones.by_invocation(key);
            after.extend(&versions[first..behind]);
            after.sort_unstable();
            after.dedup();
            after.retain(|other| *other != version);
            if behind < versions.len() {
                let junction = chain + zones.place(key, behind);
                if writer != NONE {
                    graph.edge(writer, junction, Edge::Ww);
                }
                for reader in readers.of(version) {
                    graph.edge(*reader, junction, Edge::Rw);
                }
            }
        }
        for other in &mut after {
            *other = registers.writer[*other as usize];
        }
        after.retain(|writer| *writer != NONE);
        if writer != NONE {
            for other in &after {
                graph.edge(writer, *other, Edge::Ww);
            }
        }
        graph.all_to_all(readers.of(version), &after, Edge::Rw);
    }
}

/// Who read each version first of its key.
struct Readers {
    rows: Vec<u32>,
    txns: Vec<u32>,
}

impl Readers {
    fn new(registers: &Registers<'_>) -> Self {
        let mut rows = vec![0u32; registers.versions() as usize + 1];
        for interaction in &registers.interactions {
            if interaction.read != NONE {
                rows[interaction.read as usize + 1] += 1;
            }
        }
        for version in 0..registers.versions() as usize {
            rows[version + 1] += rows[version];
        }
        let mut next = rows.clone();
        let mut txns = vec![0; *rows.last().unwrap_or(&0) as usize];
        for interaction in &registers.interactions {
            if interaction.read != NONE {
                let place = &mut next[interaction.read as usize];
                txns[*place as usize] = interaction.txn;
                *place += 1;
            }
        }
        Readers { rows, txns }
    }

    fn of(&self, version: u32) -> &[u32] {
        let from = self.rows[version as usize] as usize;
        &self.txns[from..self.rows[version as usize + 1] as usize]
    }
}
