//! A group of nodes that falls apart, as a scenario describes it.

use serde::Deserialize;
use toml::Spanned;

use crate::scenario::Names;

/// Parameters of `split`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitFault {
    /// The nodes that fall apart in a shape: roles or node names.
    pub nodes: Option<Spanned<Names>>,
    /// In which shape.
    pub shape: Option<SplitShape>,
    /// The node that `isolate` cuts off.
    pub one: Option<Spanned<Names>>,
    /// In an order drawn from the seed, not in that in which they are named.
    #[serde(default)]
    pub shuffle: bool,
    /// Pairs that are cut instead: each side roles or node names.
    #[serde(default)]
    pub pairs: Vec<(Spanned<Names>, Spanned<Names>)>,
}

/// The shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitShape {
    /// One node is cut off from all others.
    Isolate,
    /// Two halves.
    Halves,
    /// The smallest majority, and the rest.
    MajorityMinority,
    /// Each node reaches a majority, no two the same.
    MajoritiesRing,
    /// Two halves that reach each other only through one node.
    Bridge,
}

impl SplitFault {
    /// Everything it names as nodes.
    pub(crate) fn targets(&self) -> Vec<&Spanned<Names>> {
        let pairs = self.pairs.iter().flat_map(|(a, b)| [a, b]);
        self.one.iter().chain(&self.nodes).chain(pairs).collect()
    }

    /// The same, to be changed.
    pub(super) fn targets_mut(&mut self) -> impl Iterator<Item = &mut Spanned<Names>> {
        let pairs = self.pairs.iter_mut().flat_map(|(a, b)| [a, b]);
        self.one.iter_mut().chain(&mut self.nodes).chain(pairs)
    }
}
