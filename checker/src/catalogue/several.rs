//! A history against several models at once.

use serde_json::json;

use crate::import::{Source, SourceError};
use crate::verdict::Verdict;

use super::{Model, Options, Outcome, invariant};

/// Checks an opened history against all of these. Invariants share one pass; every other model reads
/// the history again. The verdict is the worst: `unknown` for one model hides no violation of another.
pub(super) fn check(
    models: &[&Model],
    source: &Source,
    options: &Options,
) -> Result<Outcome, SourceError> {
    if let [only] = models {
        return only.check(source, options);
    }
    let names: Vec<&str> = models.iter().map(|model| model.name).collect();
    let of_invariants = invariant::together(source, options, &names)?;
    let mut all = Vec::new();
    for (model, outcome) in models.iter().zip(of_invariants) {
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => model.check(source, options)?,
        };
        all.push((model.name, outcome));
    }
    Ok(together(all))
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
