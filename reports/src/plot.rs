//! Pictures of a scenario as SVG. The timeline has phases, faults and checkpoints in rows above throughput and
//! latency, all on one time axis; the others are a title and rows below it.

mod axis;
mod band;
mod curve;
mod dark;
mod draw;
mod gauges;
pub(crate) mod losses;
mod members;
mod panel;
mod quantiles;
mod row;
mod sheet;

use plotters::prelude::*;
use thiserror::Error;

use crate::quantity::duration;
use crate::results::ScenarioResults;
use axis::TimeAxis;
use draw::{Anchor, Canvas};

const WIDTH: i32 = 1000;
/// Pixels above the first row, for the title.
const TITLE: i32 = 34;
/// Height of a row for a phase, fault or checkpoint.
const ROW: i32 = 16;
/// Height of a panel: its legend, the curves, and the labels of the time axis.
const LEGEND: i32 = 26;
const CURVES: i32 = 150;
const TIME_LABELS: i32 = 30;
const PANEL: i32 = LEGEND + CURVES;

/// A plot could not be drawn.
#[derive(Debug, Error)]
#[error("cannot draw the timeline: {0}")]
pub struct PlotError(String);

impl PlotError {
    /// What plotters says; its own error types are generic over the backend.
    fn from_plotters(error: impl std::fmt::Display) -> Self {
        PlotError(error.to_string())
    }
}

/// A kind of picture.
pub(crate) struct Kind {
    pub(crate) title: &'static str,
    /// What it shows, for those who do not see it; followed by the scenario's name.
    pub(crate) alt: &'static str,
    /// Added to the scenario's name for the file's name.
    pub(crate) suffix: &'static str,
    /// Whether there is anything to draw.
    pub(crate) has: fn(&ScenarioResults) -> bool,
    pub(crate) draw: fn(&ScenarioResults) -> Result<String, PlotError>,
}

/// Every kind, in the order in which a report shows them.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        title: "Timeline",
        alt: "Throughput and latency by second, with phases, faults and checkpoints,",
        suffix: "",
        has: |_| true,
        draw: timeline_svg,
    },
    Kind {
        title: "Phases by member",
        alt: "Phases of each member (shard) over time",
        suffix: "-members",
        has: members::has,
        draw: members::svg,
    },
    Kind {
        title: "Latency around faults",
        alt: "Latency quantiles before, during and after each fault",
        suffix: "-latency",
        has: quantiles::has,
        draw: quantiles::svg,
    },
    Kind {
        title: "Losses by phase",
        alt: "Losses by the phase in which the deciding write was invoked",
        suffix: "-losses",
        has: losses::has_phases,
        draw: losses::by_phase_svg,
    },
    Kind {
        title: "Losses by fault",
        alt: "Losses by when an element was acknowledged: in each fault, and outside of faults",
        suffix: "-faults",
        has: losses::has_faults,
        draw: losses::by_fault_svg,
    },
    Kind {
        title: "Losses by group",
        alt: "Losses by group (shard)",
        suffix: "-groups",
        has: losses::has_groups,
        draw: losses::by_group_svg,
    },
    Kind {
        title: "Measurements of the system",
        alt: "Measurements of the system over time",
        suffix: "-gauges",
        has: gauges::has_others,
        draw: gauges::others_svg,
    },
    Kind {
        title: "Memory",
        alt: "Memory of each service over time",
        suffix: "-memory",
        has: gauges::has_memory,
        draw: gauges::memory_svg,
    },
];

/// Draws the timeline of `scenario`: 1000 pixels wide, about 560 high, more with many phases and
/// faults. Text is left to the viewer's own sans-serif font.
///
/// # Errors
/// [`PlotError`] if the drawing library fails.
pub fn timeline_svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    let axis = TimeAxis::of(scenario);
    let rows = row::rows(scenario);
    let panels_top = TITLE + ROW * rows.len() as i32;
    let height = panels_top + 2 * PANEL + TIME_LABELS;
    let mut svg = String::new();
    {
        let backend = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32));
        let canvas = Canvas::new(backend.into_drawing_area());
        canvas.background()?;
        title(&canvas, scenario)?;
        let panels = [panels_top + LEGEND, panels_top + PANEL + LEGEND];
        for (i, row) in rows.iter().enumerate() {
            let top = TITLE + ROW * i as i32;
            band::draw_row(&canvas, &axis, row, top, ROW)?;
            for curves_top in panels {
                band::draw_behind_curves(&canvas, &axis, row, curves_top, CURVES)?;
            }
        }
        panel::throughput(&canvas, &axis, &scenario.timeline, panels_top)?;
        panel::latency(&canvas, &axis, &scenario.timeline, panels_top + PANEL)?;
        canvas.finish()?;
    }
    Ok(dark::follow_viewer(&svg))
}

fn title(canvas: &Canvas<'_>, scenario: &ScenarioResults) -> Result<(), PlotError> {
    let number = scenario
        .number
        .map_or(String::new(), |number| format!("{number}. "));
    let name = draw::shortened(&format!("{number}{}", scenario.name), 80);
    canvas.text(&name, (10, 16), 16, draw::INK, Anchor::Left)?;
    let took = duration(scenario.duration_ms.saturating_mul(1_000_000));
    let outcome = format!("{}, {took}", scenario.verdict);
    canvas.text(&outcome, (axis::RIGHT, 16), 14, draw::INK, Anchor::Right)
}

#[cfg(test)]
mod tests;
