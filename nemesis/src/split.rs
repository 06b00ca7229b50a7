//! Shapes in which a group of nodes falls apart.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A shape. Nodes count in the order in which they are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case")]
pub enum Split {
    /// One node is cut off from all others.
    Isolate {
        /// Which.
        one: String,
    },
    /// The first half, the larger one of an odd number, and the rest.
    Halves,
    /// The smallest majority that there is, and the rest.
    MajorityMinority,
    /// Nodes in a ring reach only their neighbours: each reaches a majority, and no two the same.
    MajoritiesRing,
    /// Two halves that reach each other only through one node between them.
    Bridge,
    /// These pairs, and no others.
    Pairs {
        /// Which.
        pairs: Vec<(String, String)>,
    },
}

impl Split {
    /// The fewest nodes it can be had with.
    pub fn fewest(&self) -> usize {
        match self {
            Self::Isolate { .. } | Self::Halves | Self::Pairs { .. } => 2,
            Self::MajorityMinority | Self::Bridge => 3,
            Self::MajoritiesRing => 4,
        }
    }

    /// Its name, for people.
    pub fn words(&self) -> String {
        match self {
            Self::Isolate { one } => format!("{one} alone"),
            Self::Halves => "in halves".to_owned(),
            Self::MajorityMinority => "in a majority and a minority".to_owned(),
            Self::MajoritiesRing => "in a ring of majorities".to_owned(),
            Self::Bridge => "in halves with a bridge".to_owned(),
            Self::Pairs { pairs } => {
                let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{a} | {b}")).collect();
                format!("in the pairs {}", pairs.join(", "))
            }
        }
    }

    /// The pairs of nodes that can't reach each other, each once. Quadratic in nodes.
    pub fn cut(&self, nodes: &[String]) -> BTreeSet<(String, String)> {
        let count = nodes.len();
        // Enough on each side of a node that it and they are a majority.
        let neighbours = (count / 2).div_ceil(2);
        let apart = |one: usize, other: usize| match self {
            Self::Isolate { one: alone } => nodes[one] == *alone || nodes[other] == *alone,
            Self::Halves => one < count.div_ceil(2) && other >= count.div_ceil(2),
            Self::MajorityMinority => one < count / 2 + 1 && other > count / 2,
            Self::MajoritiesRing => (other - one).min(count - (other - one)) > neighbours,
            Self::Bridge => one < count / 2 && other > count / 2,
            Self::Pairs { pairs } => pairs.iter().any(|(a, b)| {
                let pair = (&nodes[one], &nodes[other]);
                pair == (a, b) || pair == (b, a)
            }),
        };
        (0..count)
            .flat_map(|one| (one + 1..count).map(move |other| (one, other)))
            .filter(|(one, other)| apart(*one, *other))
            .map(|(one, other)| (nodes[one].clone(), nodes[other].clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> Vec<String> {
        (1..=count).map(|n| format!("n{n}")).collect()
    }

    /// The nodes that one reaches, itself among them.
    fn reached(split: &Split, nodes: &[String], from: &str) -> BTreeSet<String> {
        let cut = split.cut(nodes);
        let apart = |other: &String| {
            let pair = |a: &str, b: &str| cut.contains(&(a.to_owned(), b.to_owned()));
            pair(from, other) || pair(other, from)
        };
        nodes.iter().filter(|node| !apart(node)).cloned().collect()
    }

    /// How many nodes each reaches.
    fn sizes(split: &Split, count: usize) -> Vec<usize> {
        let nodes = nodes(count);
        let sizes = nodes.iter().map(|node| reached(split, &nodes, node).len());
        sizes.collect()
    }

    #[test]
    fn each_shape_leaves_the_groups_its_name_promises() {
        let alone = Split::Isolate { one: "n2".into() };
        assert_eq!(sizes(&alone, 4), [3, 1, 3, 3]);
        assert_eq!(sizes(&Split::Halves, 4), [2, 2, 2, 2]);
        assert_eq!(sizes(&Split::Halves, 5), [3, 3, 3, 2, 2]);
        assert_eq!(sizes(&Split::MajorityMinority, 5), [3, 3, 3, 2, 2]);
        assert_eq!(sizes(&Split::MajorityMinority, 4), [3, 3, 3, 1]);
        assert_eq!(sizes(&Split::Bridge, 5), [3, 3, 5, 3, 3]);
        assert_eq!(sizes(&Split::Bridge, 3), [2, 3, 2]);
        let pairs = Split::Pairs {
            pairs: vec![("n3".into(), "n1".into())],
        };
        assert_eq!(sizes(&pairs, 3), [2, 3, 2]);
    }

    #[test]
    fn in_a_ring_each_reaches_a_majority_and_no_two_the_same() {
        for count in 4..=12 {
            let nodes = nodes(count);
            let reached: Vec<_> = nodes
                .iter()
                .map(|node| reached(&Split::MajoritiesRing, &nodes, node))
                .collect();
            for majority in &reached {
                assert!(majority.len() > count / 2, "{count}: {majority:?}");
                assert!(majority.len() < count, "{count}: someone is cut off");
            }
            let different: BTreeSet<_> = reached.iter().collect();
            assert_eq!(different.len(), count, "{count}");
        }
    }
}
