//! Claims beside what was measured, and in plain words whether they hold.

use serde::Serialize;
use shakedown_checker::rate::Rate;

use crate::pool::Group;
use crate::quantity::count;
use crate::results::{CheckpointResult, Claim, ClaimOf, Verdict};

/// Of a scenario that could not be judged.
const UNTOLD: &str = "neither shown nor contradicted: the scenario could not be judged, so not all of it was put to the test";

/// What a measurement says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// The claimed rate lies within the interval, or the bound above it.
    Agrees,
    /// The claimed rate lies outside the interval, or the bound below it.
    Contradicted,
    /// The run is too small to tell, or measured nothing.
    CannotTell,
}

/// A claim with its measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Measured {
    pub(crate) configuration: String,
    pub(crate) scenario: String,
    pub(crate) claim: String,
    pub(crate) measured: String,
    pub(crate) judgement: Judgement,
    pub(crate) in_words: String,
}

/// The claim of a scenario, measured at the checkpoint at which most was lost.
pub(crate) fn measure(group: &Group<'_>) -> Option<Measured> {
    let claim = group.scenario.claim.as_ref()?;
    if claim.of == ClaimOf::Expectation {
        return Some(of_expectation(group, claim));
    }
    let checkpoint = group.worst_checkpoint();
    let rate = checkpoint.map_or_else(Rate::default, |checkpoint| rate_of(checkpoint, claim.of));
    let mut judgement = judge(claim, &rate);
    let worse = judgement == Judgement::Contradicted && rate.low > claimed(claim);
    // Losses that were found stand, but those that were not may only not have been tried.
    let untold = group.verdict() == Verdict::Unknown && rate.trials > 0 && !worse;
    if untold {
        judgement = Judgement::CannotTell;
    }
    let at = match (checkpoint, group.deciding()) {
        (Some(worst), Some(last)) if worst.name != last.name => {
            format!(" at checkpoint {}", worst.name)
        }
        _ => String::new(),
    };
    let measured = match rate.trials {
        0 => "not measured".to_owned(),
        _ => format!("{rate} of {}{at}", claim.of.words()),
    };
    Some(Measured {
        configuration: group.scenario.configuration.clone(),
        scenario: group.scenario.name.clone(),
        claim: claim.text.clone(),
        in_words: if untold {
            UNTOLD.to_owned()
        } else {
            in_words(claim, &rate, judgement)
        },
        measured,
        judgement,
    })
}

/// A claim without a figure: the scenario's verdict says whether it holds.
fn of_expectation(group: &Group<'_>, claim: &Claim) -> Measured {
    let (judgement, in_words) = match group.verdict() {
        Verdict::Valid => (Judgement::Agrees, "it was tried, and the claim holds"),
        Verdict::Unknown => (Judgement::CannotTell, UNTOLD),
        Verdict::Invalid => (
            Judgement::Contradicted,
            "the measurement contradicts the claim: what it promises did not hold",
        ),
    };
    Measured {
        configuration: group.scenario.configuration.clone(),
        scenario: group.scenario.name.clone(),
        claim: claim.text.clone(),
        measured: format!("the scenario is {}", group.verdict_in_words()),
        in_words: in_words.to_owned(),
        judgement,
    }
}

fn rate_of(checkpoint: &CheckpointResult, of: ClaimOf) -> Rate {
    let loss = &checkpoint.loss;
    match of {
        ClaimOf::Keys => loss.lost,
        // Writes of one key share its fate, so a lost key is at least one lost write.
        ClaimOf::AcknowledgedWrites if loss.acknowledged_writes >= loss.lost.events => {
            Rate::new(loss.lost.events, loss.acknowledged_writes)
        }
        ClaimOf::AcknowledgedWrites => Rate::default(),
        ClaimOf::DualWrites => checkpoint
            .explained
            .as_ref()
            .and_then(|explained| explained.at_risk)
            .unwrap_or_default(),
        ClaimOf::Expectation => Rate::default(),
    }
}

/// The claimed rate or bound, 0 to 1.
fn claimed(claim: &Claim) -> f64 {
    let rate = claim.rate_percent.map(|percent| percent / 1e2);
    rate.or(claim.max_per_million.map(|bound| bound / 1e6))
        .unwrap_or_default()
}

fn judge(claim: &Claim, rate: &Rate) -> Judgement {
    if rate.trials == 0 {
        return Judgement::CannotTell;
    }
    match (claim.rate_percent, claim.max_per_million) {
        (Some(percent), _) if (rate.low..=rate.high).contains(&(percent / 1e2)) => {
            Judgement::Agrees
        }
        (Some(_), _) => Judgement::Contradicted,
        (None, Some(bound)) if rate.high < bound / 1e6 => Judgement::Agrees,
        (None, Some(bound)) if rate.low >= bound / 1e6 => Judgement::Contradicted,
        (None, _) => Judgement::CannotTell,
    }
}

