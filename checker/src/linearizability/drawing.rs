//! A violation drawn: who did what when, and the ways that lead nowhere.

use std::fmt::Write;

use super::explanation::{Concerned, Explanation, numbers};

const LEFT: usize = 90;
const WIDTH: usize = 900;
const ROW: usize = 30;
const LINE: usize = 18;
/// How wide a character of a label is, at most.
const CHARACTER: usize = 7;
/// Operations drawn at most: the last ones.
const MAX_BARS: usize = 60;

/// Draws an explanation as an SVG document. Moments are drawn by rank, not to scale: only their order
/// matters.
pub fn draw(explanation: &Explanation) -> String {
    let bars = &explanation.operations;
    let bars = &bars[bars.len().saturating_sub(MAX_BARS)..];
    let mut processes: Vec<i64> = bars.iter().map(|bar| bar.process).collect();
    processes.sort_unstable();
    processes.dedup();
    let mut moments: Vec<u32> = bars
        .iter()
        .flat_map(|bar| [Some(bar.call), bar.ret])
        .flatten()
        .collect();
    moments.sort_unstable();
    let place = |moment: u32| {
        let rank = moments.partition_point(|&other| other < moment);
        LEFT + (rank + 1) * WIDTH / (moments.len() + 2)
    };
    let lines = explanation.configurations.len() + 2;
    let height = 3 * LINE + processes.len() * ROW + lines * LINE;
    let mut svg = String::new();
    let mut put = |part: String| {
        svg.push_str(&part);
        svg.push('\n');
    };
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{height}\" viewBox=\"0 0 {total} {height}\" font-family=\"sans-serif\" font-size=\"12\">",
        total = LEFT + WIDTH + 10,
    ));
    put("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>".to_owned());
    put(text(10, LINE, "#b00020", &explanation.reason));
    for (row, process) in processes.iter().enumerate() {
        let y = 2 * LINE + row * ROW + ROW / 2;
        put(text(10, y + 4, "#555", &format!("process {process}")));
        let mut own: Vec<_> = bars.iter().filter(|bar| bar.process == *process).collect();
        own.sort_by_key(|bar| bar.call);
        for (at, bar) in own.iter().enumerate() {
            let next = own
                .get(at + 1)
                .map_or(LEFT + WIDTH, |next| place(next.call));
            put(draw_bar(bar, y, place(bar.call), bar.ret.map(place), next));
        }
    }
    let below = 3 * LINE + processes.len() * ROW;
    let heading = match (
        explanation.configurations.is_empty(),
        explanation.of_conflict,
    ) {
        (true, _) => "No configurations were kept.",
        (false, true) => "Ways to explain what is about the values in conflict; none can go on:",
        (false, false) => "Ways to explain everything before; none can go on:",
    };
    put(text(10, below, "#222", heading));
    for (row, one) in explanation.configurations.iter().enumerate() {
        let line = format!(
            "state {}; done {}; waiting {}; open and used {}",
            one.state,
            numbers(&one.done),
            numbers(&one.waiting),
            numbers(&one.used),
        );
        put(text(24, below + (row + 1) * LINE, "#222", &line));
    }
    put("</svg>".to_owned());
    svg
}

/// `next`: where the next bar of its row begins, which its label does not reach.
fn draw_bar(bar: &Concerned, y: usize, from: usize, to: Option<usize>, next: usize) -> String {
    let fill = match (bar.stuck, bar.conflicting) {
        (true, _) => "#e57373",
        (_, true) => "#ffb74d",
        _ => "#cfd8dc",
    };
    let end = to.unwrap_or(LEFT + WIDTH);
    let dash = if to.is_none() {
        " stroke-dasharray=\"4 3\""
    } else {
        ""
    };
    let label = format!("#{} {}", bar.index, bar.text);
    let room = next.saturating_sub(from + 8) / CHARACTER;
    let mut drawn = String::new();
    let _ = write!(
        drawn,
        "<g><title>{label}</title><rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"20\" rx=\"3\" fill=\"{fill}\" stroke=\"#455a64\"{dash}/>{}</g>",
        y - 10,
        (end - from).max(4),
        text(from + 4, y + 4, "#111", &cut(&label, room)),
        label = escape(&label),
    );
    drawn
}

fn text(x: usize, y: usize, fill: &str, content: &str) -> String {
    format!(
        "<text x=\"{x}\" y=\"{y}\" fill=\"{fill}\">{}</text>",
        escape(content)
    )
}

/// The beginning of a text, of so many characters.
fn cut(content: &str, longest: usize) -> String {
    if content.chars().count() <= longest {
        return content.to_owned();
    }
    let mut beginning: String = content.chars().take(longest.saturating_sub(1)).collect();
    beginning.push('…');
    beginning
}

/// Text as XML, cut if very long; characters that XML does not know are replaced.
fn escape(content: &str) -> String {
    const LONGEST: usize = 160;
    let mut escaped = String::new();
    for character in cut(content, LONGEST).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_before_the_next_bar_of_its_process() {
        let bar = Concerned {
            index: 0,
            process: 0,
            call: 0,
            ret: Some(1),
            text: "append \"a long text\"".to_owned(),
            stuck: false,
            conflicting: false,
        };
        let drawn = draw_bar(&bar, 10, 100, Some(120), 178);
        assert!(drawn.contains(">#0 append…<"), "{drawn}");
        let drawn = draw_bar(&bar, 10, 100, Some(120), 500);
        assert!(
            drawn.contains(">#0 append &quot;a long text&quot;</text>"),
            "{drawn}"
        );
    }
}
