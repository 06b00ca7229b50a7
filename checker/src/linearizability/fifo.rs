//! FIFO queues with distinct values, in O(n log n).
//!
//! Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability proofs" (CONCUR 2013): a complete
//! history is linearizable if and only if no value is dequeued that was not enqueued before (or twice),
//! no dequeue finds nothing while the queue is certainly not empty, and there are no two values of which
//! the first is enqueued before the second, but dequeued after it or not at all. Bouajjani, Emmi, Enea
//! and Hamza ("On reducing linearizability to state reachability", ICALP 2015) have the same rules.
//!
//! Enqueues that never returned are bounded by nothing; if nobody saw their value, they need not have
//! happened. A dequeue that never returned may take a value that was left behind. Each value left behind
//! although a later one was dequeued needs such a dequeue, called before the first return of a dequeue of
//! a later one; which takes which is a matter of deadlines, decided by handing them out earliest first.
//! Only where some dequeue found nothing and they may matter for that ([`Lives::judge`]), the case is left
//! to the search.

use super::history::{History, OPEN};
use super::lives::{Life, Lives};
use super::model::{Conflict, Shortcut};
use super::models::PutTake;

/// Decides the history, if its values are distinct.
pub(super) fn queue(history: &History<PutTake>) -> Option<Shortcut> {
    let found = |conflict| {
        Some(Shortcut {
            method: "queue aspects (Henzinger, Sezgin and Vafeiadis)",
            conflict,
        })
    };
    let lives = match Lives::new(history)? {
        Ok(lives) => lives,
        Err(conflict) => return found(Some(conflict)),
    };
    if let Some(conflict) = out_of_order(&lives.lives) {
        return found(Some(conflict));
    }
    if let Some(conflict) = left_behind(&lives.lives, &lives.open_takes) {
        return found(Some(conflict));
    }
    found(lives.judge(Lives::never_empty)?)
}

/// Two taken values, the first put before the second and taken after it.
fn out_of_order(lives: &[Life]) -> Option<Conflict> {
    let taken: Vec<&Life> = lives.iter().filter(|life| life.is_taken()).collect();
    let mut by_put_ret = taken.clone();
    by_put_ret.sort_unstable_by_key(|life| life.put_ret);
    let mut earlier = by_put_ret.into_iter().peekable();
    let mut last: Option<&Life> = None;
    for second in taken {
        while let Some(first) = earlier.next_if(|first| first.put_ret < second.put_call) {
            if last.is_none_or(|last| first.take_call > last.take_call) {
                last = Some(first);
            }
        }
        if let Some(first) = last
            && first.take_call > second.take_ret
        {
            return Some(Conflict::new(
                "two values came out in the other order than they went in",
                first.operations().chain(second.operations()),
            ));
        }
    }
    None
}

/// A value never taken, though one put after it was, and no open take is there to have taken it.
fn left_behind(lives: &[Life], open_takes: &[u32]) -> Option<Conflict> {
    // For each value, who of it and those put (called) later was taken for certain first.
    let mut first_taken: Vec<u32> = vec![0; lives.len()];
    let mut first: Option<u32> = None;
    for (at, life) in lives.iter().enumerate().rev() {
        if life.is_taken()
            && first.is_none_or(|first| life.take_ret < lives[first as usize].take_ret)
        {
            first = Some(at as u32);
        }
        first_taken[at] = first.unwrap_or(u32::MAX);
    }
    let mut deadlines: Vec<(u32, usize, u32)> = Vec::new();
    for (at, life) in lives.iter().enumerate() {
        if life.is_taken() || life.put_ret == OPEN {
            continue;
        }
        let later = lives.partition_point(|other| other.put_call < life.put_ret);
        if let Some(&first) = first_taken.get(later)
            && first != u32::MAX
        {
            deadlines.push((lives[first as usize].take_ret, at, first));
        }
    }
    deadlines.sort_unstable();
    let mut takes = open_takes.iter();
    let (_, left, overtaken_by) = deadlines
        .into_iter()
        .find(|&(deadline, ..)| takes.next().is_none_or(|&call| call > deadline))?;
    let (left, by) = (&lives[left], &lives[overtaken_by as usize]);
    Some(Conflict::new(
        "a value was never taken, though one put after it was",
        left.operations().chain(by.operations()),
    ))
}
