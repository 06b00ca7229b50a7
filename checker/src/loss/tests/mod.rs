//! Small histories and what is seen of them, written down briefly.

mod classes;
mod evidence;

use std::borrow::Cow;

use super::*;
use crate::error::CheckError;
use crate::history::{
    Event, EventKind, EventRow, Observation, ObservationRow, Placement, Process, Seen, WindowMark,
};
use Placement::{FormerOwner, Owner, Routed, Stranger};

const OK: Option<EventKind> = Some(EventKind::Ok);
const FAIL: Option<EventKind> = Some(EventKind::Fail);
const INFO: Option<EventKind> = Some(EventKind::Info);
/// The harness was killed before the answer came.
const NEVER: Option<EventKind> = None;

/// A history under construction; each event is one nanosecond after the one before.
#[derive(Default)]
struct Run {
    events: Vec<Event>,
    ops: u64,
}

impl Run {
    fn put(self, key: i64, version: i64, end: Option<EventKind>) -> Self {
        self.operation("put", key, Some(version), end)
    }

    fn delete(self, key: i64, version: i64, end: Option<EventKind>) -> Self {
        self.operation("delete", key, Some(version), end)
    }

    fn operation(
        mut self,
        f: &'static str,
        key: i64,
        value: Option<i64>,
        end: Option<EventKind>,
    ) -> Self {
        self.ops += 1;
        for kind in [Some(EventKind::Invoke), end].into_iter().flatten() {
            self.push(self.ops, Process(0), kind, f, Some(key), value, None);
        }
        self
    }

    fn window(mut self, f: &'static str, lane: &'static str, name: &str) -> Self {
        let mark = WindowMark {
            lane: lane.into(),
            name: name.into(),
        };
        let detail = serde_json::to_string(&mark).unwrap();
        self.push(
            0,
            Process::NEMESIS,
            EventKind::Info,
            f,
            None,
            None,
            Some(detail),
        );
        self
    }

    #[expect(clippy::too_many_arguments, reason = "one per field")]
    fn push(
        &mut self,
        op: u64,
        process: Process,
        kind: EventKind,
        f: &'static str,
        key: Option<i64>,
        value: Option<i64>,
        detail: Option<String>,
    ) {
        self.events.push(Event {
            op,
            process,
            kind,
            f: Cow::Borrowed(f),
            time_ns: self.events.len() as u64,
            intended_ns: None,
            key,
            value,
            detail: detail.map(Into::into),
        });
    }

    fn checker(&self, until_ns: Option<u64>) -> Result<LossChecker, CheckError> {
        let mut checker = LossChecker::new(until_ns);
        for event in &self.events {
            checker.event(&EventRow::from(event))?;
        }
        Ok(checker)
    }

    /// Judged by what the sources `s0`, `s1`, ... say.
    fn judge(&self, rows: &[(u16, Placement, Seen)]) -> LossReport {
        judge(self.checker(None).unwrap(), rows, 100)
    }

    /// Judged by one complete router (`s0`) and one complete node (`s1`).
    fn seen(&self, rows: &[(Placement, Seen)]) -> LossReport {
        let source = |placement| u16::from(placement != Routed);
        let mut rows: Vec<_> = rows
            .iter()
            .map(|(place, seen)| (source(*place), *place, seen.clone()))
            .collect();
        rows.extend([(0, Routed, Seen::End), (1, Owner, Seen::End)]);
        self.judge(&rows)
    }
}

fn judge(checker: LossChecker, rows: &[(u16, Placement, Seen)], keep: usize) -> LossReport {
    let sources = rows
        .iter()
        .map(|row| row.0)
        .max()
        .map_or(0, |last| last + 1);
    let names: Vec<_> = (0..sources).map(|source| format!("s{source}")).collect();
    let mut judge = checker.into_judge(&names, keep);
    for (source, placement, seen) in rows {
        let row = Observation {
            source: *source,
            placement: *placement,
            seen: seen.clone(),
        };
        judge.observe(&ObservationRow::from(&row)).unwrap();
    }
    judge.finish()
}

fn version(version: i64) -> Seen {
    Seen::Version { key: 1, version }
}

fn absent() -> Seen {
    Seen::Absent { key: 1 }
}

fn corrupt() -> Seen {
    Seen::Corrupt {
        key: 1,
        detail: "checksum".into(),
    }
}

/// The class of key 1, the only one.
fn class(report: &LossReport) -> KeyClass {
    assert_eq!(report.counts.total(), 1, "{report:?}");
    *KeyClass::ALL
        .iter()
        .find(|class| report.counts.of(**class) == 1)
        .unwrap()
}

#[track_caller]
fn assert_class(expected: KeyClass, run: Run, rows: &[(Placement, Seen)]) {
    let report = run.seen(rows);
    assert_eq!(class(&report), expected);
    assert_eq!(report.is_clean(), expected == KeyClass::Ok);
    assert_eq!(
        report.anomalies.len(),
        usize::from(expected != KeyClass::Ok)
    );
}
