//! From text to a scenario, with errors that name file, line and column.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Scenario;
use crate::system::System;

/// Why a scenario or system file was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("{file}:{line}:{column}: {message}\n{excerpt}")]
    Malformed {
        /// File name, or `embedded:NAME`.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong and what was expected.
        message: String,
        /// The line with a caret below it.
        excerpt: String,
    },
    /// Nothing goes by that name.
    #[error(
        "no scenario, suite or file named `{name}`; `shakedown list` shows what there is{hint}"
    )]
    NotFound {
        /// As given.
        name: String,
        /// `; did you mean ...?` or nothing.
        hint: String,
    },
}

impl ScenarioError {
    /// An error at a place in a file.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = span.start.min(text.len());
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[line_start..].lines().next().unwrap_or("");
        let line = text[..line_start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;
        let width = text[start..span.end.min(line_start + line_text.len()).max(start)]
            .chars()
            .count()
            .max(1);
        let gutter = line.to_string();
        let excerpt = format!(
            "{gutter} | {line_text}\n{} | {}{}",
            " ".repeat(gutter.len()),
            " ".repeat(column - 1),
            "^".repeat(width)
        );
        ScenarioError::Malformed {
            file: file.to_owned(),
            line,
            column,
            message: message.into(),
            excerpt,
        }
    }
}

/// Parses TOML, turning an error into one that names file, line and column.
///
/// # Errors
/// [`ScenarioError::Malformed`].
pub(crate) fn toml_at<T: serde::de::DeserializeOwned>(
    file: &str,
    text: &str,
) -> Result<T, ScenarioError> {
    toml::from_str(text).map_err(|error| {
        ScenarioError::at(
            file,
            text,
            error.span().unwrap_or(0..0),
            error.message().trim(),
        )
    })
}

impl Scenario {
    /// Parses and validates a scenario against the systems known.
    ///
    /// # Errors
    /// [`ScenarioError::Malformed`], with the place.
    pub fn parse(file: &str, text: &str, systems: &[System]) -> Result<Self, ScenarioError> {
        let scenario: Scenario = toml_at(file, text)?;
        scenario
            .validate(systems)
            .map_err(|problem| ScenarioError::at(file, text, problem.span, problem.message))?;
        Ok(scenario)
    }

    /// Reads, parses and validates a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError::Read`] and [`ScenarioError::Malformed`].
    pub fn read(path: &Path, systems: &[System]) -> Result<(Self, String), ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Read {
            path: path.to_owned(),
            source,
        })?;
        let scenario = Self::parse(&path.display().to_string(), &text, systems)?;
        Ok((scenario, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../scenarios/cutover_chaos_with_anti_entropy.toml");

    /// What a person sees who changed `from` to `to` in a scenario that is otherwise fine.
    fn error_after(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "the scenario has no {from:?}");
        let systems = System::embedded().unwrap();
        Scenario::parse("my.toml", &GOOD.replacen(from, to, 1), &systems)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_misspelt_key_is_shown_with_its_place_and_what_was_expected() {
        insta::assert_snapshot!(error_after("count = 1000", "cuont = 1000"));
    }

    #[test]
    fn a_wrong_type_is_shown_with_its_place_and_what_was_expected() {
        insta::assert_snapshot!(error_after("count = 1000", "count = \"many\""));
    }

    #[test]
    fn broken_toml_is_shown_with_its_place() {
        insta::assert_snapshot!(error_after("[[action]]", "[[action"));
    }

    #[test]
    fn a_trigger_on_an_item_that_does_not_exist_lists_those_that_do() {
        insta::assert_snapshot!(error_after("after = \"preload\"", "after = \"prelaod\""));
    }

    #[test]
    fn a_trigger_with_two_conditions_is_refused() {
        insta::assert_snapshot!(error_after(
            "when = { at = \"0s\" }",
            "when = { at = \"0s\", after_ops = 5 }"
        ));
    }

    #[test]
    fn a_phase_the_system_does_not_have_lists_those_it_has() {
        insta::assert_snapshot!(error_after("after = \"preload\"", "phase = \"cutover\""));
    }

    #[test]
    fn an_impossible_probability_is_refused() {
        insta::assert_snapshot!(error_after("probability = 0.02", "probability = 2"));
    }

    #[test]
    fn a_fault_on_a_role_that_does_not_exist_is_refused() {
        insta::assert_snapshot!(error_after("nodes = \"joining\"", "nodes = \"joinign\""));
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        insta::assert_snapshot!(error_after("at = \"0s\"", "at = \"10\""));
    }

    #[test]
    fn an_unknown_system_lists_those_there_are() {
        insta::assert_snapshot!(error_after("system = \"miroir\"", "system = \"mirror\""));
    }
}
