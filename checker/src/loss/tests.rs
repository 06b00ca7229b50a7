//! Each class detected, and not reported where it does not apply.

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

#[test]
fn an_acknowledged_put_that_is_there_is_ok() {
    let run = Run::default().put(1, 1, OK).put(1, 2, OK);
    assert_class(
        KeyClass::Ok,
        run,
        &[(Routed, version(2)), (Owner, version(2))],
    );
}

#[test]
fn an_acknowledged_put_that_is_gone_is_lost() {
    assert_class(KeyClass::Lost, Run::default().put(1, 1, OK), &[]);
    assert_class(
        KeyClass::Lost,
        Run::default().put(1, 1, OK),
        &[(Routed, absent())],
    );
    assert_class(
        KeyClass::Lost,
        Run::default().put(1, 1, OK).put(1, 2, INFO),
        &[],
    );
    assert_class(
        KeyClass::Lost,
        Run::default().delete(1, 1, OK).put(1, 2, OK),
        &[],
    );
    assert_class(
        KeyClass::Lost,
        Run::default().put(1, 1, OK).delete(1, 2, FAIL),
        &[],
    );
}

#[test]
fn a_put_that_was_never_acknowledged_may_be_gone() {
    for end in [FAIL, INFO, NEVER] {
        assert_class(
            KeyClass::Ok,
            Run::default().put(1, 1, end),
            &[(Routed, absent())],
        );
    }
}

#[test]
fn an_indeterminate_delete_may_have_removed_an_acknowledged_put() {
    for end in [INFO, NEVER] {
        let run = Run::default().put(1, 1, OK).delete(1, 2, end);
        let report = run.seen(&[]);
        assert_eq!(
            (class(&report), report.indeterminate_present),
            (KeyClass::Ok, 1)
        );
        let delayed = Run::default().delete(1, 1, end).put(1, 2, OK);
        assert_class(KeyClass::Ok, delayed, &[]);
    }
}

#[test]
fn an_older_acknowledged_version_is_stale() {
    let run = || Run::default().put(1, 1, OK).put(1, 2, OK);
    assert_class(KeyClass::Stale, run(), &[(Routed, version(1))]);
    assert_class(
        KeyClass::Stale,
        run(),
        &[(Routed, version(2)), (Owner, version(1))],
    );
}

#[test]
fn an_older_indeterminate_version_is_not_stale() {
    for end in [INFO, NEVER] {
        let run = Run::default().put(1, 1, end).put(1, 2, OK);
        let report = run.seen(&[(Routed, version(1))]);
        assert_eq!(
            (class(&report), report.indeterminate_present),
            (KeyClass::Ok, 1)
        );
    }
}

#[test]
fn a_document_whose_delete_was_acknowledged_is_resurrected() {
    let run = || Run::default().put(1, 1, OK).delete(1, 2, OK);
    assert_class(KeyClass::Resurrected, run(), &[(Routed, version(1))]);
    assert_class(
        KeyClass::Resurrected,
        run(),
        &[(Routed, absent()), (Owner, version(1))],
    );
}

#[test]
fn a_document_written_again_or_perhaps_again_is_not_resurrected() {
    for end in [OK, INFO, NEVER] {
        let run = Run::default().put(1, 1, OK).delete(1, 2, OK).put(1, 3, end);
        assert_class(KeyClass::Ok, run, &[(Routed, version(3))]);
    }
    let gone = Run::default().put(1, 1, OK).delete(1, 2, OK);
    assert_class(KeyClass::Ok, gone, &[(Routed, absent())]);
}

#[test]
fn a_damaged_document_is_corrupted() {
    assert_class(
        KeyClass::Corrupted,
        Run::default().put(1, 1, OK),
        &[(Routed, corrupt())],
    );
    let rows = [(Routed, version(1)), (Owner, corrupt())];
    assert_class(KeyClass::Corrupted, Run::default().put(1, 1, OK), &rows);
}

#[test]
fn a_damaged_copy_on_a_former_owner_is_not_corruption() {
    let rows = [(Routed, version(1)), (FormerOwner, corrupt())];
    assert_class(KeyClass::LeftBehind, Run::default().put(1, 1, OK), &rows);
}

#[test]
fn what_nobody_wrote_is_a_phantom() {
    assert_class(KeyClass::Phantom, Run::default(), &[(Routed, version(1))]);
    assert_class(
        KeyClass::Phantom,
        Run::default().put(1, 1, OK),
        &[(Routed, version(2))],
    );
    assert_class(
        KeyClass::Phantom,
        Run::default().put(1, 1, FAIL),
        &[(Routed, version(1))],
    );
    assert_class(
        KeyClass::Phantom,
        Run::default().delete(1, 1, OK),
        &[(Routed, version(1))],
    );
    let rows = [(Routed, absent()), (Stranger, version(1))];
    assert_class(KeyClass::Phantom, Run::default().put(1, 1, FAIL), &rows);
}

