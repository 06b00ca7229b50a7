//! Where in an order a cycle can be.
//!
//! Most of what must come before what agrees with an order that is known: that of completions, say. On
//! its way back a cycle passes every place between its first and its last through edges that lead back,
//! each of which covers the places from its end to its begin. So a cycle lies within one stretch of
//! places that such edges cover without a gap, and nothing else need be searched.

use std::ops::RangeInclusive;

/// The places that edges lead back over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stretches(Vec<RangeInclusive<u32>>);

impl Stretches {
    /// An edge between two places.
    pub(crate) fn add(&mut self, from: u32, to: u32) {
        if from >= to {
            self.0.push(to..=from);
        }
    }

    /// The places covered, in ascending order, each stretch as long as can be. O(n log n).
    pub(crate) fn merged(mut self) -> Vec<RangeInclusive<u32>> {
        self.0.sort_unstable_by_key(|stretch| *stretch.start());
        let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
        for stretch in self.0 {
            match merged.last_mut() {
                Some(last) if stretch.start() <= last.end() => {
                    *last = *last.start()..=*last.end().max(stretch.end());
                }
                _ => merged.push(stretch),
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_one_stretch_and_what_leads_forward_none() {
        let mut stretches = Stretches::default();
        for (from, to) in [(9, 7), (1, 2), (4, 3), (5, 4), (7, 7), (2, 9), (8, 8)] {
            stretches.add(from, to);
        }
        assert_eq!(stretches.merged(), [3..=5, 7..=9]);
        assert!(Stretches::default().merged().is_empty());
    }
}
