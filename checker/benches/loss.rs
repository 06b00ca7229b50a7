//! Checks a history of ten million operations on ten million keys, and fails if that takes more time
//! or memory than promised.
//!
//! The history is written first; the check runs in a process of its own, so that its peak memory is
//! only its own. Run with `cargo bench -p shakedown-checker --bench loss`.

mod memory;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use memory::peak_memory_bytes;
use shakedown_checker::check_dir;
use shakedown_checker::history::{
    Event, EventKind, HistoryReader, HistoryWriter, Observation, ObservationWriter, Placement,
    Process, Seen,
};

const OPERATIONS: u64 = 10_000_000;
const MAX_SECONDS: f64 = 10.0;
const MAX_BYTES_PER_OPERATION: f64 = 100.0;

/// Operations in flight at any time.
const IN_FLIGHT: u64 = 64;

/// Each so many-th document is lost, stale, ...
const EVERY: i64 = 100_000;

/// Argument that makes this program check the directory that follows.
const CHECK: &str = "--check-history-in";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CHECK) {
        return check(Path::new(&arguments[at + 1]));
    }
    let dir = tempfile::tempdir()?;
    write_history(dir.path())?;
    write_observations(dir.path())?;
    read_history(dir.path())?;
    let child = Command::new(std::env::current_exe()?)
        .arg(CHECK)
        .arg(dir.path())
        .status()?;
    Ok(if child.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A permutation of the keys, so that neighbours in time are no neighbours by key.
fn key(operation: u64) -> i64 {
    (operation * 7_368_787 % OPERATIONS) as i64
}

fn event(operation: u64, kind: EventKind) -> Event {
    Event {
        op: operation,
        process: Process((operation % IN_FLIGHT) as i32),
        kind,
        f: Cow::Borrowed("put"),
        time_ns: operation * 1_000,
        intended_ns: (kind == EventKind::Invoke).then_some(operation * 1_000),
        key: Some(key(operation)),
        value: Some(1),
        detail: None,
    }
}

fn write_history(dir: &Path) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut writer = HistoryWriter::create(&dir.join("history"), &BTreeMap::new())?;
    for operation in 0..OPERATIONS + IN_FLIGHT {
        if operation < OPERATIONS {
            writer.append(&event(operation, EventKind::Invoke))?;
        }
        if let Some(completed) = operation.checked_sub(IN_FLIGHT) {
            writer.append(&event(completed, EventKind::Ok))?;
        }
    }
    writer.finish()?;
    report("events written", 2 * OPERATIONS, started);
    Ok(())
}

/// One front door and one owner that have nearly everything.
fn write_observations(dir: &Path) -> Result<(), Box<dyn Error>> {
    let sources = ["router", "n1"].map(str::to_owned);
    let mut writer =
        ObservationWriter::create(&dir.join("final.arrows"), &sources, &BTreeMap::new())?;
    for (source, placement) in [(0, Placement::Routed), (1, Placement::Owner)] {
        for key in (0..OPERATIONS).rev().map(key) {
            let seen = match key % EVERY {
                0 => continue,
                1 => Seen::Corrupt {
                    key,
                    detail: "checksum".to_owned(),
                },
                2 => Seen::Version { key, version: 2 },
                _ => Seen::Version { key, version: 1 },
            };
            writer.append(&Observation {
                source,
                placement,
                seen,
            })?;
        }
        writer.append(&Observation {
            source,
            placement,
            seen: Seen::End,
        })?;
    }
    writer.finish()?;
    Ok(())
}

fn read_history(dir: &Path) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let events = HistoryReader::open(&dir.join("history"))?
        .try_fold(0, |events, event| event.map(|_| events + 1))?;
    report("events read one by one", events, started);
    Ok(())
}

fn check(dir: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let started = Instant::now();
    let loss = check_dir(&dir.join("history"), &dir.join("final.arrows"), 100)?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes = peak_memory_bytes()? as f64 / OPERATIONS as f64;
    println!(
        "{OPERATIONS} operations on as many keys and {} observations checked:",
        2 * OPERATIONS
    );
    println!(
        "{seconds:.2} s (at most {MAX_SECONDS}), {bytes:.1} bytes per operation (at most {MAX_BYTES_PER_OPERATION})"
    );

    let each = OPERATIONS / EVERY as u64;
    let found = [loss.counts.lost, loss.counts.corrupted, loss.counts.phantom];
    if found != [each; 3] || loss.keys != OPERATIONS {
        return Err(format!("wrong result: {:?}", loss.counts).into());
    }
    let kept = seconds <= MAX_SECONDS && bytes <= MAX_BYTES_PER_OPERATION;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(what: &str, events: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{what}: {:.1} million/s", events as f64 / seconds / 1e6);
}
