//! Histories in files: the published ones, and any that are named.

use std::error::Error;
use std::path::{Path, PathBuf};

use shakedown_checker::clock::Clock;
use shakedown_checker::import::operations::{self, Dialect};
use shakedown_checker::import::{Names, Source};
use shakedown_checker::linearizability::models::{AppendText, NIL, Register};
use shakedown_checker::linearizability::{Limits, check};

use crate::measure::{all_keys, cpu_seconds, mean, verdict};
use crate::memory::peak_memory_bytes;

/// Enough for every file here.
const LIMIT_BYTES: usize = 4 << 30;

/// Seconds that all of Porcupine's etcd logs may take: a tenth of what Porcupine took.
const MOST_ETCD_SECONDS: f64 = 0.0491;

/// Porcupine's histories, if they are there.
pub(crate) fn porcupine() -> Result<(), Box<dyn Error>> {
    let root = std::env::var_os("SHAKEDOWN_HISTORIES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories"),
        Into::into,
    );
    if !root.is_dir() {
        println!("no published histories (set SHAKEDOWN_HISTORIES)");
        return Ok(());
    }
    let (mut total, mut slowest) = (0.0, Vec::new());
    for file in files(&root.join("porcupine/etcd"))? {
        let source = Source::open(&file, None, LIMIT_BYTES, Clock::default())?;
        let dialect = Dialect::of(source.format());
        let read = operations::register(
            &mut source.events(Clock::default())?,
            &mut Names::default(),
            dialect,
        )?;
        let (_, history) = read
            .history
            .into_single()
            .map_err(|_| "several registers")?;
        let model = Register { initial: NIL };
        let run = || check(&model, &history, &Limits::default()).verdict;
        let (_, measured) = mean(20, run);
        total += measured.seconds;
        slowest.push((measured.seconds, name(&file), measured.verdict));
    }
    slowest.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!(
        "Porcupine's {} etcd logs: {:.3} ms together; slowest:",
        slowest.len(),
        total * 1e3
    );
    for (seconds, name, verdict) in slowest.iter().take(3) {
        println!("  {name} {:.3} ms, {verdict}", seconds * 1e3);
    }
    if total > MOST_ETCD_SECONDS {
        return Err(format!("the etcd logs took more than {MOST_ETCD_SECONDS} s").into());
    }
    for file in files(&root.join("porcupine/kv"))? {
        let source = Source::open(&file, None, LIMIT_BYTES, Clock::default())?;
        let read = operations::texts(&mut source.events(Clock::default())?, &mut Names::default())?;
        let (_, measured) = mean(20, || all_keys(&AppendText, &read.history));
        println!(
            "Porcupine's {}: {:.3} ms, {}",
            name(&file),
            measured.seconds * 1e3,
            measured.verdict
        );
    }
    Ok(())
}

/// A history of registers in any format: seconds to read it, and to check it.
pub(crate) fn registers(file: &Path) -> Result<(), Box<dyn Error>> {
    let before = cpu_seconds();
    let source = Source::open(file, None, LIMIT_BYTES, Clock::default())?;
    let dialect = Dialect::of(source.format());
    let read = operations::register(
        &mut source.events(Clock::default())?,
        &mut Names::default(),
        dialect,
    )?;
    let first = source.text().lines().next().unwrap_or_default();
    let initial = if first.contains("init=0") { 0 } else { NIL };
    let reading = cpu_seconds() - before;
    drop(source);
    let model = Register { initial };
    let before = cpu_seconds();
    let found = match read.history.into_single() {
        Ok((_, history)) => verdict(&check(&model, &history, &Limits::default()).verdict),
        Err(history) => verdict(&all_keys(&model, &history)),
    };
    let seconds = cpu_seconds() - before;
    println!(
        "{}: {found} in {seconds:.4} s after {reading:.4} s of reading, {:.0} MB",
        name(file),
        peak_memory_bytes()? as f64 / 1e6,
    );
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = std::fs::read_dir(folder)?
        .map(|file| Ok(file?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    files.sort();
    Ok(files)
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
