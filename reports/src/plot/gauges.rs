//! Measurements of the system over time, a strip for each: memory, repairs, ...

use super::PlotError;
use super::axis::{RIGHT, seconds};
use super::draw::{Anchor, FAINT, GRID};
use super::panel::OK;
use super::sheet::{LEFT, SMALL, TOP, column, name, sheet};
use crate::quantity::{count, duration};
use crate::results::{GaugeSeries, ScenarioResults};

/// Height of a strip and of its curve, pixels.
const STRIP: i32 = 56;
const CURVE: i32 = 38;
/// Room for the figures right of a curve.
const FIGURES: f64 = 0.84;

/// Memory is sampled by the harness itself, under names that begin so.
fn is_memory(gauge: &GaugeSeries) -> bool {
    gauge.name.starts_with("memory ")
}

pub(super) fn has_memory(scenario: &ScenarioResults) -> bool {
    scenario.gauges.iter().any(is_memory)
}

/// What stayed at zero is no picture.
fn is_other(gauge: &GaugeSeries) -> bool {
    !is_memory(gauge) && gauge.points.iter().any(|(_, value)| *value != 0.0)
}

pub(super) fn has_others(scenario: &ScenarioResults) -> bool {
    scenario.gauges.iter().any(is_other)
}

pub(super) fn memory_svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    strips(scenario, is_memory)
}

pub(super) fn others_svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    strips(scenario, is_other)
}

fn strips(
    scenario: &ScenarioResults,
    chosen: impl Fn(&GaugeSeries) -> bool,
) -> Result<String, PlotError> {
    let gauges: Vec<&GaugeSeries> = scenario.gauges.iter().filter(|g| chosen(g)).collect();
    let points = || gauges.iter().flat_map(|gauge| &gauge.points);
    let end_ns = points().map(|(at, _)| *at).max().unwrap_or(0).max(1);
    let note = format!(
        "from 0 to {} of the run; each strip from zero to its highest value",
        duration(end_ns)
    );
    sheet(scenario, &note, STRIP * gauges.len() as i32, |canvas| {
        for (i, gauge) in gauges.iter().enumerate() {
            let base = TOP + STRIP * i as i32 + CURVE + 8;
            name(canvas, &gauge.name, base - CURVE / 2)?;
            canvas.line(&[(LEFT, base), (column(FIGURES), base)], GRID, 1)?;
            let highest = gauge.points.iter().map(|(_, v)| *v).fold(0.0, f64::max);
            let place = |(at, value): &(u64, f64)| {
                let x = column(seconds(*at) / seconds(end_ns) * FIGURES);
                let share = if highest > 0.0 { value / highest } else { 0.0 };
                (x, base - (share.max(0.0) * f64::from(CURVE)).round() as i32)
            };
            let curve: Vec<(i32, i32)> = gauge.points.iter().map(place).collect();
            canvas.line(&curve, OK, 2)?;
            let last = gauge.points.last().map_or(0.0, |(_, value)| *value);
            for (line, figure) in [("highest", highest), ("last", last)].iter().enumerate() {
                let text = format!("{} {} {}", figure.0, rounded(figure.1), gauge.unit);
                let y = base - CURVE + 10 + 16 * line as i32;
                canvas.text(&text, (RIGHT + 26, y), SMALL, FAINT, Anchor::Right)?;
            }
        }
        Ok(())
    })
}

fn rounded(value: f64) -> String {
    if value.fract() == 0.0 || value >= 1_000.0 {
        count(value.round().max(0.0) as u64)
    } else {
        format!("{value:.2}")
    }
}
