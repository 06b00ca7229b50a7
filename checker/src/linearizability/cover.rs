//! How many intervals lie over each gap, and which gaps become uncovered as intervals go.

/// A tree of minima with range updates: O(log n) per interval, and per gap uncovered, once each.
pub(super) struct Cover {
    leaves: usize,
    /// Least cover below a node, not counting `pending` above it.
    least: Vec<i32>,
    /// To be added to everything below a node.
    pending: Vec<i32>,
}

/// The cover of gaps already reported, and of places that are no gaps.
const GONE: i32 = i32::MAX / 2;

impl Cover {
    /// Gaps `0..gaps` under these intervals, ends included.
    pub(super) fn new(gaps: usize, intervals: impl Iterator<Item = (u32, u32)>) -> Self {
        let leaves = gaps.next_power_of_two();
        let mut steps = vec![0i32; gaps + 1];
        for (from, to) in intervals {
            steps[from as usize] += 1;
            steps[to as usize + 1] -= 1;
        }
        let mut least = vec![GONE; 2 * leaves];
        let mut depth = 0;
        for (gap, step) in steps[..gaps].iter().enumerate() {
            depth += step;
            least[leaves + gap] = depth;
        }
        for node in (1..leaves).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Cover {
            leaves,
            least,
            pending: vec![0; 2 * leaves],
        }
    }

    /// Takes an interval away; pushes, in order, the gaps that are now uncovered.
    pub(super) fn uncover(&mut self, from: u32, to: u32, uncovered: &mut Vec<u32>) {
        self.add(1, 0, self.leaves as u32 - 1, from, to);
        self.take_uncovered(from, to, uncovered);
    }

    /// Pushes, in order, the uncovered gaps of `from..=to` not reported before.
    pub(super) fn take_uncovered(&mut self, from: u32, to: u32, uncovered: &mut Vec<u32>) {
        self.take(1, 0, self.leaves as u32 - 1, (from, to), 0, uncovered);
    }

    fn add(&mut self, node: usize, low: u32, high: u32, from: u32, to: u32) {
        if to < low || high < from {
            return;
        }
        if from <= low && high <= to {
            self.least[node] -= 1;
            self.pending[node] -= 1;
            return;
        }
        let middle = low + (high - low) / 2;
        self.add(2 * node, low, middle, from, to);
        self.add(2 * node + 1, middle + 1, high, from, to);
        self.pull(node);
    }

    fn take(
        &mut self,
        node: usize,
        low: u32,
        high: u32,
        range: (u32, u32),
        above: i32,
        uncovered: &mut Vec<u32>,
    ) {
        if range.1 < low || high < range.0 || self.least[node] + above > 0 {
            return;
        }
        if low == high {
            uncovered.push(low);
            self.least[node] = GONE;
            return;
        }
        let middle = low + (high - low) / 2;
        let above = above + self.pending[node];
        self.take(2 * node, low, middle, range, above, uncovered);
        self.take(2 * node + 1, middle + 1, high, range, above, uncovered);
        self.pull(node);
    }

    fn pull(&mut self, node: usize) {
        let below = self.least[2 * node].min(self.least[2 * node + 1]);
        self.least[node] = below + self.pending[node];
    }
}
