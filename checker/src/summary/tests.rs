//! Tests of sums over small histories.

use std::borrow::Cow;

use super::*;
use crate::history::{Event, HistoryWriter, Process, WindowMark};

const MS: u64 = 1_000_000;

fn event(op: u64, kind: EventKind, f: &'static str, ms: u64) -> Event {
    Event {
        op,
        process: Process(0),
        kind,
        f: Cow::Borrowed(f),
        time_ns: ms * MS,
        intended_ns: None,
        key: None,
        value: None,
        detail: None,
    }
}

fn mark(f: &'static str, name: &str, ms: u64) -> Event {
    let mark = WindowMark {
        lane: "load".into(),
        name: name.into(),
    };
    Event {
        process: Process::OPERATOR,
        detail: Some(serde_json::to_string(&mark).unwrap().into()),
        ..event(0, EventKind::Info, f, ms)
    }
}

fn summary_of(events: &[Event]) -> Summary {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(dir.path(), &BTreeMap::new()).unwrap();
    writer.append_all(events).unwrap();
    writer.finish().unwrap();
    summarize(dir.path()).unwrap()
}

fn counts(outcomes: Outcomes) -> (u64, u64, u64) {
    (outcomes.ok, outcomes.failed, outcomes.indeterminate)
}

#[test]
fn operations_count_in_the_second_they_complete_in_or_were_invoked_in_if_they_never_do() {
    use EventKind::{Fail, Info, Invoke, Ok};
    let summary = summary_of(&[
        event(1, Invoke, "put", 900),
        event(2, Invoke, "put", 950),
        event(3, Invoke, "read", 990),
        event(1, Ok, "put", 1_100),
        event(4, Invoke, "put", 1_200),
        event(2, Fail, "put", 3_000),
        event(3, Info, "read", 3_900),
    ]);
    let timeline: Vec<_> = summary
        .timeline
        .iter()
        .map(|second| counts(second.outcomes))
        .collect();
    assert_eq!(timeline, [(0, 0, 0), (1, 0, 1), (0, 0, 0), (0, 1, 1)]);
    assert_eq!(summary.timeline[1].latency.max_us, 200_000);
    assert_eq!(summary.timeline[3].latency, Latency::default());
    let functions: Vec<_> = summary
        .functions
        .iter()
        .map(|(f, outcomes)| (&**f, counts(*outcomes)))
        .collect();
    assert_eq!(functions, [("put", (1, 1, 1)), ("read", (0, 0, 1))]);
    assert!(!summary.truncated);
}

#[test]
fn latency_begins_when_the_schedule_wanted_the_operation_sent() {
    let mut delayed = event(1, EventKind::Invoke, "put", 500);
    delayed.intended_ns = Some(100 * MS);
    let summary = summary_of(&[delayed, event(1, EventKind::Ok, "put", 600)]);
    let latency = summary.timeline[0].latency;
    assert_eq!(
        (latency.p50_us, latency.p99_us, latency.max_us),
        (500_000, 500_000, 500_000)
    );
}

#[test]
fn percentiles_are_as_accurate_as_promised() {
    let operations = (1..=1_000).flat_map(|op| {
        [
            event(op, EventKind::Invoke, "put", 0),
            event(op, EventKind::Ok, "put", op),
        ]
    });
    let marks = [mark(WindowMark::START, "all", 0)];
    let summary = summary_of(&marks.into_iter().chain(operations).collect::<Vec<_>>());
    let near =
        |value: u64, expected: f64, error: f64| (value as f64 - expected).abs() <= expected * error;
    // The last operation completes in second 1, the others in second 0.
    let second = summary.timeline[0].latency;
    assert!(
        near(second.p50_us, 500_000.0, 0.01) && near(second.p99_us, 990_000.0, 0.01),
        "{second:?}"
    );
    let window = summary.windows[0].latency;
    assert!(
        near(window.p50_us, 500_000.0, 0.001) && near(window.p99_us, 990_000.0, 0.001),
        "{window:?}"
    );
    assert_eq!(window.max_us, 1_000_000);
}

#[test]
fn an_operation_belongs_to_the_window_it_was_invoked_in() {
    let summary = summary_of(&[
        mark(WindowMark::START, "warm-up", 0),
        event(1, EventKind::Invoke, "put", 10),
        mark(WindowMark::END, "warm-up", 20),
        mark(WindowMark::START, "main", 20),
        event(1, EventKind::Ok, "put", 30),
        event(2, EventKind::Invoke, "put", 40),
    ]);
    let windows: Vec<_> = summary
        .windows
        .iter()
        .map(|window| {
            (
                &*window.window.name,
                counts(window.outcomes),
                window.latency.max_us,
            )
        })
        .collect();
    assert_eq!(
        windows,
        [("warm-up", (1, 0, 0), 20_000), ("main", (0, 0, 1), 0)]
    );
}

#[test]
fn a_completion_without_invocation_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(dir.path(), &BTreeMap::new()).unwrap();
    writer.append(&event(1, EventKind::Ok, "put", 5)).unwrap();
    writer.finish().unwrap();
    assert!(matches!(
        summarize(dir.path()),
        Err(CheckError::Malformed { op: 1, .. })
    ));
}
