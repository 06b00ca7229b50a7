//! `shakedown track-record`: every planted bug against the scenarios that must catch it, K times each.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shakedown_reports::results_file;

use super::args::TrackRecordArgs;
use super::exit::Exit;
use super::{Failure, say};
use crate::run::local_binary;
use crate::scenario::Catalogue;
use crate::track_record::{PlantedBugs, Tally, TrackRecord, render};

/// Of ten runs, so many must catch a bug.
const CAUGHT_OF_TEN: u32 = 9;
/// The record within the output directory.
const FILE_NAME: &str = "track_record.json";

/// One line of the record: a bug (empty for none) and a scenario.
struct Line {
    bug: String,
    scenario: String,
}

pub(super) fn track_record(args: &TrackRecordArgs) -> Result<Exit, Failure> {
    let catalogue = Catalogue::embedded().map_err(Failure::harness)?;
    let bugs = PlantedBugs::of(&args.system)
        .map_err(Failure::harness)?
        .ok_or_else(|| {
            Failure::Usage(format!("no planted bugs are known for `{}`", args.system))
        })?;
    let scenarios = bugs.scenarios(&catalogue);
    let planted = match &args.planted {
        Some(path) => path.clone(),
        None => local_binary(&bugs.planted, &Default::default()).map_err(Failure::usage)?,
    };
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Failure::Usage(format!("{}: {error}", args.out.display())))?;
    let file = args.out.join(FILE_NAME);
    let mut record = TrackRecord::load(&file).map_err(Failure::usage)?;
    for line in lines(&bugs, &scenarios, &args.bug)? {
        let known = record.tally(&line.bug, &line.scenario);
        if !args.again && known.is_some_and(|t| t.runs >= args.repeat) {
            continue;
        }
        let tally = run(args, &bugs, &planted, &line)?;
        let name = if line.bug.is_empty() {
            "no bug"
        } else {
            &line.bug
        };
        say(&format!(
            "{name:<24} {:<44} {} invalid, {} valid, {} unknown of {}\n",
            line.scenario, tally.invalid, tally.valid, tally.unknown, tally.runs
        ))?;
        record.set(&line.bug, &line.scenario, tally);
        // After every line: an interrupted record goes on where it was.
        record.save(&file).map_err(Failure::harness)?;
    }
    let command = format!(
        "shakedown track-record --system {} --repeat {} --seed {} --to PAGE",
        bugs.system, args.repeat, args.seed
    );
    if let Some(to) = &args.to {
        std::fs::write(to, render(&bugs, &scenarios, &record, &command))
            .map_err(|error| Failure::Harness(format!("{}: {error}", to.display())))?;
    }
    Ok(judge(&bugs, &scenarios, &record))
}

/// Bugs first, then the system as it is; only the named ones if any are named (`none` is the system as it is).
fn lines(bugs: &PlantedBugs, scenarios: &[String], only: &[String]) -> Result<Vec<Line>, Failure> {
    let known = |name: &String| name == "none" || bugs.bug.iter().any(|b| b.name == *name);
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let names: Vec<&str> = bugs.bug.iter().map(|b| b.name.as_str()).collect();
        return Err(Failure::Usage(format!(
            "no planted bug `{unknown}` (there are {}, and `none`)",
            names.join(", ")
        )));
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    let mut lines = Vec::new();
    for bug in bugs.bug.iter().filter(|b| wanted(&b.name)) {
        lines.extend(bug.scenarios.iter().map(|scenario| Line {
            bug: bug.name.clone(),
            scenario: scenario.clone(),
        }));
    }
    if wanted("none") {
        lines.extend(scenarios.iter().map(|scenario| Line {
            bug: String::new(),
            scenario: scenario.clone(),
        }));
    }
    Ok(lines)
}

