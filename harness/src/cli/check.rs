//! `shakedown check` and `shakedown export`: judge or convert what is on disk, without a cluster.

use std::io::{BufWriter, ErrorKind};
use std::path::Path;

use shakedown_checker::history::{HistoryError, HistoryReader, export_json_lines};
use shakedown_reports::{console, results_file};

use super::args::CheckArgs;
use super::exit::Exit;
use super::{Failure, check_model, check_scenario, say};
use crate::run::rejudge;
use crate::scenario::{Catalogue, LimitsWish};

/// What `check` makes anew, and what it cannot.
const JUDGED_AGAIN: &str = "Judged again: every key at every checkpoint from the histories and final reads, every model, and every check. Taken as \
     recorded: evidence of faults, outputs of actions, phases, marks and gauges, and what the system's own records predicted.";

pub(super) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let (dir, json) = (args.history.as_path(), args.json);
    if !args.model.is_empty() {
        return check_model::check(dir, &args.model, &args.how, json);
    }
    if dir.is_file() {
        let file = dir.display();
        let message = format!("{file} is a file: say what it must satisfy with --model");
        return Err(Failure::Usage(message));
    }
    let limits = LimitsWish {
        memory: args.how.memory_limit,
        time: args.how.time_limit,
    };
    if dir.join(results_file::FILE_NAME).is_file() {
        return check_run(dir, limits, json);
    }
    check_scenario::check(dir, limits, json)
}

/// A whole run, by the expectations in its plans.
fn check_run(run: &Path, limits: LimitsWish, json: bool) -> Result<Exit, Failure> {
    let catalogue = Catalogue::embedded().map_err(Failure::harness)?;
    let judged = rejudge(run, &catalogue.systems, limits).map_err(Failure::chain)?;
    let results = judged.results;
    if json {
        let text = serde_json::to_string_pretty(&results).map_err(Failure::harness)?;
        say(&format!("{text}\n"))?;
    } else {
        say(&console::summary(&results))?;
        say(&format!("\n{JUDGED_AGAIN}\n"))?;
        if judged.differences.is_empty() {
            say("Every check and every verdict is the run's own.\n")?;
        }
        for difference in &judged.differences {
            say(&format!("differs from the run: {difference}\n"))?;
        }
    }
    let harness_failed = results.scenarios.iter().any(|s| s.harness_error.is_some());
    Ok(Exit::of_run(results.verdict, harness_failed))
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
