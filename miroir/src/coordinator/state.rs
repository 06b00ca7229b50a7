//! What the router persists: topology and migrations.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::router::Config;
use crate::routing::owners;

pub(crate) use crate::router::{Group, Member};

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// NEW is fenced and emptied of the shards to come.
    ComputingAssignments,
    /// Writes go to OLD and NEW; the background copy runs.
    DualWriteMigrating,
    /// Writes to the moving shards wait from here on.
    CutoverBegin,
    /// Writes under way settle; then OLD is fenced against late ones.
    CutoverDraining,
    /// NEW is compared with OLD and completed.
    CutoverDeltaPass,
    /// Routing is switched to NEW.
    CutoverActivate,
    /// The moved shards are removed from OLD.
    CutoverCleanup,
    /// Done.
    Complete,
    /// Given up before its activation: routing is as before it. Or rolled back while it cleaned up.
    Failed,
}

impl Phase {
    /// Whether routing still is as before the migration.
    pub(crate) fn is_before_activation(self) -> bool {
        use Phase::{
            ComputingAssignments, CutoverBegin, CutoverDeltaPass, CutoverDraining,
            DualWriteMigrating,
        };
        matches!(
            self,
            ComputingAssignments
                | DualWriteMigrating
                | CutoverBegin
                | CutoverDraining
                | CutoverDeltaPass
        )
    }

    /// Whether routing has switched and the owners before may still hold their copies.
    pub(crate) fn retains_old_copies(self) -> bool {
        matches!(self, Phase::CutoverActivate | Phase::CutoverCleanup)
    }
}

/// What a migration is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Intent {
    /// The node takes over the shards it wins, or those it is told to.
    Join(String),
    /// The node gives all its shards to the others of its group, and is forgotten.
    RemoveNode(String),
    /// The group's nodes get all shards.
    AddGroup(String),
    /// The group's nodes give up all shards, and are forgotten.
    RemoveGroup(String),
    /// That migration's shards go back.
    Rollback(u64),
}

/// One shard's move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The shard.
    pub(crate) shard: u32,
    /// Owners whose copies are read: several, since a quorum may differ from write to write.
    pub(crate) sources: Vec<String>,
    /// Nodes that become owners (NEW). None when a group is removed.
    pub(crate) joining: Vec<String>,
    /// Nodes that give the shard up (OLD). None when a group is added.
    pub(crate) leaving: Vec<String>,
    /// All owners before.
    pub(crate) before: Vec<String>,
    /// All owners after.
    pub(crate) owners: Vec<String>,
}

impl Move {
    /// The nodes that the sources are compared with: those that join, or when none does, all that stay.
    pub(crate) fn targets(&self) -> &[String] {
        if self.joining.is_empty() {
            &self.owners
        } else {
            &self.joining
        }
    }
}

/// Why a migration was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivenUp {
    /// In which phase.
    pub(crate) phase: Phase,
    /// Why.
    pub(crate) reason: String,
}

/// A migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Migration {
    /// Counted from 1.
    pub(crate) id: u64,
    /// What it is for.
    pub(crate) intent: Intent,
    /// Whether the cutover begins by itself.
    pub(crate) auto_cutover: bool,
    /// Whether the cutover was asked for.
    pub(crate) cutover_requested: bool,
    /// Whether NEW is activated without being compared.
    pub(crate) skip_delta_pass: bool,
    /// Whether clean-up waits for anti-entropy to do the delta pass's work.
    pub(crate) awaits_anti_entropy: bool,
    /// Whether anti-entropy has done it.
    pub(crate) repaired: bool,
    /// Whether the refusal of the unsafe configuration was overridden.
    pub(crate) unsafe_override: bool,
    /// Whether NEW may hold what nobody else does, and must not be emptied first.
    pub(crate) keeps_copies: bool,
    /// Where it stands.
    pub(crate) phase: Phase,
    /// Term of the routing table that the phase began with.
    pub(crate) phase_term: u64,
    /// What moves.
    pub(crate) moves: Vec<Move>,
    /// Set in phase `failed`.
    pub(crate) given_up: Option<GivenUp>,
    /// Whether NEW may still hold shards of a migration given up.
    pub(crate) discard_pending: bool,
    /// The migration that moves its shards back.
    pub(crate) rolled_back_by: Option<u64>,
}

impl Migration {
    /// A migration at its beginning.
    pub(crate) fn new(id: u64, intent: Intent, moves: Vec<Move>) -> Self {
        Migration {
            id,
            intent,
            auto_cutover: true,
            cutover_requested: false,
            skip_delta_pass: false,
            awaits_anti_entropy: false,
            repaired: false,
            unsafe_override: false,
            keeps_copies: false,
            phase: Phase::ComputingAssignments,
            phase_term: 0,
            moves,
            given_up: None,
            discard_pending: false,
            rolled_back_by: None,
        }
    }

    /// Whether there still is something to do for it.
    pub(crate) fn is_open(&self) -> bool {
        match self.phase {
            Phase::Complete => false,
            Phase::Failed => self.discard_pending,
            _ => true,
        }
    }

    /// Whether its shards still are on their way: open, and not merely removing what it left on NEW.
    pub(crate) fn is_moving(&self) -> bool {
        !matches!(self.phase, Phase::Complete | Phase::Failed)
    }

    /// The shards that move.
    pub(crate) fn shards(&self) -> Vec<u32> {
        self.moves.iter().map(|m| m.shard).collect()
    }

    /// The nodes it makes owners, each with the shards it gets.
    pub(crate) fn joining(&self) -> Vec<(String, Vec<u32>)> {
        by_node(&self.moves, |m| &m.joining)
    }

