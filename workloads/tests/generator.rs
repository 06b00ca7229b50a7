//! What the documents generator promises, whatever the plan.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use proptest::prelude::*;
use shakedown_workloads::documents::{Actor, KeySpace, KeySpaceError, Mix};
use shakedown_workloads::operation::Operation;

const GROUP: &str = "main";

/// A stage as the tests need it: processes, requests per process, mix, batch.
#[derive(Debug, Clone)]
struct Stage {
    processes: u32,
    requests: u32,
    mix: [u16; 4],
    batch: u32,
}

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    let mix = prop::array::uniform4(0u16..5).prop_filter("not empty", |mix| *mix != [0; 4]);
    let stage = (1u32..6, 0u32..60, mix, 1u32..5);
    let stage = stage.prop_map(|(processes, requests, mix, batch)| Stage {
        processes,
        requests,
        mix,
        batch,
    });
    prop::collection::vec(stage, 1..5)
}

fn processes(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn mix([insert, update, delete, read]: [u16; 4]) -> Mix {
    Mix::new(insert, update, delete, read).unwrap()
}

fn key_space(seed: u64, stages: &[Stage]) -> KeySpace {
    KeySpace::new(seed, stages.iter().map(|s| (GROUP, processes(s.processes))))
}

/// All requests, per stage and process, in the order each process makes them.
fn offered(keys: &KeySpace, stages: &[Stage]) -> Vec<Vec<Vec<Operation>>> {
    let run = |stage: &Stage| {
        let actors = keys.actors(GROUP, processes(stage.processes)).unwrap();
        let requests = |mut actor: Actor| {
            let next = |_| actor.next(&mix(stage.mix), stage.batch);
            (0..stage.requests).map(next).collect()
        };
        actors.into_iter().map(requests).collect()
    };
    stages.iter().map(run).collect()
}

fn writes(operation: &Operation) -> Vec<(i64, i64)> {
    match operation {
        Operation::Put(writes) | Operation::Delete(writes) => {
            writes.iter().map(|w| (w.key, w.version)).collect()
        }
        Operation::Read { .. } => Vec::new(),
    }
}

proptest! {
    #[test]
    fn the_same_seed_and_stages_offer_the_same_operations(seed: u64, stages in stages()) {
        let first = offered(&key_space(seed, &stages), &stages);
        let second = offered(&key_space(seed, &stages), &stages);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn each_key_has_one_writer_within_a_stage_and_versions_without_gaps(seed: u64, stages in stages()) {
        let mut versions: BTreeMap<i64, i64> = BTreeMap::new();
        for stage in offered(&key_space(seed, &stages), &stages) {
            let mut writers: BTreeMap<i64, usize> = BTreeMap::new();
            for (process, operations) in stage.iter().enumerate() {
                for (key, version) in operations.iter().flat_map(writes) {
                    prop_assert_eq!(*writers.entry(key).or_insert(process), process);
                    let last = versions.entry(key).or_default();
                    prop_assert_eq!(version, *last + 1);
                    *last = version;
                }
            }
        }
    }

    #[test]
    fn only_live_keys_are_updated_deleted_or_read_and_none_twice_in_a_request(seed: u64, stages in stages()) {
        let mut live: BTreeSet<i64> = BTreeSet::new();
        let mut seen: BTreeSet<i64> = BTreeSet::new();
        for (stage, operations) in stages.iter().zip(offered(&key_space(seed, &stages), &stages)) {
            for operation in operations.iter().flatten() {
                let keys: BTreeSet<i64> = writes(operation).iter().map(|(key, _)| *key).collect();
                prop_assert_eq!(keys.len(), writes(operation).len());
                prop_assert!(keys.len() <= stage.batch as usize);
                match operation {
                    Operation::Put(writes) => {
                        prop_assert!(!writes.is_empty());
                        seen.extend(&keys);
                        live.extend(&keys);
                    }
                    Operation::Delete(writes) => {
                        prop_assert!(!writes.is_empty());
                        prop_assert!(keys.is_subset(&live));
                        live.retain(|key| !keys.contains(key));
                    }
                    Operation::Read { key } => prop_assert!(live.contains(key)),
                }
            }
        }
        let keys = key_space(seed, &stages);
        offered(&keys, &stages);
        prop_assert_eq!(keys.keys(), seen.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn inserts_alone_number_keys_densely(seed: u64, count in 1u32..50, n in 1u32..8) {
        let stage = Stage { processes: n, requests: count, mix: [1, 0, 0, 0], batch: 1 };
        let keys = key_space(seed, std::slice::from_ref(&stage));
        offered(&keys, &[stage]);
        let dense: Vec<i64> = (0..i64::from(count * n)).collect();
        prop_assert_eq!(keys.keys(), dense);
    }
}

#[test]
fn mixes_are_kept_to() {
    let stages = [
        Stage {
            processes: 4,
            requests: 500,
            mix: [1, 0, 0, 0],
            batch: 1,
        },
        Stage {
            processes: 4,
            requests: 5_000,
            mix: [6, 2, 1, 1],
            batch: 1,
        },
    ];
    let operations = offered(&key_space(3, &stages), &stages).remove(1);
    let mut live: BTreeSet<i64> = (0..2_000).collect();
    let mut counts = [0u32; 4];
    for operation in operations.iter().flatten() {
        let kind = match operation {
            Operation::Put(writes) => usize::from(!live.insert(writes[0].key)),
            Operation::Delete(writes) => {
                live.remove(&writes[0].key);
                2
            }
            Operation::Read { .. } => 3,
        };
        counts[kind] += 1;
    }
    // 20,000 draws: five standard deviations are at most 350.
    for (count, expected) in counts.into_iter().zip([12_000u32, 4_000, 2_000, 2_000]) {
        assert!(count.abs_diff(expected) < 350, "{counts:?}");
    }
}

#[test]
fn another_seed_offers_other_operations() {
    let stages = [Stage {
        processes: 2,
        requests: 100,
        mix: [2, 1, 1, 1],
        batch: 1,
    }];
    let first = offered(&key_space(1, &stages), &stages);
    assert_ne!(first, offered(&key_space(2, &stages), &stages));
}

#[test]
fn a_delete_can_be_followed_by_an_insert_of_the_same_key() {
    let stages = [Stage {
        processes: 1,
        requests: 200,
        mix: [1, 0, 1, 0],
        batch: 1,
    }];
    let operations = offered(&key_space(1, &stages), &stages).remove(0).remove(0);
    let again = operations
        .iter()
        .filter(|operation| matches!(operation, Operation::Put(writes) if writes[0].version > 1));
    assert!(again.count() > 0);
}

#[test]
fn keys_in_use_cannot_be_taken_and_come_back_afterwards() {
    let keys = KeySpace::new(1, [(GROUP, processes(4)), ("burst", processes(2))]);
    let busy = KeySpaceError::Busy {
        group: GROUP.to_owned(),
    };
    let actors = keys.actors(GROUP, processes(2)).unwrap();
    assert_eq!(keys.actors(GROUP, processes(4)).unwrap_err(), busy);
    let burst = keys.actors("burst", processes(2)).unwrap();
    let mut numbers: Vec<i32> = actors.iter().chain(&burst).map(|a| a.process().0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(
        numbers.len(),
        4,
        "actors that overlap are different processes"
    );
    drop(actors);
    drop(keys.actors(GROUP, processes(4)).unwrap());
    assert!(matches!(
        keys.actors(GROUP, processes(5)).unwrap_err(),
        KeySpaceError::TooManyProcesses { lanes: 4, .. }
    ));
    assert!(matches!(
        keys.actors("other", processes(1)).unwrap_err(),
        KeySpaceError::UnknownGroup { .. }
    ));
}

#[test]
fn a_process_with_a_request_under_way_is_never_met_again() {
    let keys = KeySpace::new(1, [(GROUP, processes(2))]);
    let mut actors = keys.actors(GROUP, processes(2)).unwrap();
    let first = actors[0].process();
    actors[0].begin();
    actors[0].end(false);
    let second = actors[0].process();
    assert_ne!(first, second);
    actors[0].begin();
    drop(actors);
    let third = keys.actors(GROUP, processes(2)).unwrap()[0].process();
    assert!(third != first && third != second);
}