#[test]
fn what_may_have_been_written_is_no_phantom() {
    for end in [INFO, NEVER] {
        let report = Run::default().put(1, 1, end).seen(&[(Routed, version(1))]);
        assert_eq!(
            (class(&report), report.indeterminate_present),
            (KeyClass::Ok, 1)
        );
    }
    let retried = Run::default().put(1, 1, FAIL).put(1, 1, OK);
    assert_class(KeyClass::Ok, retried, &[(Routed, version(1))]);
}

#[test]
fn copies_away_from_the_owners_are_misplaced_or_left_behind() {
    let run = || Run::default().put(1, 1, OK).put(1, 2, OK);
    let and = |place, seen| [(Routed, version(2)), (Owner, version(2)), (place, seen)];
    assert_class(KeyClass::Misplaced, run(), &and(Stranger, version(2)));
    assert_class(KeyClass::LeftBehind, run(), &and(FormerOwner, version(1)));
    assert_class(KeyClass::Ok, run(), &and(Owner, version(2)));
}

#[test]
fn a_lost_document_names_the_nodes_that_still_have_it() {
    let run = Run::default().put(1, 1, OK).put(1, 2, OK);
    let report = run.judge(&[
        (0, Routed, absent()),
        (1, Owner, version(2)),
        (2, FormerOwner, version(1)),
        (3, Stranger, corrupt()),
    ]);
    assert_eq!(class(&report), KeyClass::Lost);
    let found = [("s1", Some(2)), ("s2", Some(1)), ("s3", None)];
    let anomaly = &report.anomalies[0];
    assert_eq!(
        anomaly.found,
        found.map(|(source, version)| (source.to_owned(), version))
    );
    assert_eq!(
        (anomaly.acknowledged_version, anomaly.written_ns),
        (Some(2), Some(2))
    );
    assert!(
        anomaly.explanation.contains("s2 has version 1"),
        "{}",
        anomaly.explanation
    );
}

#[test]
fn without_a_front_door_the_owners_decide() {
    let run = Run::default().put(1, 1, OK);
    let on_owner = run.judge(&[
        (0, Owner, version(1)),
        (0, Owner, Seen::End),
        (1, Owner, Seen::End),
    ]);
    assert!(on_owner.is_clean());
    let elsewhere = run.judge(&[(0, FormerOwner, version(1)), (0, Owner, Seen::End)]);
    assert_eq!(class(&elsewhere), KeyClass::Lost);
    let nowhere = run.judge(&[(0, Owner, Seen::End), (1, Owner, Seen::End)]);
    assert_eq!(class(&nowhere), KeyClass::Lost);
}

#[test]
fn one_front_door_that_misses_a_document_is_enough() {
    let run = Run::default().put(1, 1, OK);
    let report = run.judge(&[
        (0, Routed, version(1)),
        (0, Routed, Seen::End),
        (1, Routed, Seen::End),
    ]);
    assert_eq!(class(&report), KeyClass::Lost);
}

#[test]
fn a_source_not_read_to_its_end_makes_keys_unjudged_not_lost() {
    let run = Run::default().put(1, 1, OK).put(2, 1, OK);
    let cut_off = [(0, Routed, version(1))];
    let failed = [
        (0, Routed, version(1)),
        (
            0,
            Routed,
            Seen::Failed {
                error: "refused".into(),
            },
        ),
    ];
    let ended_then_failed = [
        (0, Routed, version(1)),
        (0, Routed, Seen::End),
        (
            0,
            Routed,
            Seen::Failed {
                error: "refused".into(),
            },
        ),
    ];
    for (rows, reason) in [
        (&cut_off[..], "not read to its end"),
        (&failed, "refused"),
        (&ended_then_failed, "refused"),
    ] {
        let report = run.judge(rows);
        assert_eq!(
            report.incomplete_sources,
            [("s0".to_owned(), reason.to_owned())]
        );
        assert_eq!(
            (report.counts.ok, report.counts.lost, report.unjudged_keys),
            (1, 0, 1)
        );
        assert_eq!(
            (report.keys, report.acknowledged_keys, report.lost.trials),
            (1, 1, 1)
        );
        assert!(!report.is_clean());
    }
}

#[test]
fn an_incomplete_node_does_not_make_a_key_lost() {
    let run = Run::default().put(1, 1, OK);
    let report = run.judge(&[
        (0, Owner, Seen::End),
        (
            1,
            Owner,
            Seen::Failed {
                error: "down".into(),
            },
        ),
    ]);
    assert_eq!((report.counts.lost, report.unjudged_keys), (0, 1));
}

