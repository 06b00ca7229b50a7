//! Which shards a migration moves, and which migrations may run at the same time.
//!
//! A shard is part of at most one migration. A joining node is planned against the owners as they will be when all
//! migrations under way are done; shards that are moving are left to the migration that moves them, so that the sets
//! are disjoint. What the node would have won of those, a later migration to it brings.

use std::collections::BTreeSet;

use super::state::{Intent, Migration, Move, State};
use crate::routing::owners;
use crate::wire::error::ApiError;

type Plan = Result<Vec<Move>, ApiError>;

/// The moves that fulfil an intent other than a rollback.
pub(crate) fn plan(state: &State, intent: &Intent, only: Option<&[u32]>) -> Plan {
    match intent {
        Intent::Join(node) => join(state, node, only),
        Intent::RemoveNode(node) => remove_node(state, node),
        Intent::AddGroup(group) => add_group(state, group),
        Intent::RemoveGroup(group) => remove_group(state, group),
        Intent::Rollback(id) => {
            let migration = state.migrations.iter().find(|m| m.id == *id);
            reverse(state, migration.ok_or_else(|| unknown_migration(*id))?)
        }
    }
}

/// The refusal of an id that no migration has.
pub(crate) fn unknown_migration(id: u64) -> ApiError {
    ApiError::not_found("migration_not_found", format!("there is no migration {id}"))
}

fn conflict(message: String) -> ApiError {
    ApiError::conflict("migration_conflict", message)
}

/// The group of a node that takes part in no migration under way.
fn free_group<'s>(state: &'s State, node: &str) -> Result<&'s String, ApiError> {
    let member = state.node(node).ok_or_else(|| {
        ApiError::not_found("node_not_found", format!("node `{node}` was not added"))
    })?;
    let involved = state
        .migrations
        .iter()
        .find(|m| m.is_moving() && m.involves(node));
    if let Some(other) = involved {
        return Err(conflict(format!(
            "node `{node}` is part of migration {}, which is not finished",
            other.id
        )));
    }
    Ok(&member.group)
}

fn join(state: &State, node: &str, only: Option<&[u32]>) -> Plan {
    let group = free_group(state, node)?;
    let mut active = pending_members(state, group);
    if active.is_empty() {
        return Err(ApiError::conflict(
            "group_without_shards",
            format!("group `{group}` has no shards yet: add the group"),
        ));
    }
    active.push(node.to_owned());
    active.sort();
    active.dedup();
    if let Some(asked) = only {
        check_asked(state, asked)?;
    }
    let mut moves = Vec::new();
    let mut busy = BTreeSet::new();
    for shard in shards(state) {
        let before = state.owners_in(shard, group);
        let wins = match only {
            Some(asked) => asked.contains(&shard),
            None => owners(shard, &active, before.len()).contains(&node.to_owned()),
        };
        if !wins || before.iter().any(|n| n == node) {
            continue;
        }
        if let Some(other) = state.mover(shard) {
            busy.insert(other.id);
            continue;
        }
        // The owner with the lowest weight makes room.
        let leaving = owners(shard, &before, before.len()).pop();
        moves.push(step(
            state,
            shard,
            before,
            vec![node.to_owned()],
            leaving.into_iter().collect(),
        ));
    }
    if moves.is_empty() && !busy.is_empty() {
        return Err(conflict(format!(
            "all shards that node `{node}` would take are being moved by migration {}",
            list(&busy)
        )));
    }
    if moves.is_empty() {
        return Err(ApiError::conflict(
            "nothing_to_move",
            format!("node `{node}` owns all it should"),
        ));
    }
    Ok(moves)
}

fn check_asked(state: &State, asked: &[u32]) -> Result<(), ApiError> {
    for &shard in asked {
        if shard as usize >= state.owners.len() {
            return Err(ApiError::bad_request(
                "no_such_shard",
                format!("there is no shard {shard}"),
            ));
        }
        refuse_busy(state, shard)?;
    }
    Ok(())
}

