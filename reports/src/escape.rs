//! Free text made safe for Markdown: in paragraphs and table cells, as code, as a fenced block.

/// Lines of an output that are shown; the middle of a longer one is left out.
const OUTPUT_LINES: usize = 20;

/// Text for a paragraph or a table cell: one line, nothing in it taken for markup.
///
/// Underscores within words stay as they are, since Markdown leaves them alone too and names of
/// scenarios are full of them.
pub(crate) fn text(input: &str) -> String {
    let line = one_line(input);
    let chars: Vec<char> = line.chars().collect();
    let word_at = |i: Option<usize>| {
        i.and_then(|i| chars.get(i))
            .is_some_and(|c| c.is_alphanumeric())
    };
    let mut out = String::with_capacity(line.len());
    for (i, c) in chars.iter().enumerate() {
        let markup = match c {
            '\\' | '`' | '*' | '<' | '|' | '[' | ']' | '~' => true,
            '_' => !(word_at(i.checked_sub(1)) && word_at(Some(i + 1))),
            '&' => true,
            _ => false,
        };
        if markup {
            out.push('\\');
        }
        out.push(*c);
    }
    out
}

/// Text as inline code, also within a table cell (where `|` needs a backslash even in code).
pub(crate) fn code(input: &str) -> String {
    let line = one_line(input);
    if line.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run_of_backticks(&line) + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{ticks}{pad}{}{pad}{ticks}", line.replace('|', "\\|"))
}

/// Text as a fenced block, long output with its middle left out, control characters removed.
pub(crate) fn fence(input: &str) -> String {
    let clean: String = input
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    let lines: Vec<&str> = clean.trim_end().lines().collect();
    let left_out = lines.len().saturating_sub(OUTPUT_LINES);
    let shown: Vec<String> = if left_out == 0 {
        lines.iter().map(ToString::to_string).collect()
    } else {
        let half = OUTPUT_LINES / 2;
        let mut shown: Vec<String> = lines[..half].iter().map(ToString::to_string).collect();
        shown.push(format!("[{left_out} lines left out]"));
        shown.extend(lines[lines.len() - half..].iter().map(ToString::to_string));
        shown
    };
    let ticks = "`".repeat(longest_run_of_backticks(&clean).max(2) + 1);
    format!("{ticks}text\n{}\n{ticks}", shown.join("\n"))
}

fn one_line(input: &str) -> String {
    let visible: String = input
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn longest_run_of_backticks(input: &str) -> usize {
    input.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_cell_on_one_line() {
        assert_eq!(text("a | b\nc\td"), r"a \| b c d");
        assert_eq!(code("a | b\nc"), r"`a \| b c`");
    }

    #[test]
    fn markup_in_text_is_shown_literally_but_names_stay_readable() {
        assert_eq!(
            text("*x* <b> [y] `z` ~~u~~"),
            r"\*x\* \<b> \[y\] \`z\` \~\~u\~\~"
        );
        assert_eq!(
            text("cutover_chaos _miroir_shard"),
            r"cutover_chaos \_miroir_shard"
        );
    }

    #[test]
    fn code_with_backticks_has_longer_delimiters() {
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`a`"), "`` `a` ``");
    }

    #[test]
    fn a_fence_is_longer_than_any_within() {
        assert_eq!(fence("a\n```\nb\n"), "````text\na\n```\nb\n````");
    }

    #[test]
    fn long_output_loses_its_middle_and_says_how_much() {
        let output: String = (0..50).map(|i| format!("line {i}\n")).collect();
        let shown = fence(&output);
        assert!(
            shown.contains("line 9\n[30 lines left out]\nline 40\n"),
            "{shown}"
        );
    }

    #[test]
    fn terminal_escapes_are_removed() {
        assert_eq!(fence("\u{1b}[31mred\r\n"), "```text\n[31mred\n```");
    }
}
