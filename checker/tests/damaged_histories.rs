//! Small history and observation files with every single bit flipped, and cut off at every length: an error or a
//! history, no panic, no memory far beyond the file's.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic::catch_unwind;
use std::path::Path;

use shakedown_checker::history::{
    Event, EventKind, HistoryError, HistoryReader, HistoryWriter, Observation, ObservationReader,
    ObservationWriter, Placement, Process, Seen,
};

/// Of everything the test process maps, in bytes. The files have a few kilobytes.
const MAX_MAPPED_BYTES: u64 = 512 << 20;

/// Rows read, or the error.
type Read = fn(&Path) -> Result<usize, HistoryError>;

fn read_history(path: &Path) -> Result<usize, HistoryError> {
    let mut reader = HistoryReader::open_segment(path)?;
    let mut rows = 0;
    while let Some(batch) = reader.next_batch()? {
        let functions = batch.functions().count();
        for row in 0..batch.len() {
            assert!(batch.function(row) < functions);
            batch.row(row).to_event();
            rows += 1;
        }
    }
    Ok(rows)
}

fn read_observations(path: &Path) -> Result<usize, HistoryError> {
    let mut rows = 0;
    for observation in ObservationReader::open(path)? {
        observation?;
        rows += 1;
    }
    Ok(rows)
}

/// Each optional column with and without value.
fn write_history(dir: &Path) {
    let mut writer = HistoryWriter::create(dir, &BTreeMap::new()).unwrap();
    for (kind, f) in [
        (EventKind::Invoke, "put"),
        (EventKind::Ok, "put"),
        (EventKind::Info, "read"),
    ] {
        let filled = kind == EventKind::Ok;
        let event = Event {
            op: 1,
            process: Process(0),
            kind,
            f: Cow::Borrowed(f),
            time_ns: 5,
            intended_ns: filled.then_some(4),
            key: filled.then_some(7),
            value: filled.then_some(9),
            detail: filled.then(|| "é".into()),
        };
        writer.append(&event).unwrap();
    }
    writer.finish().unwrap();
}

fn write_observations(path: &Path) {
    let sources = ["router".to_owned(), "n2".to_owned()];
    let mut writer = ObservationWriter::create(path, &sources, &BTreeMap::new()).unwrap();
    let corrupt = Seen::Corrupt {
        key: 3,
        detail: "checksum".into(),
    };
    for (source, seen) in [
        (0, Seen::Version { key: 1, version: 4 }),
        (1, corrupt),
        (1, Seen::End),
    ] {
        let placement = Placement::Routed;
        let row = Observation {
            source,
            placement,
            seen,
        };
        writer.append(&row).unwrap();
    }
    writer.finish().unwrap();
}

/// Flips each bit of the file, then cuts it ever shorter. Some flips must be errors, or nothing was looked at.
fn damage(path: &Path, read: Read) {
    let whole = fs::read(path).unwrap();
    assert_eq!(read(path).unwrap(), 3);
    let file = File::options().write(true).open(path).unwrap();
    let mut refused = 0;
    for (at, byte) in whole.iter().enumerate() {
        for bit in 0..8 {
            file.write_all_at(&[byte ^ (1 << bit)], at as u64).unwrap();
            match catch_unwind(|| read(path)) {
                Ok(found) => refused += usize::from(found.is_err()),
                Err(_) => panic!("bit {bit} of byte {at} of {}", whole.len()),
            }
        }
        file.write_all_at(&[*byte], at as u64).unwrap();
    }
    assert!(refused > whole.len(), "{refused} of {} bytes", whole.len());
    assert_eq!(read(path).unwrap(), 3);

    for length in (0..whole.len()).rev() {
        file.set_len(length as u64).unwrap();
        match catch_unwind(|| read(path)) {
            Ok(found) => assert!(found.is_ok_and(|rows| rows <= 3), "cut at {length}"),
            Err(_) => panic!("cut at {length}"),
        }
    }
    assert!(mapped_bytes() < MAX_MAPPED_BYTES, "{}", mapped_bytes());
}

/// The most that this process ever had mapped, touched or not.
fn mapped_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPeak:"))
        .unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}

#[test]
fn a_history_with_any_bit_flipped_or_any_length_is_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_history(dir.path());
    damage(&dir.path().join("000001.arrows"), read_history);
}

#[test]
fn observations_with_any_bit_flipped_or_any_length_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("final.arrows");
    write_observations(&path);
    damage(&path, read_observations);
}
