//! Rendezvous (highest random weight) hashing, after Thaler and Ravishankar (1996): when a node joins, only the
//! shards it wins move, and all of them move to it.

use xxhash_rust::xxh3::xxh3_64;
use xxhash_rust::xxh64::xxh64;

/// The shard of a primary key.
pub(crate) fn shard_of(id: &str, shards: u32) -> u32 {
    u32::try_from(xxh3_64(id.as_bytes()) % u64::from(shards)).expect("a remainder of a u32 fits")
}

/// The owners of a shard, best first: the `replicas` nodes with the highest weights. Ties go to the smaller name.
pub(crate) fn owners(shard: u32, nodes: &[String], replicas: usize) -> Vec<String> {
    let mut weighed: Vec<(u64, &String)> = nodes
        .iter()
        .map(|n| (xxh64(n.as_bytes(), u64::from(shard)), n))
        .collect();
    weighed.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    weighed
        .into_iter()
        .take(replicas)
        .map(|(_, n)| n.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("n{i}")).collect()
    }

    #[test]
    fn placement_is_the_same_in_every_version() {
        assert_eq!(
            [shard_of("0", 64), shard_of("1", 64), shard_of("doc-1", 64)],
            SHARDS_OF_SOME_KEYS
        );
        let of_first: Vec<String> = (0..8).map(|s| owners(s, &names(3), 1).remove(0)).collect();
        assert_eq!(of_first.join(" "), OWNERS_OF_FIRST_SHARDS);
    }

    const SHARDS_OF_SOME_KEYS: [u32; 3] = [21, 24, 1];
    const OWNERS_OF_FIRST_SHARDS: &str = "n0 n0 n0 n2 n0 n0 n0 n1";

    #[test]
    fn shards_are_spread_over_nodes() {
        let nodes = names(4);
        for node in &nodes {
            let owned = (0..1024)
                .filter(|&s| owners(s, &nodes, 1)[0] == *node)
                .count();
            assert!((180..=340).contains(&owned), "{node} owns {owned} of 1024");
        }
    }

    proptest! {
        #[test]
        fn a_joining_node_takes_shards_and_nothing_else_moves(shard in 0_u32..10_000, count in 1_usize..8, replicas in 1_usize..3) {
            let mut nodes = names(count);
            let before = owners(shard, &nodes, replicas);
            nodes.push("joining".to_owned());
            let after = owners(shard, &nodes, replicas);
            let kept: Vec<_> = after.iter().filter(|n| *n != "joining").cloned().collect();
            prop_assert_eq!(&before[..kept.len()], &kept[..]);
        }

        #[test]
        fn owners_are_distinct(shard in 0_u32..10_000, replicas in 1_usize..6) {
            let mut owners = owners(shard, &names(5), replicas);
            let count = owners.len();
            owners.sort();
            owners.dedup();
            prop_assert_eq!(owners.len(), count);
            prop_assert_eq!(count, replicas.min(5));
        }
    }
}
