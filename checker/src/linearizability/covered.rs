//! The union of open intervals of moments.

/// Disjoint intervals in order, none touching the next.
pub(super) struct Covered(Vec<(u32, u32)>);

impl Covered {
    /// The union of intervals in any order. O(n log n).
    pub(super) fn new(mut intervals: Vec<(u32, u32)>) -> Self {
        if !intervals.is_sorted() {
            intervals.sort_unstable();
        }
        let mut union: Vec<(u32, u32)> = Vec::new();
        for (from, to) in intervals {
            match union.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => union.push((from, to)),
            }
        }
        Covered(union)
    }

    /// The interval that has all of `from..=to` in it. O(log n).
    pub(super) fn around(&self, from: u32, to: u32) -> Option<(u32, u32)> {
        let after = self.0.partition_point(|interval| interval.0 < from);
        let found = *self.0[..after].last()?;
        (found.1 > to).then_some(found)
    }
}
