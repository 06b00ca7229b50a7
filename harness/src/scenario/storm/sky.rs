//! What is in force at one moment of a storm's plan, and what still fits in.

use std::collections::BTreeSet;
use std::time::Duration;

use toml::Spanned;

use super::StormItem;

/// The faults in force at one moment of the plan.
#[derive(Default)]
pub(super) struct Sky {
    pub(super) active: Vec<Active>,
    /// Over by plan, but no fault has waited for their end yet.
    pub(super) owed: Vec<String>,
    /// The fault drawn last.
    pub(super) last: Option<String>,
}

pub(super) struct Active {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) nodes: BTreeSet<String>,
    pub(super) until: Duration,
}

impl Sky {
    /// Takes out what was over by this moment.
    pub(super) fn clear(&mut self, moment: Duration) -> Vec<String> {
        let over = self.active.extract_if(.., |fault| fault.until <= moment);
        over.map(|fault| fault.name).collect()
    }

    /// No node is struck twice at a time, and the storm's own limits hold.
    pub(super) fn fits(&self, storm: &StormItem, kind: &str, nodes: &BTreeSet<String>) -> bool {
        let together = |other: &str| {
            (storm.never_together.iter())
                .map(Spanned::get_ref)
                .any(|[a, b]| (a == kind && b == other) || (a == other && b == kind))
        };
        let struck: usize = self.active.iter().map(|fault| fault.nodes.len()).sum();
        let most = storm.nodes_at_once.as_ref().map(|most| *most.get_ref());
        (self.active.iter()).all(|f| f.nodes.is_disjoint(nodes) && !together(f.kind))
            && most.is_none_or(|most| struck + nodes.len() <= most)
    }
}
