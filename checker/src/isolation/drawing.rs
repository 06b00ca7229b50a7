//! A cycle drawn: its transactions below one another, and why each precedes the next.

use std::fmt::Write;

use super::anomaly::{Anomaly, Form};
use super::cases::Case;
use super::dictionary::Dictionary;
use super::graph::Edge;
use super::transactions::Transactions;
use super::words;

const LEFT: usize = 20;
const BOX: usize = 480;
const WIDTH: usize = 1040;
const LINE: usize = 17;
const GAP: usize = 46;
/// Transactions drawn at most.
const MAX_TXNS: usize = 12;
/// Operations drawn of each at most.
const MAX_OPS: usize = 8;
/// Where the line that closes the circle runs.
const BEND: usize = LEFT + BOX + 46;

/// Draws a cycle as an SVG document; `None` if the case is none.
pub fn draw(
    history: &Transactions,
    names: &Dictionary,
    class: Anomaly,
    case: &Case,
    lists: bool,
) -> Option<String> {
    let cycle = case.cycle.as_ref()?;
    let reasons: Vec<&str> = case.text.lines().collect();
    let shown = &cycle.steps[..cycle.steps.len().min(MAX_TXNS)];
    let left_out = cycle.steps.len() - shown.len();
    let mut body = String::new();
    let mut tops = Vec::new();
    let mut y = 2 * LINE + 8;
    for (at, step) in shown.iter().enumerate() {
        let mut lines = vec![words::heading(history, step.txn)];
        let ops = history.ops(step.txn);
        let some = ops.iter().take(MAX_OPS);
        lines.extend(some.map(|op| words::operation(history, names, op, lists)));
        if ops.len() > MAX_OPS {
            lines.push(format!("and {} more", ops.len() - MAX_OPS));
        }
        let height = lines.len() * LINE + 10;
        let _ = writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{BOX}\" height=\"{height}\" rx=\"5\" fill=\"#f4f6f8\" stroke=\"#455a64\"/>"
        );
        for (row, line) in lines.iter().enumerate() {
            let weight = if row == 0 {
                " font-weight=\"bold\""
            } else {
                ""
            };
            let below = y + (row + 1) * LINE;
            let place = (LEFT + 10, below, LEFT + BOX);
            text(&mut body, place, "#111", weight, line);
        }
        tops.push((y, height));
        y += height;
        let last = at + 1 == shown.len();
        if !last || left_out > 0 {
            let reason = reasons.get(at).copied().unwrap_or_default();
            arrow_down(&mut body, y, step.edge, class, reason);
            y += GAP;
        }
        if last && left_out > 0 {
            let more = format!("{left_out} more transactions");
            let place = (LEFT + 10, y + LINE, LEFT + BOX);
            text(&mut body, place, "#555", "", &more);
            tops.push((y, LINE + 10));
            y += LINE + 10;
        }
    }
    let first = tops.first()?;
    let last = tops.last()?;
    let closing = cycle.steps.last()?;
    let reason = reasons.last().copied().unwrap_or_default();
    arrow_back(
        &mut body,
        first.0 + 12,
        last.0 + last.1 / 2,
        closing.edge,
        class,
        reason,
    );
    let height = y + LINE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let title = format!("{class}: {}", class.meaning());
    let bold = " font-weight=\"bold\"";
    text(&mut svg, (LEFT, LINE, WIDTH), "#b00020", bold, &title);
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    Some(svg)
}

fn arrow_down(body: &mut String, y: usize, edge: Edge, class: Anomaly, reason: &str) {
    let (x, from, to) = (LEFT + 30, y + 2, y + GAP - 2);
    let _ = writeln!(
        body,
        "<line x1=\"{x}\" y1=\"{from}\" x2=\"{x}\" y2=\"{0}\" stroke=\"{1}\" stroke-width=\"2\"{2}/><path d=\"M{3} {0}H{4}L{x} {to}z\" fill=\"{1}\"/>",
        to - 10,
        colour(edge),
        dash(edge),
        x - 6,
        x + 6,
    );
    label(body, (x + 14, y + GAP / 2 - 4, BEND), edge, class, reason);
}

fn arrow_back(
    body: &mut String,
    top: usize,
    bottom: usize,
    edge: Edge,
    class: Anomaly,
    reason: &str,
) {
    let right = LEFT + BOX;
    let _ = writeln!(
        body,
        "<path d=\"M{right} {bottom}H{BEND}V{top}H{0}\" fill=\"none\" stroke=\"{1}\" stroke-width=\"2\"{2}/><path d=\"M{0} {3}V{4}L{5} {top}z\" fill=\"{1}\"/>",
        right + 12,
        colour(edge),
        dash(edge),
        top - 6,
        top + 6,
        right + 2,
    );
    label(
        body,
        (BEND + 12, (top + bottom) / 2, WIDTH),
        edge,
        class,
        reason,
    );
}

/// Where a text begins, and where it must end.
type Place = (usize, usize, usize);

fn label(body: &mut String, (x, y, end): Place, edge: Edge, class: Anomaly, reason: &str) {
    let bold = " font-weight=\"bold\"";
    text(body, (x, y, end), colour(edge), bold, short(edge, class));
    text(body, (x, y + LINE - 2, end), "#333", "", reason);
}

fn short(edge: Edge, class: Anomaly) -> &'static str {
    match (edge, class) {
        (Edge::Ww, _) => "ww: overwritten",
        (Edge::Wr, _) => "wr: read",
        (Edge::Rw, _) => "rw: missed",
        (_, Anomaly::Cycle(_, Form::Process)) => "same process",
        _ => "real time",
    }
}

fn colour(edge: Edge) -> &'static str {
    match edge {
        Edge::Ww => "#1565c0",
        Edge::Wr => "#2e7d32",
        Edge::Rw => "#c62828",
        Edge::Order | Edge::On => "#6a1b9a",
    }
}

fn dash(edge: Edge) -> &'static str {
    match edge {
        Edge::Rw => " stroke-dasharray=\"6 4\"",
        Edge::Order | Edge::On => " stroke-dasharray=\"2 3\"",
        Edge::Ww | Edge::Wr => "",
    }
}

fn text(svg: &mut String, (x, y, end): Place, fill: &str, style: &str, content: &str) {
    let _ = write!(svg, "<text x=\"{x}\" y=\"{y}\" fill=\"{fill}\"{style}>");
    // A character takes up to six and a half pixels, mostly less.
    let most = (end - x) * 2 / 13;
    for (at, character) in content.chars().enumerate() {
        match character {
            _ if at == most => {
                svg.push('…');
                break;
            }
            '<' => svg.push_str("&lt;"),
            '>' => svg.push_str("&gt;"),
            '&' => svg.push_str("&amp;"),
            control if control.is_control() => svg.push('\u{fffd}'),
            other => svg.push(other),
        }
    }
    svg.push_str("</text>\n");
}
