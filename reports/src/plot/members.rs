//! Phases of single members (shards) over time, a row for each.

use plotters::prelude::*;

use super::PlotError;
use super::axis::seconds;
use super::draw::{Anchor, INK, text_width};
use super::panel::{FAILED, INDETERMINATE, OK, TAIL};
use super::sheet::{LEFT, SMALL, TOP, column, name, sheet};
use crate::quantity::{duration, offset};
use crate::results::ScenarioResults;

const ROW: i32 = 15;
/// Rows drawn; a system may have thousands of shards.
const ROWS: usize = 80;
const LEGEND: i32 = 22;
const COLOURS: [RGBColor; 8] = [
    OK,
    TAIL,
    RGBColor(0x2e, 0x7d, 0x5b),
    INDETERMINATE,
    RGBColor(0x7a, 0x6a, 0x00),
    FAILED,
    RGBColor(0xb0, 0x44, 0x7f),
    RGBColor(0x4f, 0x6d, 0x7a),
];

pub(super) fn has(scenario: &ScenarioResults) -> bool {
    !scenario.members.is_empty()
}

pub(super) fn svg(scenario: &ScenarioResults) -> Result<String, PlotError> {
    let members = &scenario.members;
    let mut of: Vec<&str> = Vec::new();
    let mut phases: Vec<&str> = Vec::new();
    for span in members {
        if !of.contains(&span.of.as_str()) {
            of.push(&span.of);
        }
        if !phases.contains(&span.name.as_str()) {
            phases.push(&span.name);
        }
    }
    of.sort_by_key(|member| (member.parse::<u64>().unwrap_or(u64::MAX), *member));
    let left_out = of.len().saturating_sub(ROWS);
    of.truncate(ROWS);
    let start_ns = members.iter().map(|span| span.start_ns).min().unwrap_or(0);
    let end_ns = members.iter().map(|span| span.end_ns).max().unwrap_or(0);
    let length = seconds(end_ns.saturating_sub(start_ns)).max(1e-9);
    let mut note = format!(
        "from {} on, {} in all",
        offset(start_ns),
        duration(end_ns.saturating_sub(start_ns))
    );
    if left_out > 0 {
        note.push_str(&format!("; {left_out} more not drawn"));
    }
    let colour = |phase: &str| {
        let index = phases.iter().position(|known| *known == phase);
        COLOURS[index.unwrap_or(0) % COLOURS.len()]
    };
    let legends = legend_rows(&phases);
    let below = legends.len() as i32 * LEGEND;
    sheet(scenario, &note, below + ROW * of.len() as i32, |canvas| {
        for (row, entries) in legends.iter().enumerate() {
            let middle = TOP + LEGEND * row as i32 + LEGEND / 2;
            for (x, phase) in entries {
                canvas.fill([(*x, middle - 5), (x + 14, middle + 5)], colour(phase))?;
                canvas.text(phase, (x + 20, middle), SMALL, INK, Anchor::Left)?;
            }
        }
        for (row, member) in of.iter().enumerate() {
            let top = TOP + below + ROW * row as i32;
            let its = || members.iter().filter(|span| span.of == *member);
            let lane = its().next().map_or("", |span| span.lane.as_str());
            name(canvas, &format!("{lane} {member}"), top + ROW / 2)?;
            for span in its() {
                let at = |ns: u64| column(seconds(ns.saturating_sub(start_ns)) / length);
                let left = at(span.start_ns);
                let right = at(span.end_ns).max(left + 2);
                canvas.fill(
                    [(left, top + 2), (right, top + ROW - 2)],
                    colour(&span.name),
                )?;
            }
        }
        Ok(())
    })
}

/// Where each phase stands in the legend, in as many rows as it takes.
fn legend_rows<'a>(phases: &[&'a str]) -> Vec<Vec<(i32, &'a str)>> {
    let mut rows: Vec<Vec<(i32, &str)>> = vec![Vec::new()];
    let mut x = LEFT;
    for phase in phases {
        let width = 20 + text_width(phase, SMALL) + 16;
        if x + width > super::WIDTH {
            rows.push(Vec::new());
            x = LEFT;
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, phase));
        }
        x += width;
    }
    rows
}
