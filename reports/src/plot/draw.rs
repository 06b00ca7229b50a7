//! Shapes and text on the canvas, in pixels. Without fonts at hand, widths of text are estimated
//! generously, and nothing is placed so tightly that a wider font would make it overlap.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::PlotError;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const FAINT: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Where text stands relative to its point; always centred vertically.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Left,
    Right,
    Middle,
}

/// The whole picture.
pub(super) struct Canvas<'a> {
    pub(super) area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(area: DrawingArea<SVGBackend<'a>, Shift>) -> Self {
        Canvas { area }
    }

    /// White, so that the plot is readable on a dark page too.
    pub(super) fn background(&self) -> Result<(), PlotError> {
        self.area.fill(&WHITE).map_err(PlotError::from_plotters)
    }

    pub(super) fn finish(&self) -> Result<(), PlotError> {
        self.area.present().map_err(PlotError::from_plotters)
    }

    pub(super) fn text(
        &self,
        text: &str,
        at: (i32, i32),
        size: u32,
        colour: RGBColor,
        anchor: Anchor,
    ) -> Result<(), PlotError> {
        let h_pos = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Right => HPos::Right,
            Anchor::Middle => HPos::Center,
        };
        let style = font(size).color(&colour).pos(Pos::new(h_pos, VPos::Center));
        let text = Text::new(text.to_owned(), at, style);
        self.area.draw(&text).map_err(PlotError::from_plotters)
    }

    /// A filled rectangle between two corners.
    pub(super) fn fill(
        &self,
        corners: [(i32, i32); 2],
        colour: impl Into<RGBAColor>,
    ) -> Result<(), PlotError> {
        let rectangle = Rectangle::new(corners, colour.into().filled());
        self.area.draw(&rectangle).map_err(PlotError::from_plotters)
    }

    /// The outline of a rectangle.
    pub(super) fn outline(
        &self,
        corners: [(i32, i32); 2],
        colour: impl Into<RGBAColor>,
    ) -> Result<(), PlotError> {
        let rectangle = Rectangle::new(corners, colour.into());
        self.area.draw(&rectangle).map_err(PlotError::from_plotters)
    }

    pub(super) fn line(
        &self,
        points: &[(i32, i32)],
        colour: impl Into<RGBAColor>,
        width: u32,
    ) -> Result<(), PlotError> {
        let path = PathElement::new(points.to_vec(), colour.into().stroke_width(width));
        self.area.draw(&path).map_err(PlotError::from_plotters)
    }

    /// A straight line of dashes.
    pub(super) fn dashes(
        &self,
        ends: [(i32, i32); 2],
        colour: impl Into<RGBAColor>,
        width: u32,
    ) -> Result<(), PlotError> {
        let path = DashedPathElement::new(ends, 5, 3, colour.into().stroke_width(width));
        self.area.draw(&path).map_err(PlotError::from_plotters)
    }

    /// Diagonal lines, `spacing` pixels apart, within a rectangle.
    pub(super) fn hatch(
        &self,
        [(left, top), (right, bottom)]: [(i32, i32); 2],
        spacing: i32,
        colour: impl Into<RGBAColor> + Copy,
    ) -> Result<(), PlotError> {
        let height = bottom - top;
        // A line starts at the bottom edge at `foot` and rises to the right by 45 degrees.
        let mut foot = left - height + spacing / 2;
        while foot < right {
            let from = foot.max(left);
            let to = (foot + height).min(right);
            if from < to {
                self.line(
                    &[(from, bottom - (from - foot)), (to, bottom - (to - foot))],
                    colour,
                    1,
                )?;
            }
            foot += spacing;
        }
        Ok(())
    }
}

/// The viewer's sans-serif font. Plotters divides the size by 1.24 in SVG; this undoes it.
pub(super) fn font(size: u32) -> FontDesc<'static> {
    FontDesc::new(
        FontFamily::SansSerif,
        f64::from(size) * 1.24,
        FontStyle::Normal,
    )
}

/// Width of `text` in pixels, estimated from above for common sans-serif fonts.
pub(super) fn text_width(text: &str, size: u32) -> i32 {
    (text.chars().count() as f64 * f64::from(size) * 0.64).ceil() as i32
}

/// `text`, or its start and end around an ellipsis, `limit` characters in all.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= limit {
        return text.to_owned();
    }
    let start = limit / 2;
    let end = chars.len() - (limit - start - 1);
    chars[..start]
        .iter()
        .chain(&['…'])
        .chain(&chars[end..])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_start_and_its_end() {
        assert_eq!(shortened("kill-coordinator-12", 10), "kill-…r-12");
        assert_eq!(shortened("kill-12", 10), "kill-12");
    }
}
