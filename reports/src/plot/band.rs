//! Draws rows as bars above the curves, and as bands and lines behind them.

use plotters::prelude::*;

use super::PlotError;
use super::axis::{LEFT, RIGHT, TimeAxis, seconds};
use super::draw::{Anchor, Canvas, FAINT, INK, shortened, text_width};
use super::row::{Kind, Row};

const PHASE: RGBColor = RGBColor(0x5b, 0x84, 0xb1);
const FAULT: RGBColor = RGBColor(0xb2, 0x3a, 0x1e);
/// The narrowest bar, so that a phase of a millisecond is still seen.
const NARROWEST: i32 = 4;
const NAME_SIZE: u32 = 11;
/// Characters of a name that fit the margin.
const NAME_LENGTH: usize = 25;

/// The row's name in the margin, its bars, and its note beside them.
pub(super) fn draw_row(
    canvas: &Canvas<'_>,
    axis: &TimeAxis,
    row: &Row,
    top: i32,
    height: i32,
) -> Result<(), PlotError> {
    let middle = top + height / 2;
    canvas.line(
        &[(LEFT, top + height), (RIGHT, top + height)],
        BLACK.mix(0.07),
        1,
    )?;
    let (name, colour) = match row.kind {
        Kind::Phase => (row.name.clone(), INK),
        Kind::Fault => (format!("fault {}", row.name), FAULT),
        Kind::Checkpoint => (format!("checkpoint {}", row.name), INK),
    };
    let name = shortened(&name, NAME_LENGTH);
    canvas.text(&name, (LEFT - 8, middle), NAME_SIZE, colour, Anchor::Right)?;

    let bars: Vec<(i32, i32)> = row.spans.iter().map(|span| columns(axis, *span)).collect();
    for (left, right) in &bars {
        let corners = [(*left, top + 3), (*right, top + height - 3)];
        match row.kind {
            Kind::Phase => canvas.fill(corners, PHASE)?,
            Kind::Fault => {
                canvas.fill(corners, FAULT.mix(if row.certain { 0.25 } else { 0.0 }))?;
                canvas.hatch(corners, 5, FAULT)?;
                canvas.outline(corners, FAULT)?;
            }
            Kind::Checkpoint => {
                let x = (left + right) / 2;
                canvas.line(&[(x, top + 2), (x, top + height - 2)], INK, 3)?;
            }
        }
    }
    draw_note(canvas, &row.note, &bars, middle)
}

/// Right of the last bar, or left of the first, or not at all where there is no room.
fn draw_note(
    canvas: &Canvas<'_>,
    note: &str,
    bars: &[(i32, i32)],
    middle: i32,
) -> Result<(), PlotError> {
    const GAP: i32 = 5;
    let first = bars.iter().map(|(left, _)| *left).min().unwrap_or(LEFT);
    let last = bars.iter().map(|(_, right)| *right).max().unwrap_or(LEFT);
    let width = text_width(note, NAME_SIZE);
    if last + GAP + width <= RIGHT {
        canvas.text(note, (last + GAP, middle), NAME_SIZE, FAINT, Anchor::Left)
    } else if first - GAP - width >= LEFT {
        canvas.text(note, (first - GAP, middle), NAME_SIZE, FAINT, Anchor::Right)
    } else {
        Ok(())
    }
}

/// What a row means for the curves: a tint while a fault lasts, a line where a phase begins, a
/// dashed line at a checkpoint.
pub(super) fn draw_behind_curves(
    canvas: &Canvas<'_>,
    axis: &TimeAxis,
    row: &Row,
    top: i32,
    height: i32,
) -> Result<(), PlotError> {
    for span in &row.spans {
        let (left, right) = columns(axis, *span);
        let start = axis.x(seconds(span.0));
        match row.kind {
            Kind::Phase => {
                canvas.line(&[(start, top), (start, top + height)], PHASE.mix(0.6), 1)?
            }
            Kind::Fault => {
                let corners = [(left, top), (right, top + height)];
                canvas.fill(corners, FAULT.mix(0.07))?;
                canvas.hatch(corners, 16, FAULT.mix(0.18))?;
            }
            Kind::Checkpoint => canvas.dashes([(start, top), (start, top + height)], INK, 1)?,
        }
    }
    Ok(())
}

/// The pixel columns a span covers, widened to be seen but kept within the axis.
fn columns(axis: &TimeAxis, (start, end): (u64, u64)) -> (i32, i32) {
    let left = axis.x(seconds(start)).min(RIGHT - NARROWEST);
    let right = axis.x(seconds(end)).max(left + NARROWEST);
    (left, right)
}