#[test]
fn foreign_documents_are_counted_and_named() {
    let report = Run::default().put(1, 1, OK).seen(&[
        (Routed, version(1)),
        (Owner, Seen::Foreign { id: "x".into() }),
    ]);
    assert_eq!((report.foreign, class(&report)), (1, KeyClass::Ok));
    assert_eq!(report.foreign_examples, [("s1".to_owned(), "x".to_owned())]);
    assert!(!report.is_clean());
}

#[test]
fn reads_of_what_could_not_be_there_are_counted() {
    let read = |run: Run, version| run.operation("read", 1, version, OK);
    let fine = read(read(Run::default().put(1, 1, INFO), Some(1)), None);
    let report = fine.seen(&[(Routed, version(1))]);
    assert_eq!((report.reads, report.impossible_reads), (2, 0));

    let before = read(Run::default(), Some(1)).put(1, 1, OK);
    let failed = read(Run::default().put(1, 1, OK).put(1, 2, FAIL), Some(2));
    let never = read(Run::default().put(1, 1, OK), Some(7));
    for run in [before, failed, never] {
        let report = run.seen(&[(Routed, version(1))]);
        assert_eq!((report.impossible_reads, class(&report)), (1, KeyClass::Ok));
        assert!(!report.is_clean());
    }
}

#[test]
fn the_list_of_anomalies_is_cut_in_key_order_but_all_are_counted() {
    let run = (0..10).fold(Run::default(), |run, key| run.put(key * 2, 1, OK));
    let rows = [
        (0, Routed, Seen::Version { key: 3, version: 1 }),
        (0, Routed, Seen::End),
    ];
    let report = judge(run.checker(None).unwrap(), &rows, 3);
    let kept: Vec<_> = report.anomalies.iter().map(|anomaly| anomaly.key).collect();
    assert_eq!(kept, [0, 2, 3]);
    assert_eq!(
        (
            report.counts.lost,
            report.counts.phantom,
            report.anomalies_omitted
        ),
        (10, 1, 8)
    );
}

#[test]
fn a_write_belongs_to_every_window_it_was_invoked_in() {
    let run = Run::default()
        .put(1, 1, OK)
        .window(WindowMark::START, "fault", "kill")
        .window(WindowMark::START, "load", "ramp")
        .put(1, 2, OK)
        .window(WindowMark::END, "fault", "kill")
        .put(2, 1, OK)
        .window(WindowMark::START, "fault", "kill")
        .put(3, 1, INFO)
        .put(3, 2, OK)
        .window(WindowMark::END, "fault", "kill");
    let report = run.seen(&[(Routed, Seen::Version { key: 2, version: 1 })]);
    let shown: Vec<_> = report
        .windows
        .iter()
        .map(|window| {
            (
                &*window.lane,
                window.acknowledged_writes,
                window.lost.events,
                window.lost.trials,
            )
        })
        .collect();
    assert_eq!(shown, [("fault", 2, 2, 2), ("load", 3, 2, 3)]);
    assert_eq!(
        (report.windows[0].start_ns, report.windows[0].end_ns),
        (2, 14)
    );
    assert_eq!(
        (report.windows[1].start_ns, report.windows[1].end_ns),
        (3, 14)
    );
}

#[test]
fn events_after_the_final_read_do_not_count() {
    let run = Run::default().put(1, 1, OK).put(1, 2, OK);
    let rows = [(0, Routed, version(1)), (0, Routed, Seen::End)];
    let whole = judge(run.checker(None).unwrap(), &rows, 9);
    assert_eq!(class(&whole), KeyClass::Stale);
    // Invoked at 2, completed at 3: at 2 it is indeterminate.
    let until = judge(run.checker(Some(2)).unwrap(), &rows, 9);
    assert_eq!(
        (
            class(&until),
            until.acknowledged_writes,
            until.indeterminate_writes
        ),
        (KeyClass::Ok, 1, 1)
    );
}

#[test]
fn events_that_break_the_rules_are_refused() {
    let mut completed_twice = Run::default().put(1, 1, OK);
    completed_twice.push(1, Process(0), EventKind::Ok, "put", Some(1), Some(1), None);
    let mut invoked_twice = Run::default().put(1, 1, NEVER);
    invoked_twice.ops = 0;
    let without_version = Run::default().operation("put", 1, None, OK);
    for run in [
        completed_twice,
        invoked_twice.put(1, 2, OK),
        without_version,
    ] {
        let refused = run.checker(None);
        assert!(
            matches!(refused, Err(CheckError::Malformed { op: 1, .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn marks_of_the_harness_are_not_operations() {
    let mut run = Run::default().put(1, 1, OK);
    run.push(
        9,
        Process::OPERATOR,
        EventKind::Ok,
        "delete",
        Some(1),
        Some(2),
        None,
    );
    assert!(run.seen(&[(Routed, version(1))]).is_clean());
}