fn in_words(claim: &Claim, rate: &Rate, judgement: Judgement) -> String {
    if rate.trials == 0 {
        return "nothing was measured that the claim is about".to_owned();
    }
    let claimed = claimed(claim);
    match (judgement, claim.max_per_million) {
        (Judgement::Agrees, Some(_)) => {
            "the claim holds: the whole interval is below it".to_owned()
        }
        (Judgement::Agrees, None) if claimed == 0.0 => format!(
            "nothing was lost, as claimed; up to {:.1} per million are compatible with it",
            rate.high * 1e6
        ),
        (Judgement::Agrees, None) => "the measurement agrees with the claim".to_owned(),
        (Judgement::Contradicted, None) if rate.low > claimed => {
            "the measurement contradicts the claim: the rate is higher".to_owned()
        }
        (Judgement::Contradicted, None) => {
            "the measurement contradicts the claim: the rate is lower".to_owned()
        }
        (Judgement::Contradicted, Some(_)) => {
            "the measurement contradicts the claim: more is lost".to_owned()
        }
        (Judgement::CannotTell, _) => format!(
            "neither shown nor contradicted: with {} {} the run is too small, and up to {:.1} per million are compatible with it",
            count(rate.trials),
            claim.of.words(),
            rate.high * 1e6
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;
    use crate::pool::groups;

    fn judged(rate_percent: Option<f64>, max_per_million: Option<f64>, rate: Rate) -> Judgement {
        let claim = Claim {
            text: String::new(),
            rate_percent,
            max_per_million,
            of: ClaimOf::Keys,
        };
        judge(&claim, &rate)
    }

    #[test]
    fn a_claimed_rate_agrees_if_the_interval_contains_it() {
        let two_percent = |rate| judged(Some(2.0), None, rate);
        assert_eq!(two_percent(Rate::new(20, 1_000)), Judgement::Agrees);
        assert_eq!(two_percent(Rate::new(60, 1_000)), Judgement::Contradicted);
        assert_eq!(two_percent(Rate::new(2, 1_000)), Judgement::Contradicted);
        assert_eq!(two_percent(Rate::default()), Judgement::CannotTell);
        assert_eq!(judged(Some(0.0), None, Rate::new(0, 9)), Judgement::Agrees);
        assert_eq!(
            judged(Some(0.0), None, Rate::new(1, 900_000)),
            Judgement::Contradicted
        );
    }

    #[test]
    fn a_bound_is_shown_only_by_an_interval_that_lies_below_it() {
        let below_one = |rate| judged(None, Some(1.0), rate);
        assert_eq!(below_one(Rate::new(0, 1_000)), Judgement::CannotTell);
        assert_eq!(below_one(Rate::new(0, 4_000_000)), Judgement::Agrees);
        assert_eq!(below_one(Rate::new(20, 1_000)), Judgement::Contradicted);
    }

    #[test]
    fn a_claim_without_a_figure_holds_as_far_as_the_scenario_does() {
        let mut results = example::suite();
        let scenario = &mut results.scenarios[3];
        scenario.repetition = None;
        scenario.claim.as_mut().unwrap().of = ClaimOf::Expectation;
        scenario.verdict = Verdict::Valid;
        let judged = |results: &crate::results::SuiteResults| {
            measure(&groups(results)[3]).unwrap().judgement
        };
        assert_eq!(judged(&results), Judgement::Agrees);
        results.scenarios[3].verdict = Verdict::Invalid;
        assert_eq!(judged(&results), Judgement::Contradicted);
        results.scenarios[3].verdict = Verdict::Unknown;
        assert_eq!(judged(&results), Judgement::CannotTell);
    }

    #[test]
    fn a_scenario_that_could_not_be_judged_shows_no_claim_but_losses_found_stand() {
        let mut results = example::suite();
        results.scenarios.truncate(2);
        for scenario in &mut results.scenarios {
            scenario.verdict = Verdict::Unknown;
            scenario.claim = Some(Claim {
                text: String::new(),
                rate_percent: Some(0.0),
                max_per_million: None,
                of: ClaimOf::Keys,
            });
        }
        let judged: Vec<Judgement> = groups(&results)
            .iter()
            .filter_map(measure)
            .map(|measured| measured.judgement)
            .collect();
        assert_eq!(judged, [Judgement::CannotTell, Judgement::Contradicted]);
    }

    #[test]
    fn a_claim_stands_beside_its_measurement_with_what_it_is_a_rate_of() {
        let results = example::suite();
        let measured: Vec<Measured> = groups(&results).iter().filter_map(measure).collect();
        let shown: Vec<String> = measured
            .iter()
            .map(|m| format!("{} | {} | {}", m.claim, m.measured, m.in_words))
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
