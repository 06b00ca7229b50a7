//! What became of each of a million elements: `cargo bench -p shakedown-checker --bench set_full [ELEMENTS]`.
//!
//! Elements are added one after the other; reads are spread evenly and lack, for a while, one element in a
//! thousand. One element is lost. First with reads as changes, 10,000 of them; then with 1,000 reads that
//! list all they have.

use std::time::Instant;

use shakedown_checker::invariants::set_full::{Fate, Place, Timeline};

/// Every so many elements, one is late by this many reads.
const LATE_EVERY: u32 = 1000;
const LATE_READS: u32 = 3;

fn main() {
    let given = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let elements: u32 = given.unwrap_or(1_000_000);
    measure("changes", elements, 10_000, false);
    measure("whole sets", elements, 1_000, true);
}

fn measure(what: &str, elements: u32, reads: u32, whole: bool) {
    let between = (elements / reads).max(1);
    let lost = elements / 2;
    let mut timeline = Timeline::default();
    let mut event = 0;
    let mut next = || {
        event += 1;
        Place {
            at: event,
            time_ns: u64::from(event) * 1000,
        }
    };
    let (mut present, mut late): (Vec<u32>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
    let mut new = Vec::new();
    let (mut read, mut listed) = (0, 0_u64);
    let begun = Instant::now();
    for element in 0..elements {
        timeline.add(element, next());
        timeline.added(element, next());
        match element % LATE_EVERY {
            0 => late.push((read + LATE_READS, element)),
            _ => new.push(element),
        }
        if element % between == between - 1 || element == elements - 1 {
            let shown = late.partition_point(|(from, _)| *from <= read);
            new.extend(late.drain(..shown).map(|(_, element)| element));
            let gone: &[u32] = if element == elements - 1 {
                &[lost]
            } else {
                &[]
            };
            let (called, answered) = (next(), next());
            if whole {
                present.extend(&new);
                present.retain(|element| !gone.contains(element));
                listed += present.len() as u64;
                timeline.read(called, answered, &present);
            } else {
                new.retain(|element| !gone.contains(element));
                listed += (new.len() + gone.len()) as u64;
                timeline.read_changes(called, answered, &new, gone);
            }
            new.clear();
            read += 1;
        }
    }
    let (mut stable, mut stale, mut lost) = (0, 0, 0);
    for element in 0..elements {
        match timeline.fate(element) {
            Fate::Stable { late_ns } => {
                stable += 1;
                stale += u32::from(late_ns.is_some());
            }
            Fate::Lost { .. } => lost += 1,
            _ => {}
        }
    }
    let took = begun.elapsed();
    println!(
        "{what}: {elements} elements, {read} reads, {listed} entries in them: {:.3} s; {stable} stable ({stale} stale), {lost} lost",
        took.as_secs_f64()
    );
    assert!(
        lost >= 1 && stable > elements / 2,
        "the planted loss is found"
    );
}
