//! Stacks with distinct values, in O(n log n).
//!
//! A value whose push returns before its pop is called is on the stack *for certain* in between; any
//! other can be pushed and popped at one instant and hinders nobody. Where no value is there for
//! certain, the stack can be empty: what could span that moment can as well be pushed after it or
//! popped before it. So the history falls into parts, each a stretch of time in which something is
//! always there for certain, and a pop that found nothing needs a moment outside of all parts. In a part
//! the stack is never empty, so one value lies at the bottom throughout: its push must be called before
//! the part begins (the first of its pushes returns) and its pop return after it ends. Any value with
//! this property will do, because at the bottom it hinders nobody. Without it the part falls into
//! smaller parts, which are judged the same way.
//!
//! This is the decrease and conquer of Lee and Mathur, "Efficient decrease-and-conquer linearizability
//! monitoring" (OOPSLA 2025); the characterization by bottoms goes back to the stack rules of Bouajjani,
//! Emmi, Enea and Hamza (ICALP 2015). A part's bottom is found with two trees over the values in order of
//! their pushes' returns: one hands over the values whose push is called early enough, each once; the
//! other has the last return of a pop among those.
//!
//! Pushes that never returned and that nobody saw need not have happened. The same goes for pops that
//! never returned; where they may matter ([`Lives::judge`]), this leaves the case to the search.

use super::cover::Cover;
use super::extremes::Maxima;
use super::history::{History, OPEN};
use super::lives::{Life, Lives};
use super::model::{Conflict, Shortcut};
use super::models::PutTake;

/// Decides the history, if its values are distinct.
pub(super) fn stack(history: &History<PutTake>) -> Option<Shortcut> {
    let conflict = match Lives::new(history)? {
        Err(conflict) => Some(conflict),
        Ok(lives) => lives.judge(|lives| lives.never_empty().or_else(|| crossing(&lives.lives)))?,
    };
    Some(Shortcut {
        method: "stack bottoms (Lee and Mathur)",
        conflict,
    })
}

/// The ends of certain stays in order, and where each value's are among them.
struct Ends {
    /// Moment, and the value whose stay begins (or ends) there.
    moments: Vec<(u32, u32)>,
    begin: Vec<u32>,
    end: Vec<u32>,
}

impl Ends {
    fn new(values: &[Life]) -> Self {
        let mut moments: Vec<(u32, u32)> = (0..)
            .zip(values)
            .flat_map(|(at, life)| [(life.put_ret, at), (life.take_call, at)])
            .collect();
        moments.sort_unstable();
        let (mut begin, mut end) = (vec![0; values.len()], vec![0; values.len()]);
        for (rank, &(moment, at)) in (0..).zip(&moments) {
            if moment == values[at as usize].put_ret {
                begin[at as usize] = rank;
            } else {
                end[at as usize] = rank;
            }
        }
        Ends {
            moments,
            begin,
            end,
        }
    }
}

/// Values that cannot be nested.
fn crossing(lives: &[Life]) -> Option<Conflict> {
    let mut values: Vec<Life> = lives
        .iter()
        .filter(|life| life.certain().is_some())
        .copied()
        .collect();
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by_key(|life| life.put_ret);
    let ends = Ends::new(&values);
    // Gap g lies between the ends g and g + 1.
    let stays = (0..values.len()).map(|at| (ends.begin[at], ends.end[at] - 1));
    let mut cover = Cover::new(ends.moments.len() - 1, stays);
    let mut late_calls = Maxima::new(values.iter().map(|life| !life.put_call));
    let mut takes = Maxima::new(values.iter().map(|_| 0));

    let mut uncovered = Vec::new();
    cover.take_uncovered(0, ends.moments.len() as u32 - 2, &mut uncovered);
    let mut parts = Vec::new();
    split(0, ends.moments.len() as u32 - 2, &uncovered, &mut parts);
    while let Some((first, last)) = parts.pop() {
        let (begins, from) = ends.moments[first as usize];
        let (ends_at, last_value) = ends.moments[last as usize + 1];
        if first == last {
            continue;
        }
        let to = values.partition_point(|life| life.put_ret < ends_at) as u32 - 1;
        // Complements turn the earliest call into the greatest.
        while let Some((value, call)) = late_calls.greatest(from, to)
            && !call < begins
        {
            late_calls.set(value, 0);
            takes.set(value, values[value as usize].take_ret);
        }
        // What is never taken can stay at the bottom for ever.
        let bottom = takes
            .greatest(from, to)
            .filter(|&(_, ret)| ret > ends_at || ret == OPEN);
        let Some((bottom, _)) = bottom else {
            let ends = [from, last_value];
            let operations = ends
                .into_iter()
                .flat_map(|at| values[at as usize].operations());
            return Some(Conflict::new(
                "values came out of the stack in an order that no nesting explains",
                operations,
            ));
        };
        takes.set(bottom, 0);
        let (begin, end) = (ends.begin[bottom as usize], ends.end[bottom as usize] - 1);
        uncovered.clear();
        cover.uncover(begin, end, &mut uncovered);
        split(first, last, &uncovered, &mut parts);
    }
    None
}

/// The runs of gaps between those that have become uncovered.
fn split(first: u32, last: u32, uncovered: &[u32], parts: &mut Vec<(u32, u32)>) {
    let mut from = first;
    for &gap in uncovered {
        if from < gap {
            parts.push((from, gap - 1));
        }
        from = gap + 1;
    }
    if from <= last {
        parts.push((from, last));
    }
}
