//! Losses of sets, on histories small enough to be told by hand.

use std::collections::BTreeMap;

use super::*;
use crate::history::{self, HistoryWriter, Process, WindowMark};

/// A history in the making.
struct Story {
    dir: tempfile::TempDir,
    writer: HistoryWriter,
    op: u64,
}

impl Story {
    fn begin() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let writer = HistoryWriter::create(dir.path(), &BTreeMap::new()).unwrap();
        Story { dir, writer, op: 0 }
    }

    fn event(&mut self, kind: EventKind, f: &'static str, time_ns: u64) -> history::Event {
        history::Event {
            op: self.op,
            process: Process(0),
            kind,
            f: f.into(),
            time_ns,
            intended_ns: None,
            key: None,
            value: None,
            detail: None,
        }
    }

    fn record(&mut self, event: history::Event) {
        self.writer.append_all(&[event]).unwrap();
    }

    fn add(&mut self, element: i64, at_ns: u64, ended: EventKind) {
        self.op += 1;
        for (kind, time_ns) in [(EventKind::Invoke, at_ns), (ended, at_ns + 1)] {
            let event = self.event(kind, "add", time_ns);
            let value = (kind != EventKind::Info).then_some(element);
            self.record(history::Event { value, ..event });
        }
    }

    fn read(&mut self, elements: &[i64], at_ns: u64) {
        self.op += 1;
        let event = self.event(EventKind::Invoke, "read", at_ns);
        self.record(event);
        let event = self.event(EventKind::Ok, "read", at_ns + 1);
        let detail = serde_json::json!({ "value": elements }).to_string();
        let detail = Some(detail.into_boxed_str());
        self.record(history::Event { detail, ..event });
    }

    fn fault(&mut self, mark: &'static str, at_ns: u64) {
        self.op += 1;
        let window = WindowMark {
            lane: "fault".into(),
            name: "cut".to_owned(),
        };
        let event = self.event(EventKind::Info, mark, at_ns);
        let detail = serde_json::to_string(&window).unwrap().into_boxed_str();
        self.record(history::Event {
            process: Process::NEMESIS,
            detail: Some(detail),
            ..event
        });
    }

    fn judged(self) -> LossReport {
        self.writer.finish().unwrap();
        element_losses(self.dir.path(), 1 << 20, Clock::start(None, None), 10).unwrap()
    }
}

fn told(report: &LossReport) -> Vec<(&str, u64, u64, u64)> {
    let windows = report.windows.iter();
    windows
        .map(|w| {
            (
                w.name.as_str(),
                w.acknowledged_writes,
                w.lost.events,
                w.lost.trials,
            )
        })
        .collect()
}

#[test]
fn losses_are_told_by_the_window_in_which_they_were_acknowledged() {
    let mut story = Story::begin();
    story.add(1, 10, EventKind::Ok);
    story.fault(WindowMark::START, 20);
    story.add(2, 30, EventKind::Ok);
    story.add(3, 40, EventKind::Ok);
    story.fault(WindowMark::END, 50);
    story.add(4, 60, EventKind::Ok);
    story.read(&[1, 3, 4], 70);
    let report = story.judged();
    assert_eq!((report.lost.events, report.lost.trials), (1, 4));
    assert_eq!(
        told(&report),
        [
            ("cut", 2, 1, 2),
            ("before the first fault", 1, 0, 1),
            ("between faults", 0, 0, 0),
            ("after the last fault", 1, 0, 1),
        ]
    );
    assert_eq!(report.anomalies[0].key, 2);
    assert!(report.incomplete_sources.is_empty());
}

#[test]
fn what_nobody_knows_of_is_in_no_rate() {
    let mut story = Story::begin();
    story.add(1, 10, EventKind::Ok);
    story.add(2, 20, EventKind::Info);
    story.add(3, 30, EventKind::Fail);
    story.add(4, 40, EventKind::Info);
    story.read(&[1, 2], 50);
    story.add(5, 60, EventKind::Ok);
    let report = story.judged();
    assert_eq!((report.lost.events, report.lost.trials), (0, 1));
    assert_eq!(report.acknowledged_writes, 2);
    assert_eq!((report.failed_writes, report.indeterminate_writes), (1, 2));
    assert_eq!((report.indeterminate_present, report.unjudged_keys), (1, 1));
}

#[test]
fn what_is_missing_for_a_time_is_stale_and_what_nobody_added_a_phantom() {
    let mut story = Story::begin();
    story.add(1, 10, EventKind::Ok);
    story.read(&[], 20);
    story.read(&[1, 9], 30);
    let report = story.judged();
    assert_eq!((report.stale.events, report.stale.trials), (1, 1));
    assert_eq!((report.counts.lost, report.counts.phantom), (0, 1));
}

#[test]
fn a_set_that_was_never_read_is_not_judged() {
    let mut story = Story::begin();
    story.add(1, 10, EventKind::Ok);
    let report = story.judged();
    assert_eq!((report.lost.trials, report.unjudged_keys), (0, 1));
    assert_eq!(report.incomplete_sources.len(), 1);
}
