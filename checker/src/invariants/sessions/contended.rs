//! Session guarantees on a register that several processes write: whether any order of its writes is left.
//!
//! Each process's own writes are in the order of their calls, and all follow the initial version. A read that must
//! not be older than another version puts the two in order. The guarantee holds if and only if that has no cycle:
//! any order that extends it will do. Linear time.

/// What is known of the order of one register's versions; 0 is the initial one.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The earlier, the later, and the line that shows it.
    pairs: Vec<(u32, u32, u64)>,
}

impl Order {
    /// One version is not after another.
    pub(super) fn note(&mut self, earlier: u32, later: u32, line: u64) {
        if earlier != later {
            self.pairs.push((earlier, later, line));
        }
    }

    /// Versions that follow one another in a circle, each with the line that shows that the next one follows, among
    /// versions of which each has a writer.
    pub(super) fn circle(&self, writers: &[i64]) -> Option<Vec<(u32, u64)>> {
        let count = writers.len() + 1;
        let mut after: Vec<Vec<(u32, u64)>> = vec![Vec::new(); count];
        let mut waits = vec![0_u32; count];
        let mut add = |(earlier, later, line): (u32, u32, u64)| {
            after[earlier as usize].push((later, line));
            waits[later as usize] += 1;
        };
        let mut last = hashbrown::HashMap::new();
        for (version, writer) in (1_u32..).zip(writers) {
            let earlier = last.insert(writer, version).unwrap_or(0);
            add((earlier, version, 0));
        }
        self.pairs.iter().copied().for_each(&mut add);
        let mut free: Vec<u32> = (0..count as u32)
            .filter(|one| waits[*one as usize] == 0)
            .collect();
        while let Some(version) = free.pop() {
            for (later, _) in &after[version as usize] {
                waits[*later as usize] -= 1;
                if waits[*later as usize] == 0 {
                    free.push(*later);
                }
            }
        }
        // Whatever still waits waits for another that does.
        let mut before = vec![None; count];
        for version in 0..count as u32 {
            for (later, line) in &after[version as usize] {
                if waits[version as usize] > 0 && waits[*later as usize] > 0 {
                    before[*later as usize] = Some((version, *line));
                }
            }
        }
        let mut place = vec![None; count];
        let mut path = Vec::new();
        let mut at = (0..count as u32).find(|one| waits[*one as usize] > 0)?;
        while place[at as usize].is_none() {
            place[at as usize] = Some(path.len());
            let (earlier, line) = before[at as usize]?;
            path.push((earlier, line));
            at = earlier;
        }
        let mut circle = path.split_off(place[at as usize]?);
        circle.reverse();
        Some(circle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_a_circle_are_found_with_the_lines_that_show_it() {
        let mut order = Order::default();
        order.note(1, 2, 10);
        order.note(2, 3, 11);
        assert_eq!(order.circle(&[7, 8, 9]), None);
        order.note(3, 1, 12);
        let circle = order.circle(&[7, 8, 9]).unwrap();
        let from = circle
            .iter()
            .position(|(version, _)| *version == 1)
            .unwrap();
        let turned: Vec<_> = circle[from..]
            .iter()
            .chain(&circle[..from])
            .copied()
            .collect();
        assert_eq!(turned, [(1, 10), (2, 11), (3, 12)]);
    }

    #[test]
    fn a_process_writes_in_its_order_and_nothing_precedes_the_initial_version() {
        let mut order = Order::default();
        order.note(2, 1, 10);
        assert_eq!(order.circle(&[7, 8]), None);
        assert!(order.circle(&[7, 7]).is_some());
        let mut order = Order::default();
        order.note(1, 0, 10);
        assert!(order.circle(&[7]).is_some());
    }
}