fn remove_node(state: &State, node: &str) -> Plan {
    let group = free_group(state, node)?;
    let remaining: Vec<String> = state
        .serving()
        .into_iter()
        .filter(|n| n != node && state.group_of(n) == group)
        .collect();
    let mut moves = Vec::new();
    for shard in shards(state) {
        let before = state.owners_in(shard, group);
        if !before.iter().any(|n| n == node) {
            continue;
        }
        refuse_busy(state, shard)?;
        let heirs: Vec<String> = remaining
            .iter()
            .filter(|n| !before.contains(n))
            .cloned()
            .collect();
        let heir = owners(shard, &heirs, 1);
        if heir.is_empty() {
            return Err(ApiError::conflict(
                "too_few_nodes",
                format!(
                    "group `{group}` keeps {} copies of each shard, and has no other node for those of `{node}`",
                    state.replication_factor(group)
                ),
            ));
        }
        moves.push(step(state, shard, before, heir, vec![node.to_owned()]));
    }
    Ok(moves)
}

fn add_group(state: &State, group: &str) -> Plan {
    let known = state.groups.iter().find(|g| g.name == group);
    let members: Vec<String> = state
        .nodes
        .iter()
        .filter(|n| n.group == group)
        .map(|n| n.name.clone())
        .collect();
    let factor = known.map_or(1, |g| g.replication_factor);
    if state.serving_groups().contains(group) {
        return Err(ApiError::conflict(
            "group_exists",
            format!("group `{group}` has shards already"),
        ));
    }
    if factor == 0 || members.len() < factor {
        return Err(ApiError::conflict(
            "too_few_nodes",
            format!(
                "group `{group}` is to keep {factor} copies and has {} nodes: add its nodes first",
                members.len()
            ),
        ));
    }
    let mut moves = Vec::new();
    for shard in shards(state) {
        refuse_busy(state, shard)?;
        let joining = owners(shard, &members, factor);
        let sources = state.owners[shard as usize].clone();
        moves.push(step(state, shard, sources, joining, Vec::new()));
    }
    Ok(moves)
}

fn remove_group(state: &State, group: &str) -> Plan {
    let serving = state.serving_groups();
    if !serving.contains(group) {
        return Err(ApiError::not_found(
            "group_not_found",
            format!("group `{group}` has no shards"),
        ));
    }
    if serving.len() == 1 {
        return Err(ApiError::conflict(
            "last_group",
            format!("group `{group}` is the last one"),
        ));
    }
    let mut moves = Vec::new();
    for shard in shards(state) {
        refuse_busy(state, shard)?;
        // Writes that only this group acknowledged are brought to the others before it goes.
        let leaving = state.owners_in(shard, group);
        moves.push(step(state, shard, leaving.clone(), Vec::new(), leaving));
    }
    Ok(moves)
}

/// The way back of a migration that has been activated.
fn reverse(state: &State, migration: &Migration) -> Plan {
    let id = migration.id;
    let mut moves = Vec::new();
    for done in &migration.moves {
        if let Some(gone) = done.before.iter().find(|n| state.node(n).is_none()) {
            return Err(ApiError::conflict(
                "too_late",
                format!("node `{gone}` was forgotten: shards cannot go back to it"),
            ));
        }
        refuse_other(state.mover(done.shard).filter(|m| m.id != id), done.shard)?;
        let now = &state.owners[done.shard as usize];
        if now != &done.owners {
            return Err(conflict(format!(
                "shard {} has been moved again since migration {id}",
                done.shard
            )));
        }
        let group = done.leaving.first().map(|n| state.group_of(n).to_owned());
        let near: Vec<String> =
            group.map_or_else(Vec::new, |group| state.owners_in(done.shard, &group));
        let sources = match (done.leaving.is_empty(), near.is_empty()) {
            (true, _) => done.joining.clone(),
            (false, true) => now.clone(),
            (false, false) => near,
        };
        moves.push(Move {
            shard: done.shard,
            sources,
            joining: done.leaving.clone(),
            leaving: done.joining.clone(),
            before: now.clone(),
            owners: done.before.clone(),
        });
    }
    Ok(moves)
}

