//! The routing table: who owns each shard now, which shards are moving, and the switch from one table to the next.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Notify, watch};

use super::cluster::Peers;
use super::inflight::{Guard, Inflight};
use crate::coordinator::{Phase, State};
use crate::peer::Peer;

/// One table. Never changed, only replaced.
pub(crate) struct Route {
    /// Increases with every table; fences are set in terms of it.
    pub(crate) term: u64,
    /// Owners of each shard.
    pub(crate) owners: Vec<Vec<Arc<Peer>>>,
    /// A migration between dual-write and activation.
    pub(crate) moving: Option<Moving>,
    inflight: Arc<Inflight>,
}

/// Shards on their way to a new owner.
pub(crate) struct Moving {
    /// The migration.
    pub(crate) migration: u64,
    /// NEW.
    pub(crate) to: Arc<Peer>,
    /// Whether each shard moves.
    pub(crate) shards: Vec<bool>,
    /// Whether writes to them must wait.
    pub(crate) held: bool,
}

impl Route {
    /// The table a persisted state asks for.
    pub(crate) fn of(state: &State, peers: &Peers) -> Self {
        let owners: Vec<Vec<_>> = state
            .owners
            .iter()
            .map(|names| names.iter().map(|n| peers.get(n)).collect())
            .collect();
        let moving = state.migrations.last().and_then(|m| {
            let held = match m.phase {
                Phase::DualWriteMigrating => false,
                Phase::CutoverBegin | Phase::CutoverDraining | Phase::CutoverDeltaPass => true,
                _ => return None,
            };
            let mut shards = vec![false; owners.len()];
            for step in &m.moves {
                shards[step.shard as usize] = true;
            }
            Some(Moving {
                migration: m.id,
                to: peers.get(&m.to),
                shards,
                held,
            })
        });
        let inflight = Inflight::new(owners.len());
        Route {
            term: state.term,
            owners,
            moving,
            inflight,
        }
    }

    /// The migration a shard is part of, if it is moving.
    pub(crate) fn moving(&self, shard: u32) -> Option<&Moving> {
        self.moving.as_ref().filter(|m| m.shards[shard as usize])
    }
}

/// Whether a write may go.
pub(crate) enum Admission {
    /// By this table, counted until the guard is dropped.
    Go(Arc<Route>, Guard),
    /// Not before the table has changed.
    Held,
}

struct Tables {
    current: Arc<Route>,
    /// Counters of earlier tables with writes still under way.
    earlier: Vec<Arc<Inflight>>,
}

/// The current table and what is left of earlier ones.
pub(crate) struct Table {
    tables: RwLock<Tables>,
    changes: watch::Sender<u64>,
    /// Wakes writes to moving shards that are given up by a drain.
    pub(crate) abandon: Notify,
}

impl Table {
    /// Starts with a table.
    pub(crate) fn new(route: Route) -> Self {
        let tables = Tables {
            current: Arc::new(route),
            earlier: Vec::new(),
        };
        Table {
            tables: RwLock::new(tables),
            changes: watch::Sender::new(0),
            abandon: Notify::new(),
        }
    }

    /// The current table.
    pub(crate) fn current(&self) -> Arc<Route> {
        Arc::clone(
            &self
                .tables
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .current,
        )
    }

    /// Tells when the table changes. Subscribe before [`Self::admit`].
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Lets a write to these shards in, unless one of them is held. Counting and choosing the table are one step:
    /// a switch sees every write of earlier tables.
    pub(crate) fn admit(&self, shards: Vec<u32>) -> Admission {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let route = &tables.current;
        if shards
            .iter()
            .any(|&s| route.moving(s).is_some_and(|m| m.held))
        {
            return Admission::Held;
        }
        Admission::Go(Arc::clone(route), route.inflight.enter(shards))
    }

    /// Replaces the table.
    pub(crate) fn switch(&self, route: Route) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut tables.current, Arc::new(route));
        tables.earlier.push(Arc::clone(&before.inflight));
        tables.earlier.retain(|i| !i.is_idle());
        drop(tables);
        self.changes.send_modify(|n| *n += 1);
    }

    /// Waits until all writes admitted by earlier tables to these shards have settled.
    pub(crate) async fn drain_earlier(&self, shards: &[u32]) {
        let earlier = self
            .tables
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .earlier
            .clone();
        for inflight in earlier {
            inflight.drained(shards).await;
        }
    }

    /// Writes admitted by earlier tables to these shards and not settled.
    pub(crate) fn pending_earlier(&self, shards: &[u32]) -> usize {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.earlier.iter().map(|i| i.sum(shards)).sum()
    }

    /// Writes under way to a shard.
    pub(crate) fn inflight(&self, shard: u32) -> usize {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.current.inflight.of(shard)
            + tables.earlier.iter().map(|i| i.of(shard)).sum::<usize>()
    }
}
