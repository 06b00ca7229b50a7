//! The routing table: who owns each shard now, which shards are moving, and the switch from one table to the next.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::cluster::Peers;
use super::underway::{About, Guard, Underway};
use crate::coordinator::{Phase, State};
use crate::peer::Peer;

/// One table. Never changed, only replaced.
pub(crate) struct Route {
    /// Increases with every table; fences are set in terms of it.
    pub(crate) term: u64,
    classes: Vec<Class>,
    class_of: Vec<usize>,
}

/// Shards that are treated alike.
pub(crate) struct Class {
    /// Owners by replica group.
    pub(crate) groups: Vec<Owners>,
    /// Between dual-write and activation of a migration.
    pub(crate) moving: Option<Moving>,
}

/// The owners of a shard in one group.
pub(crate) struct Owners {
    /// The group.
    pub(crate) group: String,
    /// Acknowledgements that make a write durable in the group: `floor(RF / 2) + 1`.
    pub(crate) quorum: usize,
    /// Answers among which every write acknowledged by the group is: `RF + 1 - quorum`.
    pub(crate) read_quorum: usize,
    /// The nodes.
    pub(crate) nodes: Vec<Arc<Peer>>,
}

/// Shards on their way to new owners.
pub(crate) struct Moving {
    /// The migration.
    pub(crate) migration: u64,
    /// NEW.
    pub(crate) to: Vec<Arc<Peer>>,
    /// Whether writes to them must wait.
    pub(crate) held: bool,
}

impl Class {
    /// Whether every node a write goes to ignores what is older than what it holds.
    pub(crate) fn keeps_order(&self) -> bool {
        let owners = self.groups.iter().flat_map(|g| &g.nodes);
        let new = self.moving.iter().flat_map(|m| &m.to);
        owners.chain(new).all(|peer| peer.keeps_order())
    }

    /// The owner, if there is just one.
    pub(crate) fn sole_owner(&self) -> Option<&Arc<Peer>> {
        match &self.groups[..] {
            [Owners { nodes, .. }] if nodes.len() == 1 => nodes.first(),
            _ => None,
        }
    }
}

/// A migration, the nodes that join, and whether writes wait.
type Step<'a> = (u64, &'a [String], bool);

impl Route {
    /// The table a persisted state asks for.
    pub(crate) fn of(state: &State, peers: &Peers) -> Self {
        let moving: HashMap<u32, Step<'_>> = state
            .migrations
            .iter()
            .filter_map(|m| Some((m, holds(m.phase)?)))
            .flat_map(|(m, held)| {
                m.moves
                    .iter()
                    .map(move |step| (step.shard, (m.id, &step.joining[..], held)))
            })
            .collect();
        let mut known: HashMap<(&[String], Option<&Step<'_>>), usize> = HashMap::new();
        let mut classes = Vec::new();
        let mut class_of = Vec::with_capacity(state.owners.len());
        for (owners, shard) in state.owners.iter().zip(0..) {
            let moves = moving.get(&shard);
            let class = *known.entry((owners, moves)).or_insert_with(|| {
                classes.push(Class {
                    groups: grouped(state, owners, peers),
                    moving: moves.map(|(migration, to, held)| Moving {
                        migration: *migration,
                        to: to.iter().map(|n| peers.get(n)).collect(),
                        held: *held,
                    }),
                });
                classes.len() - 1
            });
            class_of.push(class);
        }
        Route {
            term: state.term,
            classes,
            class_of,
        }
    }

    /// The number of a shard's class; shards with the same number have the same owners and go the same way.
    pub(crate) fn class_of(&self, shard: u32) -> usize {
        self.class_of[shard as usize]
    }

    /// A class by its number.
    pub(crate) fn class(&self, class: usize) -> &Class {
        &self.classes[class]
    }

    /// A shard's class.
    pub(crate) fn shard(&self, shard: u32) -> &Class {
        self.class(self.class_of(shard))
    }
}

/// Whether a phase makes writes go to NEW, and if so, whether they wait.
fn holds(phase: Phase) -> Option<bool> {
    match phase {
        Phase::DualWriteMigrating => Some(false),
        #[cfg(feature = "planted-bugs")]
        Phase::CutoverDeltaPass
            if crate::planted::planted(crate::planted::Bug::RouteBeforeDelta) =>
        {
            None
        }
        Phase::CutoverBegin | Phase::CutoverDraining | Phase::CutoverDeltaPass => Some(true),
        Phase::ComputingAssignments
        | Phase::CutoverActivate
        | Phase::CutoverCleanup
        | Phase::Complete
        | Phase::Failed => None,
    }
}

fn grouped(state: &State, owners: &[String], peers: &Peers) -> Vec<Owners> {
    let mut groups: Vec<Owners> = Vec::new();
    for name in owners {
        let group = state.group_of(name);
        let at = groups.iter().position(|g| g.group == group);
        let at = at.unwrap_or_else(|| {
            let factor = state.replication_factor(group);
            let quorum = quorum(factor);
            groups.push(Owners {
                group: group.to_owned(),
                quorum,
                read_quorum: factor + 1 - (factor / 2 + 1),
                nodes: Vec::new(),
            });
            groups.len() - 1
        });
        groups[at].nodes.push(peers.get(name));
    }
    groups
}

fn quorum(replication_factor: usize) -> usize {
    #[cfg(feature = "planted-bugs")]
    if crate::planted::planted(crate::planted::Bug::QuorumOffByOne) {
        return replication_factor / 2;
    }
    replication_factor / 2 + 1
}

/// Whether a write may go.
pub(crate) enum Admission {
    /// By this table, counted until the guard is dropped.
    Go(Arc<Route>, Guard),
    /// Not before the table has changed.
    Held,
}

/// The current table, and the writes under way by it and by earlier ones.
pub(crate) struct Table {
    current: RwLock<Arc<Route>>,
    changes: watch::Sender<u64>,
    /// All client writes under way.
    pub(crate) underway: Arc<Underway>,
}

impl Table {
    /// Starts with a table.
    pub(crate) fn new(route: Route) -> Self {
        Table {
            current: RwLock::new(Arc::new(route)),
            changes: watch::Sender::new(0),
            underway: Arc::default(),
        }
    }

    /// The current table.
    pub(crate) fn current(&self) -> Arc<Route> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells when the table changes. Subscribe before [`Self::admit`].
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Lets a write to these shards in, unless one of them is held. Counting and choosing the table are one step:
    /// a switch sees every write of earlier tables.
    pub(crate) fn admit(&self, shards: &[u32], about: &About) -> Admission {
        let route = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let held = |shard: &u32| route.shard(*shard).moving.as_ref().is_some_and(|m| m.held);
        if shards.iter().any(held) {
            return Admission::Held;
        }
        let guard = self
            .underway
            .enter(route.term, shards.to_vec(), about.clone());
        Admission::Go(Arc::clone(&route), guard)
    }

    /// Replaces the table by what `next` makes; one at a time, so that a later table is never replaced by an earlier.
    pub(crate) fn switch(&self, next: impl FnOnce() -> Route) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(next());
        drop(current);
        self.changes.send_modify(|n| *n += 1);
    }

    /// Lets writes that wait look again.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|n| *n += 1);
    }
}
