//! The loss checker against an oracle that works from the definitions, by enumeration.
//!
//! The oracle shares no code with the checker: it tries every order in which a key's writes could
//! have taken effect, and looks through all observations for each key anew.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use shakedown_checker::history::{
    Event, EventKind, EventRow, Observation, ObservationRow, Placement, Process, Seen, WindowMark,
};
use shakedown_checker::loss::{ClassCounts, KeyClass, LossChecker, LossReport};

const SOURCES: usize = 4;

/// One write: whether it deletes, how it ends, and after how many further events of its key an
/// indeterminate answer comes.
#[derive(Debug, Clone)]
struct Script {
    delete: bool,
    end: Option<EventKind>,
    delay: usize,
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    use EventKind::{Fail, Info, Ok};
    let end = prop::sample::select(vec![
        Some(Ok),
        Some(Ok),
        Some(Ok),
        Some(Fail),
        Some(Info),
        None,
    ]);
    let script = (prop::bool::weighted(0.3), end, 0..5usize)
        .prop_map(|(delete, end, delay)| Script { delete, end, delay });
    prop::collection::vec(script, 0..6)
}

/// The events of one key in order, by one process.
fn events_of(key: i64, process: i32, scripts: &[Script]) -> Vec<Event> {
    let mut events = Vec::new();
    for (version, script) in (1..).zip(scripts) {
        let event = |kind| Event {
            op: (process as u64) << 32 | version as u64,
            process: Process(process),
            kind,
            f: Cow::Borrowed(if script.delete { "delete" } else { "put" }),
            time_ns: 0,
            intended_ns: None,
            key: Some(key),
            value: Some(version),
            detail: None,
        };
        events.push((event(EventKind::Invoke), 0));
        if let Some(kind) = script.end {
            let delay = if kind == EventKind::Info {
                script.delay
            } else {
                0
            };
            events.push((event(kind), delay));
        }
    }
    let mut late = Vec::new();
    for (position, (event, delay)) in events.into_iter().enumerate() {
        late.push((position + delay * 2, delay > 0, event));
    }
    // Stable, and at the same position what is not delayed comes first.
    late.sort_by_key(|(position, delayed, _)| (*position, *delayed));
    late.into_iter().map(|(_, _, event)| event).collect()
}

fn window_event(f: &'static str, name: u8) -> Event {
    let mark = WindowMark {
        lane: "fault".into(),
        name: format!("w{name}"),
    };
    Event {
        op: 0,
        process: Process::NEMESIS,
        kind: EventKind::Info,
        f: Cow::Borrowed(f),
        time_ns: 0,
        intended_ns: None,
        key: None,
        value: None,
        detail: Some(serde_json::to_string(&mark).unwrap().into()),
    }
}

/// Interleaves the keys' events and the window marks; `picks` says whose turn it is.
fn history(keys: &[Vec<Event>], marks: &[(u8, bool)], picks: &[usize]) -> Vec<Event> {
    let mut open = [0; 3];
    let marks = marks.iter().filter_map(|(name, start)| {
        let depth = &mut open[usize::from(*name)];
        if *start {
            *depth += 1;
        } else if *depth > 0 {
            *depth -= 1;
        } else {
            return None;
        }
        Some(window_event(
            if *start {
                WindowMark::START
            } else {
                WindowMark::END
            },
            *name,
        ))
    });
    let mut queues: Vec<std::collections::VecDeque<Event>> = keys
        .iter()
        .map(|events| events.clone().into())
        .chain([marks.collect()])
        .collect();
    let mut merged = Vec::new();
    let mut picks = picks.iter().cycle();
    while queues.iter().any(|queue| !queue.is_empty()) {
        let turn = picks.next().unwrap() % queues.len();
        let queue = (0..queues.len())
            .map(|offset| (turn + offset) % queues.len())
            .find(|queue| !queues[*queue].is_empty())
            .unwrap();
        let mut event = queues[queue].pop_front().unwrap();
        event.time_ns = merged.len() as u64 * 10;
        merged.push(event);
    }
    merged
}

