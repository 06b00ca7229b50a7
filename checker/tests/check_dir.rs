//! `check_dir` on files, as a run leaves them.
#![allow(
    clippy::unwrap_used,
    reason = "test code, but not inside test functions"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shakedown_checker::history::{
    Event, EventKind, HistoryWriter, Observation, ObservationWriter, Placement, Process, Seen,
};
use shakedown_checker::{CheckError, UNTIL_KEY, check_dir};

fn history(dir: &Path, finished: bool) -> PathBuf {
    let path = dir.join("history");
    let mut writer = HistoryWriter::create(&path, &BTreeMap::new()).unwrap();
    for version in 1..=2 {
        for (kind, time_ns) in [
            (EventKind::Invoke, version * 10),
            (EventKind::Ok, version * 10 + 5),
        ] {
            let event = Event {
                op: version,
                process: Process(0),
                kind,
                f: Cow::Borrowed("put"),
                time_ns,
                intended_ns: None,
                key: Some(7),
                value: Some(version as i64),
                detail: None,
            };
            writer.append(&event).unwrap();
        }
    }
    if finished {
        writer.finish().unwrap();
    }
    path
}

fn observations(dir: &Path, metadata: &[(&str, &str)], seen: &[Seen]) -> PathBuf {
    let path = dir.join("final.arrows");
    let metadata = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    let mut writer = ObservationWriter::create(&path, &["router".to_owned()], &metadata).unwrap();
    for seen in seen {
        let row = Observation {
            source: 0,
            placement: Placement::Routed,
            seen: seen.clone(),
        };
        writer.append(&row).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn files_are_judged_like_what_they_contain() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(dir.path(), true);
    let seen = [Seen::Version { key: 7, version: 1 }, Seen::End];
    let report = check_dir(&history, &observations(dir.path(), &[], &seen), 10).unwrap();
    assert_eq!((report.acknowledged_writes, report.counts.stale), (2, 1));
    assert_eq!(report.anomalies[0].found, [("router".to_owned(), Some(1))]);
    assert!(report.incomplete_sources.is_empty());
}

#[test]
fn a_final_read_before_the_end_is_judged_by_the_history_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(dir.path(), true);
    let seen = [Seen::Version { key: 7, version: 1 }, Seen::End];
    let observations = observations(dir.path(), &[(UNTIL_KEY, "16")], &seen);
    let report = check_dir(&history, &observations, 10).unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn a_time_that_is_no_number_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(dir.path(), true);
    let observations = observations(dir.path(), &[(UNTIL_KEY, "soon")], &[Seen::End]);
    let refused = check_dir(&history, &observations, 10);
    assert!(matches!(refused, Err(CheckError::BadUntil { .. })));
}

#[test]
fn a_history_without_end_and_a_read_without_end_are_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(dir.path(), false);
    let seen = [Seen::Version { key: 7, version: 2 }];
    let report = check_dir(&history, &observations(dir.path(), &[], &seen), 10).unwrap();
    let incomplete: Vec<_> = report
        .incomplete_sources
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(
        (incomplete, report.counts.ok),
        (vec!["router", "history"], 1)
    );
    assert!(!report.is_clean());
}
