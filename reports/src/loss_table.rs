//! The loss table: a row per scenario, its repetitions pooled, and for every earlier checkpoint that found losses.

use shakedown_checker::loss::LossReport;
use shakedown_checker::rate::Rate;

use crate::ReportError;
use crate::escape;
use crate::pool::{Group, groups};
use crate::quantity::{count, counted, events_of_trials, interval, share};
use crate::results::{CheckpointResult, LossRow, SuiteResults, Verdict};

/// Rows in the order the scenarios ran.
///
/// A scenario's last checkpoint always has a row. An earlier one has a row if it found losses, so
/// that a loss repaired later is still shown. A scenario without any checkpoint has a row without
/// trials (`lost.trials == 0`) and without a checkpoint name: nothing was measured, which is not a loss rate of zero.
/// A workload on objects that counts no losses has none: models judge it.
#[must_use]
pub fn loss_table(results: &SuiteResults) -> Vec<LossRow> {
    groups(results).iter().flat_map(rows).collect()
}

/// The column of acknowledged writes: `2,100`, or `not measured` for a row without a checkpoint.
pub(crate) fn acknowledged_writes(row: &LossRow) -> String {
    if row.checkpoint.is_empty() {
        return "not measured".into();
    }
    count(row.acknowledged_writes)
}

fn rows(group: &Group<'_>) -> Vec<LossRow> {
    let Some((last, earlier)) = group.checkpoints.split_last() else {
        if group.scenario.workload.is_some() {
            // Judged by models: nothing is counted as lost.
            return Vec::new();
        }
        return vec![unmeasured(group)];
    };
    let mut rows: Vec<LossRow> = earlier
        .iter()
        .filter(|checkpoint| checkpoint.loss.lost.events > 0)
        .map(|checkpoint| {
            let note = format!("at checkpoint {}; a later one decides", checkpoint.name);
            measured(group, checkpoint, note)
        })
        .collect();
    let verdict = match last.loss.lost.events {
        0 => group.verdict_in_words(),
        _ => verdict_and_expectation(group),
    };
    rows.push(measured(group, last, verdict));
    rows
}

fn measured(group: &Group<'_>, checkpoint: &CheckpointResult, first: String) -> LossRow {
    let mut note = vec![first];
    note.extend(other_anomalies(&checkpoint.loss).map(|found| format!("also {found}")));
    note.extend(explanation(group, checkpoint));
    if !checkpoint.loss.incomplete_sources.is_empty() {
        note.push("final read incomplete".into());
    }
    LossRow {
        configuration: group.scenario.configuration.clone(),
        scenario: group.scenario.name.clone(),
        checkpoint: checkpoint.name.clone(),
        runs: group.runs.len() as u32,
        acknowledged_writes: checkpoint.loss.acknowledged_writes,
        lost: checkpoint.loss.lost,
        at_risk: checkpoint.explained.as_ref().and_then(|e| e.at_risk),
        note: note.join("; "),
    }
}

fn unmeasured(group: &Group<'_>) -> LossRow {
    LossRow {
        configuration: group.scenario.configuration.clone(),
        scenario: group.scenario.name.clone(),
        checkpoint: String::new(),
        runs: group.runs.len() as u32,
        acknowledged_writes: 0,
        lost: Rate::default(),
        at_risk: None,
        note: format!(
            "{}; no final reads were taken",
            verdict_and_expectation(group)
        ),
    }
}

/// For rows that need it to be understood: a loss may be what is expected.
fn verdict_and_expectation(group: &Group<'_>) -> String {
    format!(
        "{} (expected: {})",
        group.verdict_in_words(),
        group.scenario.expectation
    )
}

/// Findings other than `lost` that a row must not keep quiet about.
pub(crate) fn other_anomalies(loss: &LossReport) -> Option<String> {
    let counts = &loss.counts;
    let found: Vec<String> = [
        (counts.stale, "stale", "stale"),
        (counts.resurrected, "resurrected", "resurrected"),
        (counts.corrupted, "corrupted", "corrupted"),
        (counts.phantom, "phantom", "phantom"),
        (counts.misplaced, "misplaced", "misplaced"),
        (counts.left_behind, "left behind", "left behind"),
        (loss.foreign, "foreign document", "foreign documents"),
        (loss.unjudged_keys, "key not judged", "keys not judged"),
        (loss.impossible_reads, "impossible read", "impossible reads"),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, one, many)| counted(n, one, many))
    .collect();
    (!found.is_empty()).then(|| found.join(", "))
}

fn explanation(group: &Group<'_>, checkpoint: &CheckpointResult) -> Option<String> {
    let explained = checkpoint.explained.as_ref()?;
    if explained.unexplained.is_empty() && explained.found_alive.is_empty() {
        let keys = counted(explained.explained, "loss", "losses");
        let risk = explained.at_risk.map_or_else(String::new, |rate| {
            let documents = counted(rate.trials, "document", "documents");
            format!(
                ": {} ({}) of {documents} at risk",
                share(&rate),
                interval(&rate)
            )
        });
        return (explained.explained > 0)
            .then(|| format!("{keys} accounted for by the records{risk}"));
    }
    let untold = explained.unexplained.is_empty() && group.verdict() == Verdict::Unknown;
    // What would have lost them may never have run.
    let text = if untold {
        "losses that the records predict did not come about"
    } else {
        "losses and records disagree"
    };
    Some(text.into())
}

