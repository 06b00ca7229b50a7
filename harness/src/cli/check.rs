//! `shakedown check` and `shakedown export`: judge or convert what is on disk, without a cluster.

use std::io::{BufWriter, ErrorKind};
use std::path::Path;

use shakedown_checker::history::{HistoryError, HistoryReader, export_json_lines};
use shakedown_reports::results::Verdict;

use super::Failure;
use super::exit::Exit;
use crate::run::check_scenario_dir;

pub(super) fn check(dir: &Path, json: bool) -> Result<Exit, Failure> {
    let checkpoints = check_scenario_dir(dir).map_err(Failure::usage)?;
    let mut verdict = Verdict::Valid;
    for (name, report) in &checkpoints {
        let its = if !report.is_clean() && report.incomplete_sources.is_empty() {
            Verdict::Invalid
        } else if report.is_clean() {
            Verdict::Valid
        } else {
            Verdict::Unknown
        };
        verdict = verdict.max(its);
        if !json {
            println!("{name}: {}", crate::run::describe(report));
        }
    }
    if json {
        let all: std::collections::BTreeMap<_, _> = checkpoints.into_iter().collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&all).map_err(Failure::harness)?
        );
    }
    Ok(Exit::of_run(verdict, false))
}

pub(super) fn export(dir: &Path) -> Result<Exit, Failure> {
    let mut reader = HistoryReader::open(dir).map_err(Failure::usage)?;
    let out = BufWriter::new(std::io::stdout().lock());
    match export_json_lines(&mut reader, out) {
        // A reader that has seen enough (`| head`) is no error.
        Err(HistoryError::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
            return Ok(Exit::Valid);
        }
        exported => exported.map_err(Failure::harness)?,
    };
    if reader.truncated() {
        eprintln!("warning: the end of the history is missing; the run was killed");
    }
    Ok(Exit::Valid)
}
