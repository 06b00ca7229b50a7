//! Pictures of a scenario: drawn once, linked by one form of the report and embedded by another.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{self, UnwindSafe};
use std::path::Path;

use serde::Serialize;

use crate::drawing::drawings;
use crate::plot::{self, PlotError};
use crate::results::ScenarioResults;

/// One picture, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// Heading above it.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub alt: String,
    /// Path of its file, relative to the report.
    pub path: String,
    /// The SVG; empty if it could not be drawn.
    pub svg: String,
    /// Why it is missing from the report; empty if it is not.
    pub failure: String,
}

/// The pictures of every scenario, as [`pictures`] draws them, and after them the drawings that its models made,
/// from the run directory `run`.
#[must_use]
pub fn pictures_and_drawings(
    scenarios: &[ScenarioResults],
    run: &Path,
    directory: &str,
) -> Vec<Vec<Picture>> {
    let mut all = pictures(scenarios, directory);
    let named = scenarios.iter().zip(file_names(scenarios));
    for (pictures, (scenario, name)) in all.iter_mut().zip(named) {
        pictures.extend(drawings(scenario, run, directory, &name));
    }
    all
}

/// Draws the pictures of every scenario; `directory` is where their files will be, relative to the report.
/// A picture that fails says why: it must never cost the report.
#[must_use]
pub fn pictures(scenarios: &[ScenarioResults], directory: &str) -> Vec<Vec<Picture>> {
    let names = file_names(scenarios);
    let named = scenarios.iter().zip(names);
    named
        .map(|(scenario, name)| {
            let kinds = plot::KINDS.iter().filter(|kind| (kind.has)(scenario));
            kinds
                .map(|kind| {
                    let (svg, failure) = match drawn(|| (kind.draw)(scenario)) {
                        Ok(svg) => (svg, String::new()),
                        Err(reason) => (String::new(), reason),
                    };
                    Picture {
                        title: kind.title.to_owned(),
                        alt: format!("{} of {}", kind.alt, scenario.name),
                        path: format!("{directory}/{name}{}.svg", kind.suffix),
                        svg,
                        failure,
                    }
                })
                .collect()
        })
        .collect()
}

/// What `draw` draws, or why it does not. Even a panic of the drawing library is only a reason.
fn drawn(draw: impl FnOnce() -> Result<String, PlotError> + UnwindSafe) -> Result<String, String> {
    panic::catch_unwind(draw)
        .map_err(|payload| format!("the drawing library panicked: {}", panic_message(&*payload)))?
        .map_err(|error| error.to_string())
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// A file name for each scenario: its name and repetition, anything unusual replaced by `_`, and made
/// unique by a number if the same scenario ran twice.
fn file_names(scenarios: &[ScenarioResults]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(scenarios.len());
    for scenario in scenarios {
        let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let mut base: String = scenario
            .name
            .chars()
            .map(|c| if usual(c) { c } else { '_' })
            .collect();
        if let Some(repetition) = scenario.repetition {
            base.push_str(&format!("-rep-{repetition:02}"));
        }
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
    use super::*;
    use crate::example;

    #[test]
    fn a_panic_while_drawing_is_only_a_reason() {
        let reason = drawn(|| panic!("no such {}", "font")).unwrap_err();
        assert_eq!(reason, "the drawing library panicked: no such font");
    }

    #[test]
    fn a_scenario_that_ran_twice_has_pictures_of_its_own_each_time() {
        let mut scenarios = example::suite().scenarios;
        scenarios.truncate(4);
        scenarios[0].name = "a/b c".into();
        scenarios[1].name = "a/b c".into();
        scenarios[2].name = "..".into();
        scenarios[3].name = "d".into();
        assert_eq!(
            file_names(&scenarios),
            ["a_b_c", "a_b_c-2", "..", "d-rep-01"]
        );
    }
}
