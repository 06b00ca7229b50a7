//! What came of checking a history against a model: for the terminal, and as an HTML page with drawings.

use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use shakedown_checker::catalogue::Outcome;

use crate::{ReportError, quantity, template};

/// Lines of evidence shown for each finding on the terminal.
const LINES_SHOWN: usize = 40;

/// What was checked, and against what.
#[derive(Debug, Clone, Serialize)]
pub struct Checked<'a> {
    /// The file.
    pub file: &'a str,
    /// The model.
    pub model: &'a str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: &'a Outcome,
}

/// For the terminal.
pub fn text(checked: &Checked<'_>) -> String {
    let outcome = checked.outcome;
    let mut text = format!(
        "{}: {}: {}\n",
        outcome.verdict,
        checked.file,
        sentence(outcome)
    );
    text += &format!("model {}, {}", checked.model, operations(outcome));
    if !outcome.method.is_empty() {
        text += &format!(", by {}", outcome.method);
    }
    text.push('\n');
    for finding in &outcome.findings {
        text += &format!("\n{}: {}\n", finding.about, finding.reason);
        for line in finding.evidence.iter().take(LINES_SHOWN) {
            text += &format!("  {line}\n");
        }
        let left_out = finding.evidence.len().saturating_sub(LINES_SHOWN);
        if left_out > 0 {
            text += &format!("  [{left_out} lines left out; --json has all]\n");
        }
    }
    if outcome.findings_left_out > 0 {
        text += &format!("\n{} more are not shown\n", outcome.findings_left_out);
    }
    text
}

/// As an HTML page that loads nothing.
///
/// # Errors
/// [`ReportError::Template`] if the template fails.
pub fn page(checked: &Checked<'_>) -> Result<String, ReportError> {
    let mut environment = template::environment()?;
    // The name's ending turns on escaping.
    environment.add_template("history.html", include_str!("../templates/history.html.j2"))?;
    let drawings: Vec<_> = checked
        .outcome
        .findings
        .iter()
        .map(|finding| finding.drawing.clone())
        .collect();
    Ok(environment.get_template("history.html")?.render(context! {
        checked => Serde(checked),
        sentence => sentence(checked.outcome),
        operations => operations(checked.outcome),
        drawings,
    })?)
}

fn sentence(outcome: &Outcome) -> String {
    match &outcome.truncated {
        Some(why) => format!("{} ({why})", outcome.reason),
        None => outcome.reason.clone(),
    }
}

fn operations(outcome: &Outcome) -> String {
    match outcome.operations {
        1 => "1 operation".to_owned(),
        many => format!("{} operations", quantity::count(many as u64)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shakedown_checker::catalogue::Finding;
    use shakedown_checker::verdict::Verdict;

    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            verdict: Verdict::Invalid,
            reason: "not linearizable: 1 of 2 keys (3)".to_owned(),
            operations: 1234,
            method: "search".to_owned(),
            truncated: Some("its writer was killed after event 99".to_owned()),
            findings: vec![Finding {
                about: "key <3>".to_owned(),
                reason: "no order explains \"read 4\"".to_owned(),
                evidence: (0..LINES_SHOWN + 2)
                    .map(|line| format!("line {line}"))
                    .collect(),
                facts: json!({}),
                drawing: Some("<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>".to_owned()),
            }],
            findings_left_out: 5,
            facts: json!({}),
        }
    }

    #[test]
    fn the_verdict_comes_first_and_long_evidence_is_cut() {
        let outcome = outcome();
        let checked = Checked {
            file: "h.edn",
            model: "register",
            outcome: &outcome,
        };
        let text = text(&checked);
        assert!(
            text.starts_with(
                "invalid: h.edn: not linearizable: 1 of 2 keys (3) (its writer was killed after event 99)\n\
                 model register, 1,234 operations, by search\n\nkey <3>: no order explains \"read 4\"\n  line 0\n"
            ),
            "{text}"
        );
        assert!(
            text.ends_with(
                "  line 39\n  [2 lines left out; --json has all]\n\n5 more are not shown\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_page_has_the_drawing_and_escapes_the_rest() {
        let outcome = outcome();
        let checked = Checked {
            file: "a<b>.edn",
            model: "register",
            outcome: &outcome,
        };
        let page = page(&checked).unwrap();
        assert!(page.contains("<svg xmlns="), "{page}");
        assert!(
            page.contains("key &lt;3&gt;") && page.contains("a&lt;b&gt;.edn"),
            "{page}"
        );
        for loader in ["src=", "href=\"http", "@import", "url(", "<link", "<iframe"] {
            assert!(!page.contains(loader), "{loader}");
        }
    }
}
