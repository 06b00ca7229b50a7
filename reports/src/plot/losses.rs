//! Losses by the phase in which the deciding write was invoked, and by group (shard).

use plotters::prelude::*;
use shakedown_checker::loss::WindowLoss;

use super::PlotError;
use super::axis::RIGHT;
use super::draw::{Anchor, INK};
use super::panel::FAILED;
use super::sheet::{LEFT, SMALL, TOP, column, name, sheet};
use crate::quantity::{events_of_trials, share};
use crate::results::{CheckpointResult, GroupLoss, ScenarioResults};

const ROW: i32 = 20;
/// Share of the width for bars; figures stand right of it.
const BARS: f64 = 0.62;
const NONE: RGBColor = RGBColor(0xe3, 0xed, 0xe7);
const FEW: RGBColor = RGBColor(0xf6, 0xd5, 0xcc);
const MANY: RGBColor = RGBColor(0xe8, 0x91, 0x7a);
/// Of a group that failed at its second owner and lost nothing.
const SPARED: RGBColor = RGBColor(0xf5, 0xe9, 0xc4);
const CELL: (i32, i32) = (75, 54);
const COLUMNS: usize = 12;
/// A group that lost at least this share is drawn as one that lost much.
const MUCH: f64 = 0.05;

/// The checkpoint at which most was lost.
fn worst(scenario: &ScenarioResults) -> Option<&CheckpointResult> {
    let checkpoints = scenario.checkpoints.iter();
    checkpoints.max_by_key(|checkpoint| checkpoint.loss.lost.events)
}

/// The windows of these lanes that anything can be said about.
fn windows<'a>(checkpoint: &'a CheckpointResult, lanes: &[&str]) -> Vec<&'a WindowLoss> {
    let windows = checkpoint.loss.windows.iter();
    windows
        .filter(|window| lanes.contains(&window.lane.as_str()) && window.lost.trials > 0)
        .collect()
}

const PHASES: &[&str] = &["phase"];
const FAULTS: &[&str] = &["fault", "outside"];

fn lossy(scenario: &ScenarioResults, lanes: &[&str]) -> bool {
    worst(scenario)
        .is_some_and(|worst| worst.loss.lost.events > 0 && !windows(worst, lanes).is_empty())
}

pub(super) fn has_phases(scenario: &ScenarioResults) -> bool {
    lossy(scenario, PHASES)
}

/// Elements of a set are told by the faults in which they were acknowledged.
pub(super) fn has_faults(scenario: &ScenarioResults) -> bool {
    scenario.workload.is_some() && lossy(scenario, FAULTS)
}

pub(super) fn by_phase_svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    by_window_svg(
        scenario,
        PHASES,
        "keys lost of those last written in the phase",
    )
}

pub(super) fn by_fault_svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    by_window_svg(scenario, FAULTS, "elements lost of those acknowledged then")
}

fn by_window_svg(
    scenario: &ScenarioResults,
    lanes: &[&str],
    what: &str,
) -> Result<String, PlotError> {
    let (checkpoint, windows) = match worst(scenario) {
        Some(worst) => (worst.name.as_str(), windows(worst, lanes)),
        None => ("", Vec::new()),
    };
    let highest = windows.iter().map(|w| w.lost.high).fold(1e-9, f64::max);
    let note = format!("at checkpoint {checkpoint}: {what}; line: 95 % interval");
    sheet(scenario, &note, ROW * windows.len() as i32, |canvas| {
        for (i, window) in windows.iter().enumerate() {
            let middle = TOP + ROW * i as i32 + ROW / 2;
            name(canvas, &window.name, middle)?;
            let at = |rate: f64| column(rate / highest * BARS);
            let rate = window.lost.share().unwrap_or(0.0);
            canvas.fill([(LEFT, middle - 6), (at(rate), middle + 6)], MANY)?;
            canvas.line(
                &[
                    (at(window.lost.low), middle),
                    (at(window.lost.high), middle),
                ],
                FAILED,
                1,
            )?;
            for end in [window.lost.low, window.lost.high] {
                canvas.line(&[(at(end), middle - 4), (at(end), middle + 4)], FAILED, 1)?;
            }
            let text = format!(
                "{} ({})",
                events_of_trials(&window.lost),
                share(&window.lost)
            );
            canvas.text(&text, (RIGHT + 26, middle), SMALL, INK, Anchor::Right)?;
        }
        Ok(())
    })
}

pub(super) fn has_groups(scenario: &ScenarioResults) -> bool {
    scenario.groups.iter().any(concerned)
}

/// Whether a group was in danger, or came to harm.
pub(crate) fn concerned(group: &GroupLoss) -> bool {
    group.failed_at_second_owner.is_some() || group.lost.events + group.otherwise_wrong > 0
}

pub(super) fn by_group_svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    let groups: Vec<_> = scenario.groups.iter().filter(|g| concerned(g)).collect();
    let rows = groups.len().div_ceil(COLUMNS) as i32;
    let note = format!(
        "each group (shard) that was in danger: lost / acknowledged keys, and share of writes that failed at the second owner{}",
        match scenario.groups.len() - groups.len() {
            0 => String::new(),
            others => format!("; {others} others lost nothing"),
        }
    );
    sheet(scenario, &note, CELL.1 * rows + 4, |canvas| {
        for (i, group) in groups.iter().enumerate() {
            let left = 40 + CELL.0 * (i % COLUMNS) as i32;
            let top = TOP + CELL.1 * (i / COLUMNS) as i32;
            let colour = match group.lost.share() {
                Some(share) if share >= MUCH => MANY,
                Some(share) if share > 0.0 => FEW,
                _ if group.failed_at_second_owner.is_some_and(|f| f.events > 0) => SPARED,
                _ => NONE,
            };
            let corners = [(left + 2, top + 2), (left + CELL.0 - 2, top + CELL.1 - 2)];
            canvas.fill(corners, colour)?;
            let middle = left + CELL.0 / 2;
            canvas.text(&group.group, (middle, top + 13), SMALL, INK, Anchor::Middle)?;
            let figure = format!("{}/{}", group.lost.events, group.lost.trials);
            canvas.text(&figure, (middle, top + 27), SMALL, INK, Anchor::Middle)?;
            if let Some(failed) = &group.failed_at_second_owner {
                canvas.text(
                    &share(failed),
                    (middle, top + 41),
                    SMALL,
                    INK,
                    Anchor::Middle,
                )?;
            }
        }
        Ok(())
    })
}