    /// The nodes it reads from, each with the shards read there.
    pub(crate) fn sources(&self) -> Vec<(String, Vec<u32>)> {
        by_node(&self.moves, |m| &m.sources)
    }

    /// Whether a node gets or gives shards.
    pub(crate) fn involves(&self, node: &str) -> bool {
        self.moves
            .iter()
            .any(|m| m.joining.iter().chain(&m.leaving).any(|n| n == node))
    }
}

fn by_node(moves: &[Move], nodes: impl Fn(&Move) -> &Vec<String>) -> Vec<(String, Vec<u32>)> {
    let mut all = std::collections::BTreeMap::<String, Vec<u32>>::new();
    for step in moves {
        for node in nodes(step) {
            all.entry(node.clone()).or_default().push(step.shard);
        }
    }
    all.into_iter().collect()
}

/// Everything persisted, apart from reserved stamps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The highest epoch this router has had.
    pub(crate) epoch: u64,
    /// Routing tables so far.
    pub(crate) term: u64,
    /// Replica groups, with or without shards.
    pub(crate) groups: Vec<Group>,
    /// Nodes, owners or not.
    pub(crate) nodes: Vec<Member>,
    /// Owners of each shard in all groups, by name.
    pub(crate) owners: Vec<Vec<String>>,
    /// Nodes that owned each shard before and do not now.
    pub(crate) former: Vec<Vec<String>>,
    /// All migrations, oldest first.
    pub(crate) migrations: Vec<Migration>,
}

impl State {
    /// The state of a new cluster.
    pub(crate) fn initial(config: &Config) -> Self {
        let groups = config.all_groups();
        let of_shard = |shard| {
            let of_group = |group: &Group| {
                let members: Vec<String> = config
                    .nodes
                    .iter()
                    .filter(|n| n.group == group.name)
                    .map(|n| n.name.clone())
                    .collect();
                owners(shard, &members, group.replication_factor)
            };
            groups.iter().flat_map(of_group).collect()
        };
        State {
            owners: (0..config.shards).map(of_shard).collect(),
            nodes: config.nodes.clone(),
            former: vec![Vec::new(); config.shards as usize],
            groups,
            ..State::default()
        }
    }

    /// A node.
    pub(crate) fn node(&self, name: &str) -> Option<&Member> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// The group of a node; empty for one that is not known.
    pub(crate) fn group_of(&self, node: &str) -> &str {
        self.node(node).map_or("", |n| &n.group)
    }

    /// Owners per shard in a group.
    pub(crate) fn replication_factor(&self, group: &str) -> usize {
        self.groups
            .iter()
            .find(|g| g.name == group)
            .map_or(1, |g| g.replication_factor)
    }

    /// A shard's owners in a group.
    pub(crate) fn owners_in(&self, shard: u32, group: &str) -> Vec<String> {
        let owners = self.owners[shard as usize].iter();
        owners
            .filter(|n| self.group_of(n) == group)
            .cloned()
            .collect()
    }

    /// All nodes that own a shard.
    pub(crate) fn serving(&self) -> BTreeSet<String> {
        self.owners.iter().flatten().cloned().collect()
    }

    /// All groups that own shards.
    pub(crate) fn serving_groups(&self) -> BTreeSet<String> {
        let serving = self.serving();
        serving
            .iter()
            .map(|n| self.group_of(n).to_owned())
            .collect()
    }

    /// A migration, to be changed.
    pub(crate) fn migration_mut(&mut self, id: u64) -> Option<&mut Migration> {
        self.migrations.iter_mut().find(|m| m.id == id)
    }

    /// The migration a shard is part of, if it is moving.
    pub(crate) fn mover(&self, shard: u32) -> Option<&Migration> {
        self.migrations
            .iter()
            .find(|m| m.is_moving() && m.moves.iter().any(|step| step.shard == shard))
    }

    /// Owners before that gave a shard up and may still hold what its owners lack.
    pub(crate) fn retained(&self, shard: u32) -> Vec<String> {
        let retaining = self
            .migrations
            .iter()
            .filter(|m| m.phase.retains_old_copies());
        retaining
            .flat_map(|m| m.moves.iter().filter(|step| step.shard == shard))
            .flat_map(|step| step.leaving.iter().cloned())
            .collect()
    }

    /// Migrations whose clean-up waits for a pass of anti-entropy, with their shards.
    pub(crate) fn awaiting_repair(&self) -> Vec<(u64, Vec<u32>)> {
        let waiting = self
            .migrations
            .iter()
            .filter(|m| m.awaits_anti_entropy && !m.repaired && m.phase.retains_old_copies());
        waiting.map(|m| (m.id, m.shards())).collect()
    }

    /// Makes a migration's new owners the owners.
    pub(crate) fn activate(&mut self, moves: &[Move]) {
        for step in moves {
            let shard = step.shard as usize;
            let former = &mut self.former[shard];
            former.extend(step.leaving.iter().cloned());
            former.retain(|n| !step.owners.contains(n));
            former.sort();
            former.dedup();
            self.owners[shard] = step.owners.clone();
        }
    }

    /// Forgets what a completed migration was to remove.
    pub(crate) fn forget(&mut self, intent: &Intent) {
        let gone: Vec<String> = match intent {
            Intent::RemoveNode(node) => vec![node.clone()],
            Intent::RemoveGroup(group) => {
                self.groups.retain(|g| g.name != *group);
                let members = self.nodes.iter().filter(|n| n.group == *group);
                members.map(|n| n.name.clone()).collect()
            }
            Intent::Join(_) | Intent::AddGroup(_) | Intent::Rollback(_) => return,
        };
        self.nodes.retain(|n| !gone.contains(&n.name));
        for former in &mut self.former {
            former.retain(|n| !gone.contains(n));
        }
    }
}
