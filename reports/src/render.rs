//! Puts every report of a run into its directory.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{self, UnwindSafe};
use std::path::{Path, PathBuf};

use crate::ReportError;
use crate::markdown::{self, PlotOutcome};
use crate::plot::{self, PlotError};
use crate::results::{ScenarioResults, SuiteResults};
use crate::results_file::{self, write_atomically};

/// File name of the report within a run directory.
pub const REPORT_NAME: &str = "report.md";
/// Directory of the plots within a run directory.
pub const PLOTS_NAME: &str = "plots";

/// Writes `results.json`, `plots/<scenario>.svg` and `report.md` into `dir`, each atomically, and
/// returns the path of the report. The results are written before anything is rendered. A plot
/// that fails is missing, and the report says why.
///
/// # Errors
/// [`ReportError`] if the results or the report cannot be written or rendered.
pub fn render_run(results: &SuiteResults, dir: &Path) -> Result<PathBuf, ReportError> {
    results_file::save(results, &dir.join(results_file::FILE_NAME))?;
    render_report(results, &dir.join(REPORT_NAME), PLOTS_NAME)
}

/// Writes the report to `report`, and its plots into the directory `plots` beside it (a relative
/// path with `/`). For a report kept elsewhere than in its run directory.
///
/// # Errors
/// [`ReportError`] if the report cannot be written or rendered.
pub fn render_report(
    results: &SuiteResults,
    report: &Path,
    plots: &str,
) -> Result<PathBuf, ReportError> {
    let dir = report.parent().unwrap_or(Path::new(""));
    let outcomes: Vec<PlotOutcome> = results
        .scenarios
        .iter()
        .zip(plot_names(&results.scenarios))
        .map(|(scenario, name)| {
            let relative = format!("{plots}/{name}.svg");
            match write_plot(scenario, &dir.join(&relative)) {
                Ok(()) => PlotOutcome::Written(relative),
                Err(reason) => PlotOutcome::Failed(reason),
            }
        })
        .collect();
    let text = markdown::report(results, &outcomes)?;
    write_atomically(report, text.as_bytes())?;
    Ok(report.into())
}

/// Draws and writes one plot, or says why not.
fn write_plot(scenario: &ScenarioResults, path: &Path) -> Result<(), String> {
    let svg = drawn(|| plot::timeline_svg(scenario))?;
    write_atomically(path, svg.as_bytes()).map_err(|error| chain(&error))
}

/// What `draw` draws, or why it does not. Even a panic of the drawing library is only a reason:
/// a plot must never cost the report.
fn drawn(draw: impl FnOnce() -> Result<String, PlotError> + UnwindSafe) -> Result<String, String> {
    panic::catch_unwind(draw)
        .map_err(|payload| format!("the drawing library panicked: {}", panic_message(&*payload)))?
        .map_err(|error| chain(&error))
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A file name for each scenario's plot: its name, anything unusual replaced by `_`, and made
/// unique by a number if the same scenario ran twice.
fn plot_names(scenarios: &[ScenarioResults]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(scenarios.len());
    for scenario in scenarios {
        let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let base: String = scenario
            .name
            .chars()
            .map(|c| if usual(c) { c } else { '_' })
            .collect();
        let mut name = base.clone();
        let mut copy = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}-{copy}");
            copy += 1;
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::example;

    #[test]
    fn a_run_directory_gets_results_report_and_a_plot_per_scenario() {
        let dir = tempfile::tempdir().unwrap();
        let results = example::suite();
        let report = render_run(&results, dir.path()).unwrap();
        assert_eq!(report, dir.path().join("report.md"));
        let text = fs::read_to_string(&report).unwrap();
        for scenario in &results.scenarios {
            let plot = format!("plots/{}.svg", scenario.name);
            assert!(text.contains(&format!("({plot})")), "{plot}");
            assert!(
                fs::read_to_string(dir.path().join(plot))
                    .unwrap()
                    .ends_with("</svg>\n")
            );
        }
        assert_eq!(
            results_file::load(&dir.path().join("results.json")).unwrap(),
            results
        );
    }

    #[test]
    fn a_plot_that_cannot_be_written_costs_neither_report_nor_verdict() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("plots"), "in the way").unwrap();
        let report = render_run(&example::suite(), dir.path()).unwrap();
        let text = fs::read_to_string(report).unwrap();
        assert!(
            text.starts_with("# Chaos testing report for demo: INVALID"),
            "{text}"
        );
        let reason = "**The plot failed**: cannot write";
        assert_eq!(text.matches(reason).count(), 6);
        assert!(dir.path().join("results.json").is_file());
    }

    #[test]
    fn a_panic_while_drawing_is_only_a_reason() {
        let reason = drawn(|| panic!("no such {}", "font")).unwrap_err();
        assert_eq!(reason, "the drawing library panicked: no such font");
    }

    #[test]
    fn a_scenario_that_ran_twice_has_two_plots() {
        let mut scenarios = example::suite().scenarios;
        scenarios.truncate(3);
        scenarios[0].name = "a/b c".into();
        scenarios[1].name = "a/b c".into();
        scenarios[2].name = "..".into();
        assert_eq!(plot_names(&scenarios), ["a_b_c", "a_b_c-2", ".."]);
    }
}
