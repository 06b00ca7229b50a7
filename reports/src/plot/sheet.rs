//! A picture with a title and rows below it, the frame of every picture but the timeline.

use plotters::prelude::*;

use super::axis::RIGHT;
use super::dark::follow_viewer;
use super::draw::{self, Anchor, Canvas, FAINT};
use super::{PlotError, TITLE, WIDTH};
use crate::results::ScenarioResults;

/// Left edge of the drawing area, pixels; names stand in the margin.
pub(super) const LEFT: i32 = 250;
/// Characters of a name that fit the margin.
pub(super) const NAME_LENGTH: usize = 34;
pub(super) const SMALL: u32 = 11;

/// Draws a picture `rows` high, with a title and a note on how to read it.
pub(super) fn sheet(
    scenario: &ScenarioResults,
    note: &str,
    height: i32,
    draw: impl FnOnce(&Canvas<'_>) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let size = (WIDTH as u32, (TITLE + 18 + height + 10) as u32);
        let backend = SVGBackend::with_string(&mut svg, size);
        let canvas = Canvas::new(backend.into_drawing_area());
        canvas.background()?;
        let name = draw::shortened(&scenario.name, 80);
        canvas.text(&name, (10, 16), 16, draw::INK, Anchor::Left)?;
        canvas.text(note, (10, TITLE + 4), SMALL, FAINT, Anchor::Left)?;
        draw(&canvas)?;
        canvas.finish()?;
    }
    Ok(follow_viewer(&svg))
}

/// Top of the first row, pixels.
pub(super) const TOP: i32 = TITLE + 18;

/// The name of a row in the margin.
pub(super) fn name(canvas: &Canvas<'_>, text: &str, middle: i32) -> Result<(), PlotError> {
    let text = draw::shortened(text, NAME_LENGTH);
    canvas.text(&text, (LEFT - 8, middle), SMALL, draw::INK, Anchor::Right)
}

/// The pixel column of a share of the width.
pub(super) fn column(share: f64) -> i32 {
    LEFT + (share.clamp(0.0, 1.0) * f64::from(RIGHT - LEFT)).round() as i32
}
