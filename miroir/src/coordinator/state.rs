//! What the router persists: topology and migrations.

use serde::{Deserialize, Serialize};

use crate::router::Config;
use crate::routing::owners;

pub(crate) use crate::router::Member;

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
    /// Given up; routing is as before the migration.
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
}

/// One shard's move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The shard.
    pub(crate) shard: u32,
    /// Owners before: all are read, since with several a quorum may differ from write to write.
    pub(crate) sources: Vec<String>,
    /// The one that gives it up.
    pub(crate) leaving: String,
    /// Owners after.
    pub(crate) owners: Vec<String>,
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
    /// NEW.
    pub(crate) to: String,
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
    /// Where it stands.
    pub(crate) phase: Phase,
    /// What moves.
    pub(crate) moves: Vec<Move>,
    /// Set in phase `failed`.
    pub(crate) given_up: Option<GivenUp>,
    /// Whether NEW may still hold shards of a migration given up.
    pub(crate) discard_pending: bool,
}

impl Migration {
    /// Whether there still is something to do for it.
    pub(crate) fn is_open(&self) -> bool {
        match self.phase {
            Phase::Complete => false,
            Phase::Failed => self.discard_pending,
            _ => true,
        }
    }

    /// The shards that move.
    pub(crate) fn shards(&self) -> Vec<u32> {
        self.moves.iter().map(|m| m.shard).collect()
    }
}

/// Everything persisted, apart from reserved stamps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Incarnations of the router so far.
    pub(crate) epoch: u64,
    /// Routing tables so far.
    pub(crate) term: u64,
    /// Nodes, owners or not.
    pub(crate) nodes: Vec<Member>,
    /// Owners of each shard, by name.
    pub(crate) owners: Vec<Vec<String>>,
    /// Nodes that owned each shard before and do not now.
    pub(crate) former: Vec<Vec<String>>,
    /// All migrations; the last one is the current one.
    pub(crate) migrations: Vec<Migration>,
}

impl State {
    /// The state of a new cluster.
    pub(crate) fn initial(config: &Config) -> Self {
        let names: Vec<String> = config.nodes.iter().map(|n| n.name.clone()).collect();
        State {
            nodes: config.nodes.clone(),
            owners: (0..config.shards)
                .map(|s| owners(s, &names, config.replication_factor))
                .collect(),
            former: vec![Vec::new(); config.shards as usize],
            ..State::default()
        }
    }

    /// The moves that make `to` an owner of the shards it wins.
    pub(crate) fn moves_to(&self, to: &str) -> Vec<Move> {
        let mut active: Vec<String> = self.owners.iter().flatten().cloned().collect();
        active.push(to.to_owned());
        active.sort();
        active.dedup();
        let moves = self.owners.iter().zip(0..).filter_map(|(before, shard)| {
            let after = owners(shard, &active, before.len());
            let leaving = before.iter().find(|n| !after.contains(n))?.clone();
            Some(Move {
                shard,
                sources: before.clone(),
                leaving,
                owners: after,
            })
        });
        moves.collect()
    }

    /// Makes a migration's new owners the owners.
    pub(crate) fn activate(&mut self, moves: &[Move]) {
        for step in moves {
            let shard = step.shard as usize;
            let former = &mut self.former[shard];
            former.push(step.leaving.clone());
            former.retain(|n| !step.owners.contains(n));
            former.sort();
            former.dedup();
            self.owners[shard] = step.owners.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(nodes: &[&str]) -> State {
        let names: Vec<String> = nodes.iter().map(|n| (*n).to_owned()).collect();
        State {
            owners: (0..64).map(|s| owners(s, &names, 1)).collect(),
            former: vec![Vec::new(); 64],
            ..State::default()
        }
    }

    #[test]
    fn everything_that_moves_moves_to_the_joining_node() {
        let mut state = state(&["a", "b"]);
        let moves = state.moves_to("c");
        assert!(moves.len() > 8);
        assert!(
            moves
                .iter()
                .all(|m| m.owners == ["c"] && m.sources == [m.leaving.clone()])
        );
        state.activate(&moves);
        let first = &moves[0];
        assert_eq!(state.owners[first.shard as usize], ["c"]);
        assert_eq!(
            state.former[first.shard as usize],
            *std::slice::from_ref(&first.leaving)
        );
        assert_eq!(state.moves_to("c"), []);
    }
}