/// A write as the oracle sees it: when it was invoked, and how and when it ended.
#[derive(Debug, Clone)]
struct Write {
    version: i64,
    delete: bool,
    invoked: u64,
    end: Option<(EventKind, u64)>,
}

fn writes_of(key: i64, history: &[Event]) -> Vec<Write> {
    let ours = |event: &&Event| event.key == Some(key);
    history
        .iter()
        .filter(ours)
        .filter(|event| event.kind == EventKind::Invoke)
        .map(|invoke| Write {
            version: invoke.value.unwrap(),
            delete: invoke.f == "delete",
            invoked: invoke.time_ns,
            end: history
                .iter()
                .find(|event| {
                    event.op == invoke.op && event.kind != EventKind::Invoke && ours(event)
                })
                .map(|end| (end.kind, end.time_ns)),
        })
        .collect()
}

impl Write {
    fn acknowledged(&self) -> bool {
        matches!(self.end, Some((EventKind::Ok, _)))
    }

    fn failed(&self) -> bool {
        matches!(self.end, Some((EventKind::Fail, _)))
    }

    /// Whether this one's effect certainly came before the other was even invoked.
    fn before(&self, other: &Write) -> bool {
        matches!(self.end, Some((EventKind::Ok, at)) if at < other.invoked)
    }
}

/// All final states (`None`: nothing) by trying every set of indeterminate writes that took effect,
/// and every order of effects that respects what was acknowledged before what was invoked.
fn permitted(writes: &[Write]) -> BTreeSet<Option<i64>> {
    fn extend(done: Option<&Write>, left: &[&Write], states: &mut BTreeSet<Option<i64>>) {
        if left.iter().all(|write| !write.acknowledged()) {
            states.insert(done.and_then(|write| (!write.delete).then_some(write.version)));
        }
        for (index, next) in left.iter().enumerate() {
            if left.iter().any(|other| other.before(next)) {
                continue;
            }
            let mut rest = left.to_vec();
            rest.remove(index);
            extend(Some(next), &rest, states);
        }
    }
    let mut states = BTreeSet::new();
    let effective: Vec<_> = writes.iter().filter(|write| !write.failed()).collect();
    extend(None, &effective, &mut states);
    states
}

/// What the oracle says of one key.
struct Judged {
    class: Option<KeyClass>,
    acknowledged: bool,
    only_indeterminate: bool,
}

