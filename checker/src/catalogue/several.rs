//! A history against several models at once.

use serde_json::json;

use crate::clock::Clock;
use crate::import::{Source, SourceError};
use crate::verdict::Verdict;

use super::invariant::{self, Make};
use super::{Check, Model, Options, Outcome, isolation};

/// Checks an opened history against all of these. Invariants share one pass; every other model reads
/// the history again. The verdict is the worst: `unknown` for one model hides no violation of another.
pub(super) fn check(
    models: &[&Model],
    source: &Source,
    options: &Options,
    clock: Clock,
) -> Result<Outcome, SourceError> {
    let makes = invariants(models);
    let mut of_invariants = match makes[..] {
        [] => Vec::new(),
        _ => invariant::judge(source, options, clock, &makes)?,
    }
    .into_iter();
    let mut all = Vec::new();
    for model in models {
        let outcome = match model.check {
            Check::Linearizable(check) => check(source, options, clock)?,
            Check::Isolation(of) => isolation::judge(of, source, options, clock)?,
            Check::Invariant(_) => of_invariants.next().unwrap_or_default(),
        };
        all.push((model.name, outcome));
    }
    Ok(match all.len() {
        1 => all.remove(0).1,
        _ => together(all),
    })
}

/// The outcome of each of these, in their order; see [`check_each`](super::check_each).
pub(super) fn each(
    models: &[&Model],
    source: &Source,
    options: &Options,
    clock: Clock,
) -> Vec<Outcome> {
    let makes = invariants(models);
    let mut of_invariants = match makes[..] {
        [] => Ok(Vec::new()),
        _ => invariant::judge(source, options, clock, &makes),
    }
    .map(Vec::into_iter);
    let outcome = |model: &&Model| {
        let checked = match (model.check, &mut of_invariants) {
            (Check::Linearizable(check), _) => check(source, options, clock),
            (Check::Isolation(of), _) => isolation::judge(of, source, options, clock),
            (Check::Invariant(_), Ok(outcomes)) => Ok(outcomes.next().unwrap_or_default()),
            (Check::Invariant(_), Err(error)) => return undecided(error),
        };
        checked.unwrap_or_else(|error| undecided(&error))
    };
    models.iter().map(outcome).collect()
}

fn invariants(models: &[&Model]) -> Vec<Make> {
    let makes = models.iter().filter_map(|model| match model.check {
        Check::Invariant(make) => Some(make),
        Check::Linearizable(_) | Check::Isolation(_) => None,
    });
    makes.collect()
}

/// What a model says of a history that it cannot judge.
pub(super) fn undecided(error: &SourceError) -> Outcome {
    Outcome {
        reason: error.to_string(),
        ..Outcome::default()
    }
}

fn together(all: Vec<(&str, Outcome)>) -> Outcome {
    let mut outcome = Outcome {
        verdict: Verdict::worst(all.iter().map(|(_, outcome)| outcome.verdict)),
        ..Outcome::default()
    };
    let mut reasons = Vec::new();
    let mut methods: Vec<String> = Vec::new();
    let mut facts = serde_json::Map::new();
    for (name, one) in all {
        reasons.push(format!("{name} {}: {}", one.verdict, one.reason));
        facts.insert(
            name.to_owned(),
            json!({"verdict": one.verdict, "reason": one.reason, "facts": one.facts}),
        );
        outcome.operations = outcome.operations.max(one.operations);
        outcome.truncated = outcome.truncated.or(one.truncated);
        outcome.findings_left_out += one.findings_left_out;
        if !one.method.is_empty() && !methods.contains(&one.method) {
            methods.push(one.method);
        }
        for mut finding in one.findings {
            finding.about = format!("{name}, {}", finding.about);
            outcome.findings.push(finding);
        }
    }
    outcome.reason = reasons.join("; ");
    outcome.method = methods.join(", ");
    outcome.facts = facts.into();
    outcome
}
