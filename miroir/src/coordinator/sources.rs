//! Which of a shard's sources must have been read before nothing acknowledged can be missing.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{Move, State};

/// Whether in each group so many sources are among `done` that every write the group acknowledged is on one of them.
pub(crate) fn enough(state: &State, step: &Move, done: &BTreeSet<String>) -> bool {
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for source in &step.sources {
        let (all, read) = groups.entry(state.group_of(source)).or_default();
        *all += 1;
        *read += usize::from(done.contains(source));
    }
    groups.iter().all(|(group, (all, read))| {
        let factor = state.replication_factor(group);
        *read >= (factor - factor / 2).min(*all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{Group, Member, NodeKind};

    #[test]
    fn of_three_copies_two_are_enough_and_of_one_that_one_is_needed() {
        let members = [("a", "g0"), ("b", "g0"), ("c", "g0"), ("x", "g1")];
        let state = State {
            nodes: members
                .map(|(name, group)| Member {
                    name: name.to_owned(),
                    url: String::new(),
                    group: group.to_owned(),
                    kind: NodeKind::Miroir,
                    key: None,
                })
                .to_vec(),
            groups: [("g0", 3), ("g1", 1)]
                .map(|(name, replication_factor)| Group {
                    name: name.to_owned(),
                    replication_factor,
                })
                .to_vec(),
            ..State::default()
        };
        let step = Move {
            shard: 0,
            sources: members.map(|(name, _)| name.to_owned()).to_vec(),
            joining: Vec::new(),
            leaving: Vec::new(),
            before: Vec::new(),
            owners: Vec::new(),
        };
        let enough_with = |names: &[&str]| {
            let done = names.iter().map(|n| (*n).to_owned()).collect();
            enough(&state, &step, &done)
        };
        assert!(enough_with(&["a", "c", "x"]));
        assert!(!enough_with(&["a", "b", "c"]) && !enough_with(&["a", "x"]));
    }
}
