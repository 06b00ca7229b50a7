//! What a system's notes recommend, with the evidence for it in this run.

use serde::Serialize;
use shakedown_checker::rate::Rate;

use crate::pool::Group;
use crate::quantity::{self, count, counted};
use crate::results::{Audience, ClaimOf, SystemNotes, Verdict};

/// A system's notes, its recommendations with what was measured.
#[derive(Serialize)]
pub(super) struct SystemView<'a> {
    notes: &'a SystemNotes,
    recommendations: Vec<MeasuredAdvice>,
}

/// A recommendation and the evidence for it in this run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MeasuredAdvice {
    pub(crate) audience: Audience,
    pub(crate) configuration: String,
    pub(crate) advice: String,
    pub(crate) evidence: String,
}

impl<'a> SystemView<'a> {
    pub(super) fn new(notes: &'a SystemNotes, groups: &[Group<'_>]) -> Self {
        SystemView {
            recommendations: measured_advice(notes, groups),
            notes,
        }
    }
}

/// Every recommendation of a system with what was measured in its configuration.
pub(crate) fn measured_advice(notes: &SystemNotes, groups: &[Group<'_>]) -> Vec<MeasuredAdvice> {
    let advice = notes.recommendations.iter();
    advice
        .map(|recommendation| MeasuredAdvice {
            audience: recommendation.audience,
            configuration: recommendation.configuration.clone(),
            advice: recommendation.advice.clone(),
            evidence: match recommendation.configuration.as_str() {
                "" => String::new(),
                configuration => evidence(configuration, groups),
            },
        })
        .collect()
}

/// What the scenarios of a configuration measured, in sentences.
fn evidence(configuration: &str, groups: &[Group<'_>]) -> String {
    let of_it: Vec<&Group<'_>> = groups
        .iter()
        .filter(|group| group.scenario.configuration == configuration)
        .collect();
    // What could not be judged is no evidence, and what promises a refusal has no rate.
    let telling: Vec<&&Group<'_>> = of_it.iter().filter(|group| tells_a_rate(group)).collect();
    let rates = |of: fn(&Group<'_>) -> Option<Rate>| -> Vec<Rate> {
        telling.iter().filter_map(|group| of(group)).collect()
    };
    let at_end = rates(|group| Some(group.deciding()?.loss.lost));
    if of_it.is_empty() {
        return "Not tested in this run.".to_owned();
    }
    let scenarios = counted(of_it.len() as u64, "scenario", "scenarios");
    let valid = of_it.iter().filter(|g| g.verdict() == Verdict::Valid);
    let mut sentences = vec![format!(
        "Tested by {scenarios}, {} valid.",
        count(valid.count() as u64)
    )];
    if !at_end.is_empty() {
        let lost = Rate::pooled(&at_end);
        sentences.push(format!(
            "At the end {} keys were lost ({}; 95 % interval {}).",
            quantity::events_of_trials(&lost),
            quantity::share(&lost),
            quantity::interval(&lost)
        ));
    }
    let repaired: Vec<Rate> = telling
        .iter()
        .filter(|group| {
            let end = group.deciding().map_or(0, |c| c.loss.lost.events);
            group
                .worst_checkpoint()
                .is_some_and(|c| c.loss.lost.events > end)
        })
        .filter_map(|group| Some(group.worst_checkpoint()?.loss.lost))
        .collect();
    if !repaired.is_empty() {
        let lost = Rate::pooled(&repaired);
        sentences.push(format!(
            "Before that, {} keys were missing for a time ({}).",
            quantity::events_of_trials(&lost),
            quantity::share(&lost)
        ));
    }
    let at_risk = rates(|group| group.worst_checkpoint()?.explained.as_ref()?.at_risk);
    if !at_risk.is_empty() {
        sentences.push(format!(
            "Of the documents at risk by the system's own records, {} came to harm.",
            Rate::pooled(&at_risk)
        ));
    }
    sentences.join(" ")
}

fn tells_a_rate(group: &Group<'_>) -> bool {
    let claim = group.scenario.claim.as_ref();
    group.verdict() != Verdict::Unknown
        && claim.is_none_or(|claim| claim.of != ClaimOf::Expectation)
}
