//! A figure that only rises, and when.

/// The highest of what was noted up to any moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Rising(Vec<(u32, u32)>);

impl Rising {
    /// Notes a figure at a moment, not before those noted so far.
    pub(super) fn note(&mut self, at: u32, figure: u32) {
        if self.0.last().is_none_or(|(_, highest)| *highest < figure) {
            self.0.push((at, figure));
        }
    }

    /// The highest noted before a moment. O(log n).
    pub(super) fn before(&self, at: u32) -> Option<u32> {
        let count = self.0.partition_point(|(noted, _)| *noted < at);
        count.checked_sub(1).map(|last| self.0[last].1)
    }

    /// The highest noted.
    pub(super) fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, highest)| *highest)
    }
}
