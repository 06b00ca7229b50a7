//! Merging parts of the nodes' change logs into one sequence.
//!
//! Each log has the changes of a key in the order of their stamps, but changes of different keys may be a little out of
//! order. A log's head therefore ranks by the lowest stamp still in its part: so a change never comes before an older
//! one of the same key that another node has logged.

use std::collections::HashSet;

use crate::wire::message::{Change, ChangeLog};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Changes in order, each once.
    pub(super) changes: Vec<Change>,
    /// Changes left out because of their origin.
    pub(super) suppressed: u64,
    /// For each log, the number to go on with.
    pub(super) next: Vec<u64>,
    /// Whether there are more to read at once.
    pub(super) more: bool,
}

struct Part {
    changes: std::vec::IntoIter<Change>,
    /// Lowest stamp from each change to the end, last one first.
    lowest: Vec<u64>,
    next: u64,
    end: u64,
    more: bool,
}

impl Part {
    fn of(log: ChangeLog, from: u64) -> Self {
        let mut lowest = Vec::with_capacity(log.changes.len());
        let mut min = u64::MAX;
        for change in log.changes.iter().rev() {
            min = min.min(change.stamp);
            lowest.push(min);
        }
        Part {
            changes: log.changes.into_iter(),
            lowest,
            next: from,
            end: log.next,
            more: log.more,
        }
    }
}

/// Merges until `limit` changes are found that `wanted` lets through, or one log's part ends before the log does.
pub(super) fn merge(
    logs: Vec<(u64, ChangeLog)>,
    limit: usize,
    wanted: impl Fn(&Change) -> bool,
) -> Merged {
    let mut parts: Vec<Part> = logs
        .into_iter()
        .map(|(from, log)| Part::of(log, from))
        .collect();
    let mut merged = Merged::default();
    let mut seen = HashSet::new();
    while merged.changes.len() < limit && !parts.iter().any(|p| p.lowest.is_empty() && p.more) {
        let first = parts
            .iter_mut()
            .filter(|p| !p.lowest.is_empty())
            .min_by_key(|p| p.lowest.last().copied());
        let Some(part) = first else { break };
        part.lowest.pop();
        let Some(change) = part.changes.next() else {
            break;
        };
        part.next = change.number + 1;
        if !wanted(&change) {
            merged.suppressed += 1;
        } else if seen.insert((change.stamp, change.id.clone(), change.deleted)) {
            merged.changes.push(change);
        }
    }
    merged.more = parts.iter().any(|p| p.more || !p.lowest.is_empty());
    let next = |p: Part| if p.lowest.is_empty() { p.end } else { p.next };
    merged.next = parts.into_iter().map(next).collect();
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Origin;

    fn log(stamps: &[(u64, &str)], more: bool) -> (u64, ChangeLog) {
        let changes: Vec<Change> = stamps
            .iter()
            .zip(0..)
            .map(|((stamp, id), number)| Change {
                number,
                stamp: *stamp,
                id: (*id).to_owned(),
                deleted: false,
                origin: Origin::Client,
            })
            .collect();
        let next = changes.len() as u64;
        let log = ChangeLog {
            log: 1,
            first: 0,
            changes,
            next,
            more,
        };
        (0, log)
    }

    fn stamps(merged: &Merged) -> Vec<u64> {
        merged.changes.iter().map(|c| c.stamp).collect()
    }

    #[test]
    fn a_key_that_moved_is_in_order_even_if_its_old_node_logged_others_out_of_order() {
        let old = log(&[(20, "b"), (5, "a")], false);
        let new = log(&[(9, "a"), (30, "a")], false);
        let merged = merge(vec![new, old], 10, |_| true);
        assert_eq!(stamps(&merged), [20, 5, 9, 30]);
        assert_eq!((merged.next, merged.more), (vec![2, 2], false));
    }

    #[test]
    fn replicas_give_each_change_once() {
        let part = || log(&[(1, "a"), (2, "b")], false);
        assert_eq!(stamps(&merge(vec![part(), part()], 10, |_| true)), [1, 2]);
    }

    #[test]
    fn nothing_is_taken_from_others_beyond_the_end_of_a_part() {
        let merged = merge(
            vec![log(&[(1, "a")], true), log(&[(2, "b"), (3, "c")], false)],
            10,
            |_| true,
        );
        assert_eq!(stamps(&merged), [1]);
        assert_eq!((merged.next, merged.more), (vec![1, 0], true));
    }

    #[test]
    fn what_is_not_wanted_is_counted_and_passed_over() {
        let merged = merge(vec![log(&[(1, "a"), (2, "b")], false)], 10, |c| c.stamp > 1);
        assert_eq!((stamps(&merged), merged.suppressed), (vec![2], 1));
        let limited = merge(vec![log(&[(1, "a"), (2, "b")], false)], 1, |_| true);
        assert_eq!((limited.next, limited.more), (vec![1], true));
    }
}
