//! The chaos testing report in Markdown: what a release manager reads before signing.

mod escape;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;
use shakedown_checker::rate::Rate;

use crate::loss_table::{acknowledged_writes, loss_table};
use crate::results::{CheckpointResult, LossRow, ScenarioResults, SuiteResults};
use crate::{ReportError, narrative, quantity};

/// Anomalies listed per checkpoint; the others are counted.
const ANOMALIES_SHOWN: usize = 20;

/// What became of a scenario's plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlotOutcome {
    /// Written here, as a path relative to the report.
    Written(String),
    /// Not drawn or not written, for this reason.
    Failed(String),
}

/// Renders the report. `plots` are those of the scenarios, in their order; a scenario beyond the
/// end of `plots` has none.
///
/// # Errors
/// [`ReportError::Template`] if the template fails.
pub fn report(results: &SuiteResults, plots: &[PlotOutcome]) -> Result<String, ReportError> {
    let scenarios: Vec<ScenarioView<'_>> = results
        .scenarios
        .iter()
        .enumerate()
        .map(|(i, scenario)| ScenarioView::new(scenario, plots.get(i)))
        .collect();
    let losses: Vec<LossRowView> = loss_table(results)
        .into_iter()
        .map(LossRowView::from)
        .collect();
    let environment = environment()?;
    let text = environment.get_template("report.md")?.render(context! {
        results => Serde(results),
        scenarios => Serde(&scenarios),
        verdict_words => narrative::verdict_in_words(results.verdict),
        summary => narrative::summary(results),
        losses => Serde(&losses),
    })?;
    Ok(text)
}

/// A scenario with what the template cannot work out itself.
#[derive(Serialize)]
struct ScenarioView<'a> {
    #[serde(flatten)]
    scenario: &'a ScenarioResults,
    /// `11. name`, or the name alone.
    heading: String,
    plot: Option<&'a str>,
    plot_failure: Option<&'a str>,
    /// Checkpoints with something to tell: the last, and earlier ones that found anomalies.
    told: Vec<CheckpointView<'a>>,
}

impl<'a> ScenarioView<'a> {
    fn new(scenario: &'a ScenarioResults, plot: Option<&'a PlotOutcome>) -> Self {
        let last = scenario.checkpoints.len().saturating_sub(1);
        let told = scenario
            .checkpoints
            .iter()
            .enumerate()
            .map(|(i, checkpoint)| CheckpointView::new(checkpoint, i == last))
            .filter(|view| view.decides || view.has_anomalies())
            .collect();
        let heading = match scenario.number {
            Some(number) => format!("{number}. {}", scenario.name),
            None => scenario.name.clone(),
        };
        let (plot, plot_failure) = match plot {
            Some(PlotOutcome::Written(path)) => (Some(path.as_str()), None),
            Some(PlotOutcome::Failed(reason)) => (None, Some(reason.as_str())),
            None => (None, None),
        };
        ScenarioView {
            scenario,
            heading,
            plot,
            plot_failure,
            told,
        }
    }
}

/// A checkpoint with what the template cannot work out itself.
#[derive(Serialize)]
struct CheckpointView<'a> {
    checkpoint: &'a CheckpointResult,
    decides: bool,
    classes: [(&'static str, &'a Rate, &'static str); 7],
    /// Anomalies that follow the ones shown, in `results.json`.
    anomalies_in_file: usize,
}

impl<'a> CheckpointView<'a> {
    fn new(checkpoint: &'a CheckpointResult, decides: bool) -> Self {
        let loss = &checkpoint.loss;
        let classes = [
            ("lost", &loss.lost, "keys with an acknowledged write"),
            ("stale", &loss.stale, "keys with an acknowledged write"),
            (
                "resurrected",
                &loss.resurrected,
                "keys with an acknowledged write",
            ),
            ("corrupted", &loss.corrupted, "all keys"),
            ("phantom", &loss.phantom, "all keys"),
            ("misplaced", &loss.misplaced, "all keys"),
            ("left behind", &loss.left_behind, "all keys"),
        ];
        let anomalies_in_file = loss.anomalies.len().saturating_sub(ANOMALIES_SHOWN);
        CheckpointView {
            checkpoint,
            decides,
            classes,
            anomalies_in_file,
        }
    }

    fn has_anomalies(&self) -> bool {
        self.classes.iter().any(|(_, rate, _)| rate.events > 0)
            || !self.checkpoint.loss.anomalies.is_empty()
    }
}

/// A row of the loss table, its numbers in words.
#[derive(Serialize)]
struct LossRowView {
    row: LossRow,
    acknowledged_writes: String,
    lost: String,
    rate: String,
    interval: String,
}

impl From<LossRow> for LossRowView {
    fn from(row: LossRow) -> Self {
        LossRowView {
            acknowledged_writes: acknowledged_writes(&row),
            lost: quantity::events_of_trials(&row.lost),
            rate: quantity::share(&row.lost),
            interval: quantity::interval(&row.lost),
            row,
        }
    }
}

fn environment() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.add_filter("count", quantity::count);
    environment.add_filter("us", |us: u64| quantity::duration(us.saturating_mul(1_000)));
    environment.add_filter("ms", |ms: u64| {
        quantity::duration(ms.saturating_mul(1_000_000))
    });
    environment.add_filter("offset", quantity::offset);
    environment.add_filter("of", |rate: Serde<Rate>| quantity::events_of_trials(&rate));
    environment.add_filter("share", |rate: Serde<Rate>| quantity::share(&rate));
    environment.add_filter("interval", |rate: Serde<Rate>| quantity::interval(&rate));
    environment.add_function("length", |start: u64, end: u64| {
        quantity::duration(end.saturating_sub(start))
    });
    environment.add_filter("text", escape::text);
    environment.add_filter("code", escape::code);
    environment.add_filter("fence", escape::fence);
    environment.add_global("anomalies_shown", ANOMALIES_SHOWN);
    environment.add_template("report.md", include_str!("../templates/report.md.j2"))?;
    Ok(environment)
}

#[cfg(test)]
mod tests;
