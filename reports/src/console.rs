//! The summary a terminal shows at the end of a run: plain text, no colour, no paths.

use std::fmt::Write;

use crate::loss_table::{acknowledged_writes, loss_table};
use crate::narrative;
use crate::quantity::{counted, duration, events_of_trials, interval, share};
use crate::results::{ScenarioResults, SuiteResults, Verdict};

/// Verdicts, what did not hold, and the loss table in aligned columns. Ends with a newline.
#[must_use]
pub fn summary(results: &SuiteResults) -> String {
    let mut text = format!("{}\n", narrative::title(results));
    if results.interrupted {
        text.push_str("interrupted: what had not run yet is missing below\n");
    }
    text.push('\n');
    text.push_str(&verdicts(&results.scenarios));
    let losses = losses(results);
    if !losses.is_empty() {
        text.push_str(&format!("\n{losses}"));
    }
    text
}

fn verdicts(scenarios: &[ScenarioResults]) -> String {
    let mut text = String::new();
    for scenario in scenarios {
        let number = scenario.number.map_or(String::new(), |n| n.to_string());
        let repetition = scenario
            .repetition
            .map_or(String::new(), |n| format!(", repetition {n}"));
        let took = duration(scenario.duration_ms.saturating_mul(1_000_000));
        let _ = writeln!(
            text,
            "{:<7} {number:>3}  {}{repetition} ({took})",
            scenario.verdict, scenario.name
        );
        for check in scenario
            .checks
            .iter()
            .filter(|check| check.verdict != Verdict::Valid)
        {
            let _ = writeln!(
                text,
                "{:14}{}: {}: {}",
                "",
                check.verdict,
                check.name,
                one_line(&check.detail)
            );
        }
        for model in &scenario.models {
            let operations = counted(model.judged_operations, "operation", "operations");
            let _ = writeln!(
                text,
                "{:14}model {} ({}): {}, {operations}",
                "",
                model.model,
                model.verdict,
                one_line(&model.reason)
            );
        }
        if let Some(error) = &scenario.harness_error {
            let _ = writeln!(text, "{:14}harness error: {}", "", one_line(error));
        }
    }
    text
}

fn losses(results: &SuiteResults) -> String {
    let mut rows = vec![
        [
            "#",
            "configuration",
            "acked writes",
            "keys lost",
            "rate",
            "95 % interval",
            "note",
        ]
        .map(String::from),
    ];
    for row in loss_table(results) {
        let nothing = row.lost.trials == 0;
        let cell = |text: String| if nothing { "-".into() } else { text };
        let number = results
            .scenarios
            .iter()
            .find(|s| s.name == row.scenario)
            .and_then(|s| s.number);
        rows.push([
            number.map_or_else(|| row.scenario.clone(), |n| n.to_string()),
            one_line(&row.configuration),
            cell(acknowledged_writes(&row)),
            cell(events_of_trials(&row.lost)),
            cell(share(&row.lost)),
            cell(interval(&row.lost)),
            one_line(&row.note),
        ]);
    }
    // No row but the header: models judged all there is.
    if rows.len() == 1 && !results.scenarios.is_empty() {
        return String::new();
    }
    aligned(&rows)
}

/// Columns padded to their widest cell: words to the left, numbers to the right; the last ragged.
fn aligned(rows: &[[String; 7]]) -> String {
    const RIGHT: [bool; 7] = [true, false, true, true, true, false, false];
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = widths[column];
            let _ = match (column, RIGHT[column]) {
                (6, _) => write!(line, "{cell}"),
                (_, true) => write!(line, "{cell:>pad$}  "),
                (_, false) => write!(line, "{cell:<pad$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn a_run_is_summed_up_for_the_terminal() {
        insta::assert_snapshot!(summary(&example::suite()));
    }

    #[test]
    fn an_interruption_is_said_on_the_second_line() {
        let mut results = example::suite();
        results.interrupted = true;
        assert!(
            summary(&results)
                .lines()
                .nth(1)
                .unwrap()
                .starts_with("interrupted")
        );
    }
}
