//! Latency quantiles before, during and after each fault, on a logarithmic scale.

use super::PlotError;
use super::axis::RIGHT;
use super::draw::{Anchor, FAINT, GRID, INK};
use super::panel::{OK, TAIL, power_of_ten};
use super::sheet::{LEFT, SMALL, TOP, column, name, sheet};
use crate::quantity::{duration, share};
use crate::results::ScenarioResults;

const ROW: i32 = 17;
/// Faults drawn; storms have hundreds.
const FAULTS: usize = 12;
/// Room for the error rate right of the bars, as a share of the width.
const BARS: f64 = 0.66;
const LABELS: i32 = 20;

pub(super) fn has(scenario: &ScenarioResults) -> bool {
    !scenario.availability.is_empty()
}

pub(super) fn svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    let faults = &scenario.availability[..scenario.availability.len().min(FAULTS)];
    let rows: Vec<_> = faults
        .iter()
        .flat_map(|fault| {
            [
                (format!("before {}", fault.fault), &fault.before),
                (format!("during {}", fault.fault), &fault.during),
                (format!("after {}", fault.fault), &fault.after),
            ]
        })
        .collect();
    let known = rows.iter().map(|(_, period)| period).filter(|p| p.ok > 0);
    let values = known.flat_map(|p| [p.latency.p50_us.max(1), p.latency.max_us.max(1)]);
    let decades: Vec<f64> = values.map(|us| (us as f64).log10()).collect();
    let lowest = decades.iter().copied().fold(6.0, f64::min).floor();
    let highest = decades.iter().copied().fold(lowest + 1.0, f64::max).ceil();
    let x = |us: u64| {
        let decade = (us.max(1) as f64).log10();
        column((decade - lowest) / (highest - lowest) * BARS)
    };
    let mut note = "thick: median to 99th percentile, tick: 90th, thin: to the longest".to_owned();
    if scenario.availability.len() > FAULTS {
        note.push_str(&format!(
            "; the first {FAULTS} faults of {}",
            scenario.availability.len()
        ));
    }
    let height = ROW * rows.len() as i32 + LABELS;
    sheet(scenario, &note, height, |canvas| {
        let bottom = TOP + ROW * rows.len() as i32;
        let mut decade = lowest;
        while decade <= highest {
            let at = column((decade - lowest) / (highest - lowest) * BARS);
            canvas.line(&[(at, TOP), (at, bottom)], GRID, 1)?;
            let text = power_of_ten(decade);
            canvas.text(&text, (at, bottom + 11), SMALL, FAINT, Anchor::Middle)?;
            decade += 1.0;
        }
        for (i, (label, period)) in rows.iter().enumerate() {
            let middle = TOP + ROW * i as i32 + ROW / 2;
            name(canvas, label, middle)?;
            if i % 3 == 0 && i > 0 {
                let y = TOP + ROW * i as i32;
                canvas.line(&[(LEFT, y), (RIGHT, y)], GRID, 1)?;
            }
            let latency = &period.latency;
            let errors = format!("errors {}", share(&period.errors));
            let text = if period.ok == 0 {
                format!("no success, {errors}")
            } else {
                let bar = [
                    (x(latency.p50_us), middle - 4),
                    (x(latency.p99_us), middle + 4),
                ];
                canvas.line(
                    &[(x(latency.p50_us), middle), (x(latency.max_us), middle)],
                    OK,
                    1,
                )?;
                canvas.fill(bar, OK)?;
                let tick = x(latency.p90_us);
                canvas.line(&[(tick, middle - 6), (tick, middle + 6)], TAIL, 2)?;
                let [p50, p99] = [latency.p50_us, latency.p99_us].map(|us| duration(us * 1_000));
                format!("p50 {p50}, p99 {p99}, {errors}")
            };
            canvas.text(&text, (RIGHT + 26, middle), SMALL, INK, Anchor::Right)?;
        }
        Ok(())
    })
}