fn refuse_busy(state: &State, shard: u32) -> Result<(), ApiError> {
    refuse_other(state.mover(shard), shard)
}

fn refuse_other(mover: Option<&Migration>, shard: u32) -> Result<(), ApiError> {
    match mover {
        None => Ok(()),
        Some(other) => Err(conflict(format!(
            "shard {shard} is being moved by migration {}",
            other.id
        ))),
    }
}

/// The group's owners as they will be when every migration under way is done.
fn pending_members(state: &State, group: &str) -> Vec<String> {
    let mut after = state.clone();
    for migration in state.migrations.iter().filter(|m| m.is_moving()) {
        after.activate(&migration.moves);
    }
    let members = after.serving().into_iter();
    members.filter(|n| state.group_of(n) == group).collect()
}

fn step(
    state: &State,
    shard: u32,
    sources: Vec<String>,
    joining: Vec<String>,
    leaving: Vec<String>,
) -> Move {
    let before = state.owners[shard as usize].clone();
    let mut owners: Vec<String> = before
        .iter()
        .filter(|n| !leaving.contains(n))
        .cloned()
        .collect();
    owners.extend(joining.iter().cloned());
    Move {
        shard,
        sources,
        joining,
        leaving,
        before,
        owners,
    }
}

fn shards(state: &State) -> std::ops::Range<u32> {
    0..u32::try_from(state.owners.len()).expect("the number of shards was checked")
}

