//! What the report says, worked out from the results once, for every form it is rendered in.

mod advice;
mod scenario;
mod tables;

use serde::Serialize;

use self::advice::SystemView;
pub(crate) use self::advice::measured_advice;
use self::scenario::ScenarioView;
use self::tables::{EdgeCase, FaultKind, LossRowView, RaceRow, coverage, fault_kinds, race};
use crate::claims::{self, Measured};
use crate::glance::{self, Answer};
use crate::loss_table::loss_table;
use crate::narrative;
use crate::picture::Picture;
use crate::pool::groups;
use crate::results::SuiteResults;

/// Anomalies and their operations listed per checkpoint; the others are counted.
pub(crate) const ANOMALIES_SHOWN: usize = 20;

/// Everything the templates need.
#[derive(Serialize)]
pub(crate) struct Facts<'a> {
    results: &'a SuiteResults,
    verdict_words: &'static str,
    answers: Vec<Answer>,
    summary: String,
    claims: Vec<Measured>,
    coverage: Vec<(&'static str, String)>,
    fault_kinds: Vec<FaultKind>,
    /// Windows of the phase lane in which writes were lost, over all scenarios and checkpoints.
    race: Vec<RaceRow>,
    losses: Vec<LossRowView>,
    edge_cases: Vec<EdgeCase>,
    systems: Vec<SystemView<'a>>,
    scenarios: Vec<ScenarioView<'a>>,
}

impl<'a> Facts<'a> {
    /// `pictures` are those of the scenarios, in their order.
    pub(crate) fn new(results: &'a SuiteResults, pictures: &'a [Vec<Picture>]) -> Self {
        let groups = groups(results);
        let none: &[Picture] = &[];
        let of = |i: usize| pictures.get(i).map_or(none, Vec::as_slice);
        Facts {
            results,
            verdict_words: narrative::verdict_in_words(results.verdict),
            answers: glance::answers(results),
            summary: narrative::summary(results),
            claims: groups.iter().filter_map(claims::measure).collect(),
            coverage: coverage(results),
            fault_kinds: fault_kinds(results),
            race: race(results),
            losses: loss_table(results).into_iter().map(Into::into).collect(),
            edge_cases: groups.iter().filter_map(EdgeCase::of).collect(),
            systems: results
                .systems
                .iter()
                .map(|notes| SystemView::new(notes, &groups))
                .collect(),
            scenarios: results
                .scenarios
                .iter()
                .enumerate()
                .map(|(i, scenario)| ScenarioView::new(scenario, of(i)))
                .collect(),
        }
    }
}