/// Runs one line as a command of its own, the one that stands on the page, and reads its results.
fn run(
    args: &TrackRecordArgs,
    bugs: &PlantedBugs,
    planted: &Path,
    line: &Line,
) -> Result<Tally, Failure> {
    let shakedown = std::env::current_exe().map_err(Failure::harness)?;
    let name = if line.bug.is_empty() {
        "none"
    } else {
        &line.bug
    };
    let out = args.out.join(name).join(&line.scenario);
    std::fs::create_dir_all(&out).map_err(Failure::harness)?;
    let mut options = vec![
        "run".to_owned(),
        line.scenario.clone(),
        "--repeat".to_owned(),
        args.repeat.to_string(),
        "--seed".to_owned(),
        args.seed.to_string(),
    ];
    if !line.bug.is_empty() {
        options.extend([
            "--env".to_owned(),
            format!("{}={}", bugs.variable, line.bug),
            "--binary".to_owned(),
        ]);
    }
    let mut shown = options.clone();
    if !line.bug.is_empty() {
        shown.push(format!("{}={}", bugs.program, bugs.planted));
        options.push(format!("{}={}", bugs.program, planted.display()));
    }
    options.extend(["--out".to_owned(), out.display().to_string()]);
    let log = std::fs::File::create(out.join("console.txt")).map_err(Failure::harness)?;
    // Runs lie in a directory of their scenario's name.
    let runs = out.join(&line.scenario);
    std::fs::create_dir_all(&runs).map_err(Failure::harness)?;
    let before = run_directories(&runs)?;
    let status = Command::new(shakedown)
        .args(&options)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(Failure::harness)?)
        .stderr(log)
        .status()
        .map_err(Failure::harness)?;
    let made = run_directories(&runs)?
        .into_iter()
        .find(|dir| !before.contains(dir));
    let results = made.and_then(|dir| results_file::load(&dir.join(results_file::FILE_NAME)).ok());
    let Some(results) = results else {
        return Err(Failure::Harness(format!(
            "`{}` left no results ({status}); see {}",
            options.join(" "),
            out.join("console.txt").display()
        )));
    };
    if results.interrupted {
        return Err(Failure::Harness(
            "interrupted; the same command goes on from here".to_owned(),
        ));
    }
    let mut tally = Tally::of(&results);
    tally.command = format!("shakedown {}", shown.join(" "));
    Ok(tally)
}

fn run_directories(runs: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(runs).map_err(Failure::harness)?;
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect())
}

/// Valid if each bug was caught often enough by one of its scenarios, and the system as it is passed all.
fn judge(bugs: &PlantedBugs, scenarios: &[String], record: &TrackRecord) -> Exit {
    let caught = |tally: &Tally| tally.runs > 0 && tally.invalid * 10 >= tally.runs * CAUGHT_OF_TEN;
    let all_caught = bugs.bug.iter().all(|bug| {
        let mut tallies = bug
            .scenarios
            .iter()
            .filter_map(|s| record.tally(&bug.name, s));
        tallies.any(caught)
    });
    let clean: Vec<Option<&Tally>> = scenarios.iter().map(|s| record.tally("", s)).collect();
    if clean.iter().flatten().any(|t| t.invalid > 0) {
        Exit::Invalid
    } else if all_caught
        && clean
            .iter()
            .all(|t| t.is_some_and(|t| t.valid == t.runs && t.runs > 0))
    {
        Exit::Valid
    } else {
        Exit::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(invalid: u32, valid: u32) -> Tally {
        Tally {
            runs: 10,
            invalid,
            valid,
            unknown: 10 - invalid - valid,
            ..Tally::default()
        }
    }

    fn bugs() -> PlantedBugs {
        PlantedBugs::of("miroir").unwrap().unwrap()
    }

    fn complete(caught: u32, clean: Tally) -> (PlantedBugs, Vec<String>, TrackRecord) {
        let bugs = bugs();
        let scenarios = bugs.scenarios(&Catalogue::embedded().unwrap());
        let mut record = TrackRecord::default();
        for bug in &bugs.bug {
            for scenario in &bug.scenarios {
                record.set(&bug.name, scenario, tally(caught, 10 - caught));
            }
        }
        for scenario in &scenarios {
            record.set("", scenario, clean.clone());
        }
        (bugs, scenarios, record)
    }

    #[test]
    fn nine_of_ten_is_caught_and_eight_is_not() {
        let (bugs, scenarios, record) = complete(9, tally(0, 10));
        assert_eq!(judge(&bugs, &scenarios, &record), Exit::Valid);
        let (bugs, scenarios, record) = complete(8, tally(0, 10));
        assert_eq!(judge(&bugs, &scenarios, &record), Exit::Unknown);
    }

    #[test]
    fn a_system_that_fails_without_a_bug_is_invalid() {
        let (bugs, scenarios, record) = complete(10, tally(1, 9));
        assert_eq!(judge(&bugs, &scenarios, &record), Exit::Invalid);
    }

    #[test]
    fn what_was_not_run_is_unknown() {
        let (bugs, scenarios, _) = complete(10, tally(0, 10));
        let nothing = TrackRecord::default();
        assert_eq!(judge(&bugs, &scenarios, &nothing), Exit::Unknown);
    }

    #[test]
    fn a_bug_nobody_planted_is_refused_by_name() {
        let bugs = bugs();
        let Err(Failure::Usage(message)) = lines(&bugs, &[], &["nosuch".to_owned()]) else {
            panic!("expected a refusal");
        };
        assert!(message.contains("`nosuch`"), "{message}");
    }
}
