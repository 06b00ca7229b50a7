//! `shakedown check DIR` for the directory of a scenario, or of a run that was killed before it had results: what its
//! histories show.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use shakedown_checker::loss::LossReport;
use shakedown_reports::results::Verdict;

use super::exit::Exit;
use super::{Failure, say};
use crate::run::{DirJudged, check_scenario_dir, judge_scenario_dir};
use crate::scenario::{Catalogue, LimitsWish};

/// What a history shows.
struct Judged {
    verdict: Verdict,
    lines: Vec<String>,
    json: Value,
}

/// Judges the scenario's directory `dir`, or every one in it.
pub(super) fn check(dir: &Path, limits: LimitsWish, json: bool) -> Result<Exit, Failure> {
    let within = match dir.join("history").is_dir() {
        true => Vec::new(),
        false => scenario_dirs(dir),
    };
    if within.is_empty() {
        let judged = judge(dir, limits)?;
        let text = match json {
            true => pretty(&judged.json)?,
            false => judged.lines.join("\n") + "\n",
        };
        say(&text)?;
        return Ok(Exit::of_run(judged.verdict, false));
    }
    let mut all = Map::new();
    // A run that did not end proves nothing about what it left out.
    let mut verdict = Verdict::Unknown;
    for scenario in within {
        let judged = judge(&scenario, limits)?;
        let name = scenario
            .strip_prefix(dir)
            .unwrap_or(&scenario)
            .display()
            .to_string();
        verdict = verdict.max(judged.verdict);
        if !json {
            say(&format!("{name}\n  {}\n", judged.lines.join("\n  ")))?;
        }
        all.insert(name, judged.json);
    }
    if json {
        say(&pretty(&all.into())?)?;
    }
    Ok(Exit::of_run(verdict, false))
}

/// Directories of scenarios and of their repetitions that have a history.
fn scenario_dirs(run: &Path) -> Vec<PathBuf> {
    let children = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let scenarios = children(run);
    let both = scenarios
        .iter()
        .flat_map(|dir| [vec![dir.clone()], children(dir)].concat());
    both.filter(|dir| dir.join("plan.json").is_file() && dir.join("history").is_dir())
        .collect()
}

fn judge(dir: &Path, limits: LimitsWish) -> Result<Judged, Failure> {
    if dir.join("plan.json").is_file() {
        let systems = Catalogue::embedded().map_err(Failure::harness)?.systems;
        let objects = judge_scenario_dir(dir, &systems, limits).map_err(Failure::chain)?;
        if let Some(objects) = objects {
            return Ok(of_objects(&objects));
        }
    }
    let checkpoints = check_scenario_dir(dir).map_err(Failure::usage)?;
    Ok(of_documents(checkpoints))
}

fn of_objects(judged: &DirJudged) -> Judged {
    let checks = judged.checks.iter();
    let mut lines: Vec<String> = checks
        .map(|check| format!("{}: {}: {}", check.verdict, check.name, check.detail))
        .collect();
    let lost = judged.loss.iter();
    lines.extend(lost.map(|loss| format!("acknowledged elements lost: {}", loss.lost)));
    let verdict = Verdict::worst(judged.checks.iter().map(|check| check.verdict));
    Judged {
        verdict,
        lines,
        json: json!({"verdict": verdict, "checks": judged.checks, "loss": judged.loss}),
    }
}

fn of_documents(checkpoints: Vec<(String, LossReport)>) -> Judged {
    let verdict_of = |report: &LossReport| match report.is_clean() {
        true => Verdict::Valid,
        false if report.incomplete_sources.is_empty() => Verdict::Invalid,
        false => Verdict::Unknown,
    };
    let verdicts = checkpoints.iter().map(|(_, report)| verdict_of(report));
    let described = checkpoints.iter();
    Judged {
        verdict: verdicts.max().unwrap_or(Verdict::Valid),
        lines: described
            .map(|(name, report)| format!("{name}: {}", crate::run::describe(report)))
            .collect(),
        json: checkpoints
            .into_iter()
            .map(|(name, report)| (name, json!(report)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::harness)?;
    Ok(format!("{text}\n"))
}
