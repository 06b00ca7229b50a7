//! Tests of writing and reading histories and observations.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::segment::segment_path;
use super::*;

fn event(op: u64, kind: EventKind, f: &'static str) -> Event {
    Event {
        op,
        process: Process(3),
        kind,
        f: Cow::Borrowed(f),
        time_ns: op * 10,
        intended_ns: (kind == EventKind::Invoke).then_some(op * 10 - 1),
        key: Some(-(op as i64)),
        value: (kind != EventKind::Info).then_some(7),
        detail: (kind == EventKind::Info).then(|| "time-out \"é\"\n".into()),
    }
}

/// Every kind and both states of every optional field.
fn assorted_events() -> Vec<Event> {
    let mut mark = event(9, EventKind::Info, WindowMark::START);
    mark.process = Process::NEMESIS;
    mark.key = None;
    let mut named = event(10, EventKind::Fail, "put");
    named.f = Cow::Owned("compare-and-set".to_owned());
    vec![
        event(1, EventKind::Invoke, "put"),
        event(1, EventKind::Ok, "put"),
        event(2, EventKind::Invoke, "read"),
        event(2, EventKind::Fail, "read"),
        event(u64::MAX / 10, EventKind::Info, "delete"),
        mark,
        named,
    ]
}

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("run".to_owned(), "nightly".to_owned()),
        ("seed".to_owned(), "42".to_owned()),
    ])
}

fn read(dir: &Path) -> (Vec<Event>, bool) {
    let mut reader = HistoryReader::open(dir).unwrap();
    let events = reader.by_ref().collect::<Result<_, _>>().unwrap();
    (events, reader.truncated())
}

/// Ten flushes of one event, a segment per `rows_per_segment`.
fn ten_batches(dir: &Path, rows_per_segment: u64) -> Vec<Event> {
    let mut writer =
        HistoryWriter::create_with_segments_of(dir, &metadata(), rows_per_segment).unwrap();
    let events: Vec<_> = (1..=10)
        .map(|op| event(op, EventKind::Invoke, "put"))
        .collect();
    for event in &events {
        writer.append(event).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    events
}

#[test]
fn events_and_metadata_come_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(dir.path(), &metadata()).unwrap();
    writer.append_all(&assorted_events()).unwrap();
    writer.finish().unwrap();

    assert_eq!(read(dir.path()), (assorted_events(), false));
    assert_eq!(
        HistoryReader::open(dir.path()).unwrap().metadata(),
        &metadata()
    );
}

#[test]
fn names_first_used_after_a_flush_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(dir.path(), &metadata()).unwrap();
    for event in assorted_events() {
        writer.append(&event).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(read(dir.path()).0, assorted_events());
}

#[test]
fn a_history_spans_segments() {
    let dir = tempfile::tempdir().unwrap();
    let events = ten_batches(dir.path(), 3);
    assert!(segment_path(dir.path(), 4).exists());
    assert!(!segment_path(dir.path(), 5).exists());
    assert_eq!(read(dir.path()), (events, false));
}

#[test]
fn flushed_events_are_readable_while_the_writer_is_still_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(dir.path(), &metadata()).unwrap();
    assert_eq!(read(dir.path()), (vec![], true));
    writer.append_all(&assorted_events()).unwrap();
    writer.flush().unwrap();
    writer.append(&event(11, EventKind::Invoke, "put")).unwrap();
    assert_eq!(read(dir.path()), (assorted_events(), true));
}

#[test]
fn a_history_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    ten_batches(dir.path(), 100);
    let again = HistoryWriter::create(dir.path(), &metadata());
    assert!(matches!(again, Err(HistoryError::Exists(_))));
}

#[test]
fn a_file_cut_off_anywhere_gives_the_batches_complete_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let events = ten_batches(dir.path(), 100);
    let segment = segment_path(dir.path(), 1);
    let whole = fs::read(&segment).unwrap();
    let mut lengths = Vec::new();
    // Messages are aligned to 8 bytes: steps of 5 meet every position within that.
    for cut in (0..whole.len()).step_by(5) {
        fs::write(&segment, &whole[..cut]).unwrap();
        let (found, truncated) = read(dir.path());
        assert!(truncated, "cut at {cut}");
        assert_eq!(found, events[..found.len()], "cut at {cut}");
        lengths.push(found.len());
    }
    assert!(lengths.is_sorted());
    assert_eq!((lengths[0], lengths[lengths.len() - 1]), (0, 10));
}

