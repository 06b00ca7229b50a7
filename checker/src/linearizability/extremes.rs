//! The greatest of a range of numbers, some of which change.

/// A tree of maxima: O(log n) to ask and to change. Node 1 is the root; node 0 stays 0.
pub(super) struct Maxima {
    leaves: usize,
    tree: Vec<u32>,
}

impl Maxima {
    pub(super) fn new(values: impl ExactSizeIterator<Item = u32>) -> Self {
        let leaves = values.len().next_power_of_two();
        let mut tree = vec![0; 2 * leaves];
        for (at, value) in values.enumerate() {
            tree[leaves + at] = value;
        }
        for node in (1..leaves).rev() {
            tree[node] = tree[2 * node].max(tree[2 * node + 1]);
        }
        Maxima { leaves, tree }
    }

    pub(super) fn set(&mut self, at: u32, value: u32) {
        let mut node = self.leaves + at as usize;
        self.tree[node] = value;
        while node > 1 {
            node /= 2;
            let greatest = self.tree[2 * node].max(self.tree[2 * node + 1]);
            if self.tree[node] == greatest {
                break;
            }
            self.tree[node] = greatest;
        }
    }

    /// The greatest number, if above 0, at the places `from..=to`, and its place.
    pub(super) fn greatest(&self, from: u32, to: u32) -> Option<(u32, u32)> {
        let (mut left, mut right) = (self.leaves + from as usize, self.leaves + to as usize + 1);
        let mut best = 0;
        while left < right {
            if left % 2 == 1 {
                if self.tree[left] > self.tree[best] {
                    best = left;
                }
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                if self.tree[right] > self.tree[best] {
                    best = right;
                }
            }
            left /= 2;
            right /= 2;
        }
        let value = self.tree[best];
        if value == 0 {
            return None;
        }
        while best < self.leaves {
            best *= 2;
            if self.tree[best] != value {
                best += 1;
            }
        }
        Some(((best - self.leaves) as u32, value))
    }
}