/// As a Markdown table.
#[must_use]
pub fn as_markdown(rows: &[LossRow]) -> String {
    let mut text = "| configuration | scenario | runs | writes acknowledged | keys lost | rate | 95 % interval | note |\n|---|---|---:|---:|---:|---:|---|---|\n".to_owned();
    for row in rows {
        let cells = [
            escape::text(&row.configuration),
            escape::text(&row.scenario),
            row.runs.to_string(),
            acknowledged_writes(row),
            events_of_trials(&row.lost),
            share(&row.lost),
            interval(&row.lost),
            escape::text(&row.note),
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// As comma-separated values with a header, after RFC 4180. Shares are numbers from 0 to 1; they are empty
/// where nothing was measured.
#[must_use]
pub fn as_csv(rows: &[LossRow]) -> String {
    let mut text = "configuration,scenario,checkpoint,runs,acknowledged_writes,keys_lost,keys,rate,low,high,at_risk_harmed,at_risk,note\r\n".to_owned();
    for row in rows {
        let risk = row.at_risk.filter(|rate| rate.trials > 0);
        let measured = row.lost.trials > 0;
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let cells = [
            quoted(&row.configuration),
            quoted(&row.scenario),
            quoted(&row.checkpoint),
            row.runs.to_string(),
            row.acknowledged_writes.to_string(),
            row.lost.events.to_string(),
            row.lost.trials.to_string(),
            number(row.lost.share()),
            number(measured.then_some(row.lost.low)),
            number(measured.then_some(row.lost.high)),
            risk.map_or(String::new(), |rate| rate.events.to_string()),
            risk.map_or(String::new(), |rate| rate.trials.to_string()),
            quoted(&row.note),
        ];
        text.push_str(&format!("{}\r\n", cells.join(",")));
    }
    text
}

/// As a JSON list of [`LossRow`]s.
///
/// # Errors
/// [`ReportError`] if serialising fails.
pub fn as_json(rows: &[LossRow]) -> Result<String, ReportError> {
    Ok(format!("{}\n", serde_json::to_string_pretty(rows)?))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn a_loss_repaired_later_keeps_its_own_row() {
        let rows = loss_table(&example::suite());
        let repaired: Vec<_> = rows
            .iter()
            .filter(|row| row.scenario == "cutover_chaos_skip_delta_with_ae")
            .map(|row| (row.checkpoint.as_str(), row.lost.events))
            .collect();
        assert_eq!(repaired, [("after-cutover", 58), ("final", 0)]);
    }

    #[test]
    fn a_scenario_without_final_reads_has_a_row_without_a_rate() {
        let rows = loss_table(&example::suite());
        let row = rows
            .iter()
            .find(|row| row.scenario.ends_with("blocked"))
            .unwrap();
        assert_eq!(row.lost.trials, 0);
        assert!(
            row.note.ends_with("no final reads were taken"),
            "{}",
            row.note
        );
    }

    #[test]
    fn the_table_has_three_forms() {
        let rows = loss_table(&example::suite());
        insta::assert_snapshot!("loss_table_md", as_markdown(&rows));
        insta::assert_snapshot!("loss_table_csv", as_csv(&rows).replace('\r', ""));
        let read: Vec<LossRow> = serde_json::from_str(&as_json(&rows).unwrap()).unwrap();
        assert_eq!(read.len(), rows.len());
    }

    #[test]
    fn quotes_and_commas_stay_within_their_cell() {
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
    }

    #[test]
    fn a_row_tells_of_anomalies_other_than_losses() {
        let mut results = example::suite();
        let last = results.scenarios[0].checkpoints.last_mut().unwrap();
        last.loss.counts.resurrected = 3;
        last.loss
            .incomplete_sources
            .push(("n2".into(), "connection refused".into()));
        let note = &loss_table(&results)[0].note;
        assert!(note.contains("also 3 resurrected"), "{note}");
        assert!(note.ends_with("final read incomplete"), "{note}");
    }

    #[test]
    fn losses_the_records_do_not_explain_are_said_to_disagree() {
        let mut results = example::suite();
        let scenario = results
            .scenarios
            .iter_mut()
            .find(|s| s.number == Some(11))
            .unwrap();
        let last = scenario.checkpoints.last_mut().unwrap();
        last.explained.as_mut().unwrap().unexplained.push(5);
        let row = loss_table(&results)
            .into_iter()
            .find(|row| row.scenario.contains("no_ae_no_delta") && row.lost.events > 0)
            .unwrap();
        assert!(
            row.note.contains("losses and records disagree"),
            "{}",
            row.note
        );
    }
}