fn list(ids: &BTreeSet<u64>) -> String {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{Group, Member, NodeKind};

    fn member(name: &str, group: &str) -> Member {
        Member {
            name: name.to_owned(),
            url: "http://127.0.0.1:1".to_owned(),
            group: group.to_owned(),
            kind: NodeKind::Miroir,
            key: None,
        }
    }

    /// `owning` own 64 shards in `g0`; `others` own nothing.
    fn state(owning: &[&str], factor: usize, others: &[(&str, &str)]) -> State {
        let names: Vec<String> = owning.iter().map(|n| (*n).to_owned()).collect();
        let nodes = owning.iter().map(|n| member(n, "g0"));
        let groups = [("g0", factor), ("g1", 2)];
        State {
            owners: (0..64).map(|s| owners(s, &names, factor)).collect(),
            former: vec![Vec::new(); 64],
            nodes: nodes
                .chain(others.iter().map(|(n, g)| member(n, g)))
                .collect(),
            groups: groups
                .iter()
                .map(|(n, f)| Group {
                    name: (*n).to_owned(),
                    replication_factor: *f,
                })
                .collect(),
            ..State::default()
        }
    }

    fn begin(state: &mut State, intent: Intent) -> Vec<Move> {
        let moves = plan(state, &intent, None).unwrap();
        let id = state.migrations.len() as u64 + 1;
        state
            .migrations
            .push(Migration::new(id, intent, moves.clone()));
        moves
    }

    fn code(plan: Plan) -> &'static str {
        plan.unwrap_err().code
    }

    #[test]
    fn everything_that_moves_moves_to_the_joining_node() {
        let mut state = state(&["a", "b"], 1, &[("c", "g0")]);
        let to_c = Intent::Join("c".to_owned());
        let moves = plan(&state, &to_c, None).unwrap();
        assert!(moves.len() > 8);
        assert!(
            moves
                .iter()
                .all(|m| m.owners == ["c"] && m.sources == m.leaving && m.before == m.leaving)
        );
        state.activate(&moves);
        let first = &moves[0];
        assert_eq!(state.owners[first.shard as usize], ["c"]);
        assert_eq!(state.former[first.shard as usize], first.leaving);
        assert_eq!(code(plan(&state, &to_c, None)), "nothing_to_move");
    }

    #[test]
    fn two_nodes_that_join_at_once_take_different_shards() {
        let mut state = state(&["a", "b"], 1, &[("c", "g0"), ("d", "g0")]);
        let first = begin(&mut state, Intent::Join("c".to_owned()));
        let second = begin(&mut state, Intent::Join("d".to_owned()));
        assert!(!second.is_empty());
        assert!(
            second
                .iter()
                .all(|m| first.iter().all(|f| f.shard != m.shard))
        );
        let again = plan(&state, &Intent::Join("c".to_owned()), None);
        assert_eq!(code(again), "migration_conflict");
        let same_shard = plan(&state, &Intent::RemoveNode("a".to_owned()), None);
        assert_eq!(code(same_shard), "migration_conflict");
    }

    #[test]
    fn a_shard_that_is_moving_cannot_be_asked_for() {
        let mut state = state(&["a", "b"], 1, &[("c", "g0"), ("d", "g0")]);
        let first = begin(&mut state, Intent::Join("c".to_owned()));
        let to_d = Intent::Join("d".to_owned());
        assert_eq!(
            code(plan(&state, &to_d, Some(&[first[0].shard]))),
            "migration_conflict"
        );
        assert_eq!(code(plan(&state, &to_d, Some(&[64]))), "no_such_shard");
        let free = (0..64)
            .find(|s| first.iter().all(|m| m.shard != *s))
            .unwrap();
        let moves = plan(&state, &to_d, Some(&[free])).unwrap();
        assert_eq!(
            (moves.len(), moves[0].shard, &moves[0].joining[..]),
            (1, free, &["d".to_owned()][..])
        );
    }

    #[test]
    fn a_removed_nodes_shards_go_to_nodes_that_do_not_have_them() {
        let three = state(&["a", "b", "c"], 2, &[]);
        let moves = plan(&three, &Intent::RemoveNode("a".to_owned()), None).unwrap();
        assert!(!moves.is_empty());
        for m in &moves {
            assert_eq!(
                (m.joining.len(), &m.leaving[..]),
                (1, &["a".to_owned()][..])
            );
            assert!(!m.before.contains(&m.joining[0]) && m.owners.len() == 2);
        }
        let two = state(&["a", "b"], 2, &[]);
        assert_eq!(
            code(plan(&two, &Intent::RemoveNode("a".to_owned()), None)),
            "too_few_nodes"
        );
    }

    #[test]
    fn a_group_is_added_with_all_shards_and_the_last_one_stays() {
        let mut state = state(&["a", "b"], 1, &[("x", "g1"), ("y", "g1"), ("z", "g1")]);
        let last = Intent::RemoveGroup("g0".to_owned());
        assert_eq!(code(plan(&state, &last, None)), "last_group");
        let moves = plan(&state, &Intent::AddGroup("g1".to_owned()), None).unwrap();
        assert_eq!(moves.len(), 64);
        assert!(
            moves
                .iter()
                .all(|m| m.joining.len() == 2 && m.owners.len() == 3 && m.leaving.is_empty())
        );
        state.activate(&moves);
        let moves = plan(&state, &last, None).unwrap();
        assert!(
            moves
                .iter()
                .all(|m| m.joining.is_empty() && m.owners.len() == 2 && m.targets() == m.owners)
        );
    }

    #[test]
    fn the_way_back_restores_the_owners() {
        let mut state = state(&["a", "b"], 1, &[("c", "g0")]);
        let before = state.owners.clone();
        let moves = begin(&mut state, Intent::Join("c".to_owned()));
        state.activate(&moves);
        state.migrations[0].phase = super::super::state::Phase::Complete;
        let back = plan(&state, &Intent::Rollback(1), None).unwrap();
        assert!(
            back.iter()
                .all(|m| m.sources == ["c"] && m.leaving == ["c"])
        );
        state.activate(&back);
        assert_eq!(state.owners, before);
        assert_eq!(
            code(plan(&state, &Intent::Rollback(1), None)),
            "migration_conflict"
        );
        assert_eq!(
            code(plan(&state, &Intent::Rollback(7), None)),
            "migration_not_found"
        );
    }
}
