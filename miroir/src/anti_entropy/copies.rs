//! Which nodes hold copies of a shard, and which migrations wait for them to be compared.

use std::sync::Arc;

use crate::coordinator::State;
use crate::log;
use crate::peer::{Peer, Writer};
use crate::router::Cluster;
use crate::wire::message::Origin;

/// The copies of a shard at one moment.
pub(super) struct Copies {
    /// Owners in all groups: what is compared and repaired.
    pub(super) owners: Vec<Arc<Peer>>,
    /// Owners, and former owners of a migration without delta pass that may hold what the owners lack.
    pub(super) holders: Vec<Arc<Peer>>,
    /// Whether the shard is part of a migration: then copies are in the making that are not listed here.
    pub(super) moving: bool,
    /// Carries the term of that moment: an owner that has since given the shard up is fenced and refuses repairs.
    pub(super) writer: Writer,
}

impl Copies {
    /// The copies now.
    pub(super) fn of(cluster: &Cluster, shard: u32) -> Self {
        let (owners, retained, moving, term) = cluster.state.read(|s| {
            let mut open = s.migrations.iter().filter(|m| m.is_open());
            let moving = open.any(|m| m.moves.iter().any(|step| step.shard == shard));
            let owners = s.owners[shard as usize].clone();
            (owners, s.retained(shard), moving, s.term)
        });
        let peers = |names: &[String]| names.iter().map(|n| cluster.peers.get(n)).collect();
        let all: Vec<String> = retained.into_iter().chain(owners.iter().cloned()).collect();
        Copies {
            owners: peers(&owners),
            holders: peers(&all),
            moving,
            writer: Writer {
                term,
                origin: Origin::AntiEntropy,
            },
        }
    }

    /// Every comparison: each holder as the source, each owner as the target.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Peer, &Peer)> {
        self.owners.iter().flat_map(|target| {
            self.holders
                .iter()
                .filter(|source| source.name != target.name)
                .map(|source| (&**source, &**target))
        })
    }
}

/// Migrations that wait for their shards to be repaired, with those shards.
pub(super) fn awaiting(cluster: &Cluster) -> Vec<(u64, Vec<u32>)> {
    cluster.state.read(State::awaiting_repair)
}

/// Tells a migration that its shards were repaired.
pub(super) fn tell(cluster: &Cluster, id: u64) {
    let told = cluster.state.update(|s| {
        if let Some(m) = s.migration_mut(id) {
            m.repaired = true;
        }
    });
    match told {
        Ok(()) => cluster.coordinator.wake(),
        Err(error) => log::warn(&format!("the repair could not be recorded: {error}")),
    }
}