#[test]
fn a_cut_off_segment_followed_by_another_is_an_error_naming_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    ten_batches(dir.path(), 3);
    let second = segment_path(dir.path(), 2);
    let whole = fs::read(&second).unwrap();
    fs::write(&second, &whole[..whole.len() - 50]).unwrap();

    let mut reader = HistoryReader::open(dir.path()).unwrap();
    let error = reader.find_map(Result::err).unwrap();
    let HistoryError::Damaged { path, offset, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(path, &second);
    assert!(*offset > 0 && *offset < whole.len() as u64);
}

#[test]
fn a_damaged_message_in_the_middle_is_an_error_naming_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    ten_batches(dir.path(), 100);
    let segment = segment_path(dir.path(), 1);
    let mut bytes = fs::read(&segment).unwrap();
    let starts: Vec<_> = (0..bytes.len() - 4)
        .step_by(8)
        .filter(|at| bytes[*at..*at + 4] == [0xff; 4])
        .collect();
    let start = starts[starts.len() / 2];
    bytes[start..start + 4].fill(0);
    fs::write(&segment, &bytes).unwrap();

    let error = HistoryReader::open(dir.path())
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert!(
        matches!(&error, HistoryError::Damaged { path, offset, .. } if *path == segment && *offset == start as u64),
        "{error}"
    );
}

#[test]
fn a_file_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sources = ["router".to_owned()];
    let path = segment_path(dir.path(), 1);
    ObservationWriter::create(&path, &sources, &BTreeMap::new())
        .unwrap()
        .finish()
        .unwrap();
    let error = HistoryReader::open(dir.path()).err().unwrap();
    assert!(matches!(error, HistoryError::Format { .. }), "{error}");
}

#[test]
fn a_directory_without_segments_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = HistoryReader::open(dir.path()).err().unwrap();
    assert!(matches!(error, HistoryError::Empty(_)));
}

#[test]
fn json_lines_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let mut writer = HistoryWriter::create(&from, &metadata()).unwrap();
    writer.append_all(&assorted_events()).unwrap();
    writer.finish().unwrap();

    let mut text = Vec::new();
    let exported = export_json_lines(&mut HistoryReader::open(&from).unwrap(), &mut text).unwrap();
    assert_eq!(exported, assorted_events().len() as u64);
    let mut writer = HistoryWriter::create(&to, &metadata()).unwrap();
    import_json_lines(&text[..], &mut writer).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&to).0, assorted_events());
}

#[test]
fn a_line_that_is_not_an_event_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(dir.path(), &metadata()).unwrap();
    let error = import_json_lines(&b"\n{\"op\": 1}\n"[..], &mut writer).unwrap_err();
    assert!(
        matches!(error, HistoryError::Json { line: 2, .. }),
        "{error}"
    );
}

fn assorted_observations() -> Vec<Observation> {
    let row = |source, placement, seen| Observation {
        source,
        placement,
        seen,
    };
    vec![
        row(0, Placement::Routed, Seen::Version { key: 1, version: 4 }),
        row(0, Placement::Routed, Seen::Absent { key: 2 }),
        row(0, Placement::Routed, Seen::End),
        row(
            1,
            Placement::Owner,
            Seen::Corrupt {
                key: 3,
                detail: "checksum".into(),
            },
        ),
        row(1, Placement::FormerOwner, Seen::Foreign { id: "x".into() }),
        row(
            1,
            Placement::Stranger,
            Seen::Failed {
                error: "refused".into(),
            },
        ),
    ]
}

#[test]
fn observations_sources_and_metadata_come_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("final.arrows");
    let sources = ["router".to_owned(), "n2".to_owned()];
    let mut writer = ObservationWriter::create(&path, &sources, &metadata()).unwrap();
    for observation in assorted_observations() {
        writer.append(&observation).unwrap();
    }
    let unknown = Observation {
        source: 2,
        placement: Placement::Owner,
        seen: Seen::End,
    };
    let refused = writer.append(&unknown).unwrap_err();
    assert!(matches!(
        refused,
        HistoryError::UnknownSource { index: 2, known: 2 }
    ));
    writer.finish().unwrap();

    let mut reader = ObservationReader::open(&path).unwrap();
    assert_eq!(reader.sources(), sources);
    assert_eq!(reader.metadata(), metadata());
    let rows: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(rows, assorted_observations());
    assert!(!reader.truncated());
}

#[test]
fn observations_cut_off_in_the_middle_are_read_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("final.arrows");
    let mut writer =
        ObservationWriter::create(&path, &["router".to_owned(), "n2".to_owned()], &metadata())
            .unwrap();
    for observation in assorted_observations() {
        writer.append(&observation).unwrap();
        writer.flush().unwrap();
    }
    drop(writer);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let mut reader = ObservationReader::open(&path).unwrap();
    let rows: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(rows, assorted_observations()[..5]);
    assert!(reader.truncated());
}
