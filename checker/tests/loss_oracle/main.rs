//! The loss checker against an oracle that works from the definitions, by enumeration.
//!
//! The oracle shares no code with the checker: it tries every order in which a key's writes could
//! have taken effect, and looks through all observations for each key anew.
#![allow(
    clippy::unwrap_used,
    reason = "test code, but not inside test functions"
)]

mod oracle;
mod random;

use std::collections::{BTreeMap, BTreeSet};

use oracle::{Write, judge, writes_of};
use proptest::prelude::*;
use random::{SOURCES, ends, events_of, history, observation, scripts};
use shakedown_checker::history::{Event, EventRow, Observation, ObservationRow, Seen, WindowMark};
use shakedown_checker::loss::{ClassCounts, KeyClass, LossChecker, LossReport};

/// Whether a moment lies in the window: some start at or before it is not matched by an end yet.
fn in_window(name: &str, time_ns: u64, history: &[Event]) -> bool {
    let depth: i32 = history
        .iter()
        .filter(|event| event.time_ns <= time_ns)
        .filter(|event| {
            event
                .detail
                .as_ref()
                .is_some_and(|detail| detail.contains(&format!("\"{name}\"")))
        })
        .map(|event| if event.f == WindowMark::START { 1 } else { -1 })
        .sum();
    depth > 0
}

fn count(counts: &mut ClassCounts, class: KeyClass) {
    *match class {
        KeyClass::Ok => &mut counts.ok,
        KeyClass::Lost => &mut counts.lost,
        KeyClass::Stale => &mut counts.stale,
        KeyClass::Resurrected => &mut counts.resurrected,
        KeyClass::Corrupted => &mut counts.corrupted,
        KeyClass::Phantom => &mut counts.phantom,
        KeyClass::Misplaced => &mut counts.misplaced,
        KeyClass::LeftBehind => &mut counts.left_behind,
    } += 1;
}

fn check(history: &[Event], observations: &[Observation]) -> LossReport {
    let sources: Vec<_> = (0..SOURCES).map(|source| format!("s{source}")).collect();
    let mut checker = LossChecker::new(None);
    for event in history {
        checker.event(&EventRow::from(event)).unwrap();
    }
    let mut judge = checker.into_judge(&sources, 1000);
    for row in observations {
        judge.observe(&ObservationRow::from(row)).unwrap();
    }
    judge.finish()
}

fn compare(history: &[Event], observations: &[Observation]) -> Result<(), TestCaseError> {
    let report = check(history, observations);
    let written = history.iter().filter_map(|event| event.key);
    let seen = observations.iter().filter_map(|row| match row.seen {
        Seen::Version { key, .. } | Seen::Corrupt { key, .. } => Some(key),
        _ => None,
    });
    let keys: BTreeSet<i64> = written.chain(seen).collect();

    let mut counts = ClassCounts::default();
    let mut anomalies = BTreeMap::new();
    let (mut acknowledged, mut unjudged, mut indeterminate) = (0, 0, 0);
    for key in keys {
        let judged = judge(key, &writes_of(key, history), observations);
        match judged.class {
            None => unjudged += 1,
            Some(class) => {
                count(&mut counts, class);
                acknowledged += u64::from(judged.acknowledged);
                indeterminate += u64::from(judged.only_indeterminate);
                if class != KeyClass::Ok {
                    anomalies.insert(key, class);
                }
            }
        }
    }
    let reported: BTreeMap<_, _> = report
        .anomalies
        .iter()
        .map(|anomaly| (anomaly.key, anomaly.class))
        .collect();
    prop_assert_eq!(reported, anomalies);
    prop_assert_eq!(&report.counts, &counts);
    prop_assert_eq!(
        (
            report.acknowledged_keys,
            report.unjudged_keys,
            report.indeterminate_present
        ),
        (acknowledged, unjudged, indeterminate)
    );

    for window in &report.windows {
        let mut counts = ClassCounts::default();
        let mut acknowledged_writes = 0;
        for key in history
            .iter()
            .filter_map(|event| event.key)
            .collect::<BTreeSet<_>>()
        {
            let writes = writes_of(key, history);
            let inside = |write: &&Write| {
                write.acknowledged() && in_window(&window.name, write.invoked, history)
            };
            acknowledged_writes += writes.iter().filter(inside).count() as u64;
            let last = writes.iter().rfind(|write| write.acknowledged());
            if let (Some(_), Some(class)) =
                (last.filter(inside), judge(key, &writes, observations).class)
            {
                count(&mut counts, class);
            }
        }
        prop_assert_eq!(
            (&window.counts, window.acknowledged_writes),
            (&counts, acknowledged_writes)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_checker_agrees_with_enumeration(
        scripts in prop::collection::vec(scripts(), 3),
        sparse in any::<bool>(),
        marks in prop::collection::vec((0..3u8, any::<bool>()), 0..6),
        picks in prop::collection::vec(0..64usize, 1..40),
        seen in prop::collection::vec(observation([-1, 0, 1, 2]), 0..9),
        source_ends in prop::collection::vec(0..5u8, SOURCES),
        without_doors in prop::bool::weighted(0.2),
        killed_after in prop::option::of(0..40usize),
    ) {
        // Keys -1, 0, 1 are written, 2 never is; spread out, they are found by hashing.
        let spread = |key: i64| if sparse { key * 1_000_000_007 } else { key };
        let keys: Vec<_> = scripts
            .iter()
            .zip(0..)
            .map(|(scripts, process)| events_of(spread(i64::from(process) - 1), process, scripts))
            .collect();
        let mut history = history(&keys, &marks, &picks);
        history.truncate(killed_after.unwrap_or(usize::MAX));
        let mut observations: Vec<_> = seen.into_iter().chain(ends(&source_ends)).collect();
        observations.retain(|row| !(without_doors && row.source < 2));
        for row in &mut observations {
            if let Seen::Version { key, .. } | Seen::Absent { key } | Seen::Corrupt { key, .. } = &mut row.seen {
                *key = spread(*key);
            }
        }
        compare(&history, &observations)?;
    }
}
