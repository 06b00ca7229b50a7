//! Curves by the second: steps over runs of seconds that have a value, each look told apart
//! without colour.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::PlotError;
use super::axis::TimeAxis;
use super::draw::Canvas;
use crate::results::TimelinePoint;

/// Width of a curve's sample in a legend, pixels.
pub(super) const SAMPLE_WIDTH: i32 = 28;

/// Pixels between two markers of a curve, at least.
const MARKER_SPACING: i32 = 14;
const MARKER_SIZE: i32 = 3;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Chart<'a, 'b> =
    ChartContext<'b, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Colour and look of a curve.
pub(super) type Style = (RGBColor, Look);

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// A thick line.
    Solid,
    /// A thick dashed line.
    Dashed,
    /// A thin line with crosses.
    Crosses,
    /// A thin line with circles.
    Circles,
}

/// One run of consecutive seconds, as the corners of its steps.
pub(super) type Run = Vec<(f64, f64)>;

/// The runs of consecutive seconds with a value, as steps one second wide. With a `base`, a run
/// rises from it and falls back to it.
pub(super) fn runs(
    timeline: &[TimelinePoint],
    axis: &TimeAxis,
    base: Option<f64>,
    value: impl Fn(&TimelinePoint) -> Option<f64>,
) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut next_second = None;
    for point in timeline {
        let Some(value) = value(point) else { continue };
        let start = f64::from(point.second);
        let end = (start + 1.0).min(axis.end);
        if next_second != Some(point.second) {
            runs.push(base.map(|base| (start, base)).into_iter().collect());
        }
        next_second = point.second.checked_add(1);
        if let Some(run) = runs.last_mut() {
            run.extend([(start, value), (end, value)]);
        }
    }
    if let Some(base) = base {
        for run in &mut runs {
            let end = run.last().map_or(0.0, |(end, _)| *end);
            run.push((end, base));
        }
    }
    runs
}

/// Draws runs in their style, with markers in the middle of seconds where it has them.
pub(super) fn curve(
    chart: &mut Chart<'_, '_>,
    axis: &TimeAxis,
    runs: &[Run],
    (colour, look): Style,
) -> Result<(), PlotError> {
    let thick = colour.stroke_width(2);
    for run in runs {
        let run = run.clone();
        let drawn = match look {
            Look::Solid => chart.draw_series(LineSeries::new(run, thick)).map(drop),
            Look::Dashed => chart
                .draw_series(DashedLineSeries::new(run, 6, 4, thick))
                .map(drop),
            Look::Crosses | Look::Circles => {
                chart.draw_series(LineSeries::new(run, colour)).map(drop)
            }
        };
        drawn.map_err(PlotError::from_plotters)?;
    }
    let at = markers(runs, axis);
    let drawn = match look {
        Look::Solid | Look::Dashed => Ok(()),
        Look::Crosses => {
            let cross = |at| Cross::new(at, MARKER_SIZE, colour.stroke_width(2));
            chart.draw_series(at.into_iter().map(cross)).map(drop)
        }
        Look::Circles => {
            let circle = |at| Circle::new(at, MARKER_SIZE, colour.stroke_width(2));
            chart.draw_series(at.into_iter().map(circle)).map(drop)
        }
    };
    drawn.map_err(PlotError::from_plotters)
}

/// The middles of steps, thinned so that markers stay apart.
fn markers(runs: &[Run], axis: &TimeAxis) -> Vec<(f64, f64)> {
    let mut markers = Vec::new();
    let mut last = i32::MIN;
    // The level parts of steps are where two corners differ in time.
    for corners in runs
        .iter()
        .flat_map(|run| run.windows(2))
        .filter(|c| c[0].0 < c[1].0)
    {
        let middle = (corners[0].0 + corners[1].0) / 2.0;
        let x = axis.x(middle);
        if x >= last.saturating_add(MARKER_SPACING) {
            markers.push((middle, corners[1].1));
            last = x;
        }
    }
    markers
}

/// What a curve looks like, for a legend; `at` is the middle of its left end.
pub(super) fn sample(
    canvas: &Canvas<'_>,
    (colour, look): Style,
    (left, middle): (i32, i32),
) -> Result<(), PlotError> {
    let ends = [(left, middle), (left + SAMPLE_WIDTH, middle)];
    let centre = (left + SAMPLE_WIDTH / 2, middle);
    let thick = colour.stroke_width(2);
    match look {
        Look::Solid => canvas.line(&ends, colour, 2),
        Look::Dashed => canvas.dashes(ends, colour, 2),
        Look::Crosses => {
            canvas.line(&ends, colour, 1)?;
            let cross = Cross::new(centre, MARKER_SIZE, thick);
            canvas.area.draw(&cross).map_err(PlotError::from_plotters)
        }
        Look::Circles => {
            canvas.line(&ends, colour, 1)?;
            let circle = Circle::new(centre, MARKER_SIZE, thick);
            canvas.area.draw(&circle).map_err(PlotError::from_plotters)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: u32, ok: u32) -> TimelinePoint {
        TimelinePoint {
            second,
            ok,
            failed: 0,
            indeterminate: 0,
            p50_us: 0,
            p99_us: 0,
        }
    }

    fn ok(point: &TimelinePoint) -> Option<f64> {
        (point.ok > 0).then(|| f64::from(point.ok))
    }

    #[test]
    fn a_second_without_operations_interrupts_the_curve() {
        let axis = TimeAxis { end: 4.0 };
        let timeline = [point(0, 5), point(1, 0), point(3, 7)];
        let expected = [vec![(0.0, 5.0), (1.0, 5.0)], vec![(3.0, 7.0), (4.0, 7.0)]];
        assert_eq!(runs(&timeline, &axis, None, ok), expected);
    }

    #[test]
    fn a_run_with_a_base_starts_and_ends_there() {
        let axis = TimeAxis { end: 0.5 };
        let expected = [vec![(0.0, 0.0), (0.0, 5.0), (0.5, 5.0), (0.5, 0.0)]];
        assert_eq!(runs(&[point(0, 5)], &axis, Some(0.0), ok), expected);
    }

    #[test]
    fn markers_keep_their_distance() {
        let axis = TimeAxis { end: 600.0 };
        let timeline: Vec<_> = (0..600).map(|second| point(second, 1)).collect();
        let columns: Vec<i32> = markers(&runs(&timeline, &axis, Some(0.0), ok), &axis)
            .iter()
            .map(|(seconds, _)| axis.x(*seconds))
            .collect();
        assert!(columns.len() > 40);
        assert!(
            columns
                .windows(2)
                .all(|pair| pair[1] - pair[0] >= MARKER_SPACING)
        );
    }
}
