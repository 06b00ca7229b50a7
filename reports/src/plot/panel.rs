//! The two panels of curves: operations per second, and latency on a logarithmic scale.

use std::ops::Range;

use plotters::prelude::*;

use super::axis::{LEFT, RIGHT, TimeAxis};
use super::curve::{self, Area, Chart, Look, Style, curve, runs};
use super::draw::{Anchor, Canvas, FAINT, GRID, INK, font, text_width};
use super::{CURVES, LEGEND, PlotError, TIME_LABELS, WIDTH};
use crate::quantity::count;
use crate::results::TimelinePoint;

pub(super) const OK: RGBColor = RGBColor(0x00, 0x5f, 0xa8);
pub(super) const FAILED: RGBColor = RGBColor(0xc0, 0x1c, 0x1c);
pub(super) const INDETERMINATE: RGBColor = RGBColor(0x8a, 0x4f, 0x9e);
pub(super) const TAIL: RGBColor = RGBColor(0xa6, 0x5e, 0x00);

/// Operations by outcome. `top` is the upper edge of the panel, pixels.
pub(super) fn throughput(
    canvas: &Canvas<'_>,
    axis: &TimeAxis,
    timeline: &[TimelinePoint],
    top: i32,
) -> Result<(), PlotError> {
    let ok = (OK, Look::Solid);
    let failed = (FAILED, Look::Crosses);
    let indeterminate = (INDETERMINATE, Look::Circles);
    let legend = [
        ("ok", ok),
        ("failed", failed),
        ("indeterminate", indeterminate),
    ];
    draw_legend(canvas, "Operations per second", &legend, top + LEGEND / 2)?;
    let outcomes = |p: &TimelinePoint| p.ok.max(p.failed).max(p.indeterminate);
    let most = timeline.iter().map(outcomes).max().unwrap_or(0);
    let label = |value: &f64| {
        if value.fract() == 0.0 {
            count(*value as u64)
        } else {
            String::new()
        }
    };
    let area = panel_area(canvas, top, 0);
    let mut chart = chart(&area, axis, 0.0..f64::from(most.max(1)) * 1.08, 5, &label)?;

    let base = Some(0.0);
    let any = |n: u32| (n > 0).then(|| f64::from(n));
    for run in runs(timeline, axis, base, |p| any(p.ok)) {
        let shade = AreaSeries::new(run, 0.0, OK.mix(0.15));
        chart.draw_series(shade).map_err(PlotError::from_plotters)?;
    }
    curve(
        &mut chart,
        axis,
        &runs(timeline, axis, base, |p| any(p.ok)),
        ok,
    )?;
    curve(
        &mut chart,
        axis,
        &runs(timeline, axis, base, |p| any(p.failed)),
        failed,
    )?;
    curve(
        &mut chart,
        axis,
        &runs(timeline, axis, base, |p| any(p.indeterminate)),
        indeterminate,
    )?;
    if most == 0 {
        let at = ((LEFT + RIGHT) / 2, top + LEGEND + CURVES / 2);
        canvas.text("no operations were recorded", at, 13, FAINT, Anchor::Middle)?;
    }
    Ok(())
}

/// Median and 99th percentile. `top` is the upper edge of the panel, pixels.
pub(super) fn latency(
    canvas: &Canvas<'_>,
    axis: &TimeAxis,
    timeline: &[TimelinePoint],
    top: i32,
) -> Result<(), PlotError> {
    let (median, tail) = ((OK, Look::Solid), (TAIL, Look::Dashed));
    draw_legend(
        canvas,
        "Latency",
        &[("p50", median), ("p99", tail)],
        top + LEGEND / 2,
    )?;
    let known = |us: u64| (us > 0).then(|| (us as f64).log10());
    let values: Vec<f64> = timeline
        .iter()
        .flat_map(|p| [p.p50_us, p.p99_us])
        .filter_map(known)
        .collect();
    let lowest = values
        .iter()
        .copied()
        .min_by(f64::total_cmp)
        .unwrap_or(2.0)
        .floor();
    let highest = values
        .iter()
        .copied()
        .max_by(f64::total_cmp)
        .unwrap_or(5.0)
        .ceil();
    let highest = highest.max(lowest + 1.0);
    // The axis counts decades of microseconds; only whole ones have a label.
    let label = |decade: &f64| {
        let whole = decade.round();
        if (decade - whole).abs() < 1e-6 {
            power_of_ten(whole)
        } else {
            String::new()
        }
    };
    let area = panel_area(canvas, top, TIME_LABELS);
    let decades = (highest - lowest) as usize + 1;
    let mut chart = chart(&area, axis, lowest..highest, decades, &label)?;
    curve(
        &mut chart,
        axis,
        &runs(timeline, axis, None, |p| known(p.p50_us)),
        median,
    )?;
    curve(
        &mut chart,
        axis,
        &runs(timeline, axis, None, |p| known(p.p99_us)),
        tail,
    )
}

/// The part of the canvas that holds a panel's curves and labels, below its legend.
fn panel_area<'a>(canvas: &Canvas<'a>, top: i32, labels: i32) -> Area<'a> {
    canvas
        .area
        .clone()
        .shrink((0, top + LEGEND), (WIDTH, CURVES + labels))
}

/// Axes and grid. The curves cover exactly the columns of the time axis.
fn chart<'a, 'b>(
    area: &'b Area<'a>,
    axis: &TimeAxis,
    range: Range<f64>,
    labels: usize,
    label: &dyn Fn(&f64) -> String,
) -> Result<Chart<'a, 'b>, PlotError> {
    let below = area.dim_in_pixel().1 as i32 - CURVES;
    let mut chart = ChartBuilder::on(area)
        .margin_right(WIDTH - RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, below)
        .build_cartesian_2d(0.0..axis.end, range)
        .map_err(PlotError::from_plotters)?;
    chart
        .configure_mesh()
        .x_labels(9)
        .y_labels(labels)
        .max_light_lines(0)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .label_style(font(11).color(&INK))
        .x_label_formatter(&|time| axis.label(*time))
        .y_label_formatter(label)
        .draw()
        .map_err(PlotError::from_plotters)?;
    Ok(chart)
}

/// The panel's name and what its curves stand for, on one line above it.
fn draw_legend(
    canvas: &Canvas<'_>,
    name: &str,
    curves: &[(&str, Style)],
    middle: i32,
) -> Result<(), PlotError> {
    const SIZE: u32 = 12;
    canvas.text(name, (LEFT, middle), SIZE, INK, Anchor::Left)?;
    let mut x = LEFT + text_width(name, SIZE) + 16;
    for (name, style) in curves {
        curve::sample(canvas, *style, (x, middle))?;
        x += curve::SAMPLE_WIDTH + 6;
        canvas.text(name, (x, middle), SIZE, INK, Anchor::Left)?;
        x += text_width(name, SIZE) + 16;
    }
    Ok(())
}

/// `10^exponent` microseconds: `100 µs`, `10 ms`, `1 s`.
pub(super) fn power_of_ten(exponent: f64) -> String {
    let exponent = exponent as u32;
    let (unit, base) = match exponent {
        0..3 => ("µs", 0),
        3..6 => ("ms", 3),
        _ => ("s", 6),
    };
    format!("{} {unit}", count(10_u64.saturating_pow(exponent - base)))
}