fn judge(key: i64, writes: &[Write], observations: &[Observation]) -> Judged {
    let permitted = permitted(writes);
    let last = writes.iter().rfind(|write| write.acknowledged());
    let left_by_last = last.and_then(|write| (!write.delete).then_some(write.version));
    // Placement, and the version or `None` for corrupt.
    let documents: Vec<(u16, Placement, Option<i64>)> = observations
        .iter()
        .filter_map(|row| match &row.seen {
            Seen::Version { key: k, version } if *k == key => {
                Some((row.source, row.placement, Some(*version)))
            }
            Seen::Corrupt { key: k, .. } if *k == key => Some((row.source, row.placement, None)),
            _ => None,
        })
        .collect();
    let says = |source: u16, seen: &Seen| {
        observations
            .iter()
            .any(|row| row.source == source && row.seen == *seen)
    };
    let complete = |source: u16| {
        let failed =
            |row: &Observation| row.source == source && matches!(row.seen, Seen::Failed { .. });
        says(source, &Seen::End) && !observations.iter().any(failed)
    };
    let has = |source: u16| documents.iter().any(|document| document.0 == source);
    // The generated sources 0 and 1 are front doors if they say anything, 2 and 3 are nodes.
    let speaks = |source: u16| observations.iter().any(|row| row.source == source);
    let denied = says(0, &Seen::Absent { key }) || says(1, &Seen::Absent { key });
    let door_misses = [0, 1].into_iter().any(|door| complete(door) && !has(door));
    let shown_at_door = has(0) || has(1);
    let on_owner = documents
        .iter()
        .any(|document| document.1 == Placement::Owner);
    let nodes_complete = (0..4)
        .filter(|source| *source >= 2 || !speaks(*source))
        .all(complete);
    let nothing_there = if denied || door_misses {
        Some(true)
    } else if shown_at_door || on_owner {
        Some(false)
    } else if nodes_complete {
        Some(true)
    } else {
        None
    };

    let at_home = |place: Placement| matches!(place, Placement::Routed | Placement::Owner);
    let put = |version: i64, ok: bool| {
        let fits = |write: &&Write| !write.delete && write.version == version && !write.failed();
        writes
            .iter()
            .filter(fits)
            .any(|write| !ok || write.acknowledged())
    };
    let any = |test: &dyn Fn(Placement, Option<i64>) -> bool| {
        documents.iter().any(|(_, place, seen)| test(*place, *seen))
    };
    let superseded = |place: Placement, seen: Option<i64>| {
        at_home(place)
            && seen.is_some_and(|version| put(version, true) && !permitted.contains(&Some(version)))
    };
    let phantom = |seen: Option<i64>| seen.is_some_and(|version| !put(version, false));
    let class = if nothing_there == Some(true) && !permitted.contains(&None) {
        Some(KeyClass::Lost)
    } else if any(&|place, seen| at_home(place) && seen.is_none()) {
        Some(KeyClass::Corrupted)
    } else if last.is_some_and(|last| last.delete) && any(&superseded) {
        Some(KeyClass::Resurrected)
    } else if any(&superseded) {
        Some(KeyClass::Stale)
    } else if any(&|_, seen| phantom(seen)) {
        Some(KeyClass::Phantom)
    } else if any(&|place, _| place == Placement::Stranger) {
        Some(KeyClass::Misplaced)
    } else if any(&|place, _| place == Placement::FormerOwner) {
        Some(KeyClass::LeftBehind)
    } else {
        nothing_there.map(|_| KeyClass::Ok)
    };

    let door_speaks = denied || door_misses || shown_at_door || complete(0) || complete(1);
    let decides = |place: Placement| {
        if door_speaks {
            place == Placement::Routed
        } else {
            place == Placement::Owner
        }
    };
    let only_indeterminate = class == Some(KeyClass::Ok)
        && ((nothing_there == Some(true) && left_by_last.is_some())
            || any(&|place, seen| decides(place) && seen != left_by_last));
    Judged {
        class,
        acknowledged: last.is_some(),
        only_indeterminate,
    }
}

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

/// Front doors are sources 0 and 1; nodes 2 and 3.
fn observation(keys: [i64; 4]) -> impl Strategy<Value = Observation> {
    use Placement::{FormerOwner, Owner, Stranger};
    let place = prop::sample::select(vec![Owner, Owner, FormerOwner, Stranger]);
    (0..SOURCES as u16, place, 0..4usize, 0..8, 0..7i64).prop_map(
        move |(source, place, key, what, version)| {
            let key = keys[key];
            Observation {
                source,
                placement: if source < 2 { Placement::Routed } else { place },
                seen: match what {
                    0 => Seen::Absent { key },
                    1 => Seen::Corrupt {
                        key,
                        detail: "damaged".into(),
                    },
                    _ => Seen::Version { key, version },
                },
            }
        },
    )
}

/// How each source ends: 0 and 1 read to the end, 2 failed, 3 cut off, 4 failed although read to the end.
fn ends(ends: &[u8]) -> Vec<Observation> {
    let mut rows = Vec::new();
    for (source, end) in (0..).zip(ends) {
        let placement = if source < 2 {
            Placement::Routed
        } else {
            Placement::Owner
        };
        let failed = Seen::Failed {
            error: "refused".into(),
        };
        let seen = match end {
            0 | 1 => vec![Seen::End],
            2 => vec![failed],
            3 => vec![],
            _ => vec![Seen::End, failed],
        };
        rows.extend(seen.into_iter().map(|seen| Observation {
            source,
            placement,
            seen,
        }));
    }
    rows
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
