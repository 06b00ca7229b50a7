//! Guidance for the readers of release notes, each with what the run measured.

use crate::claims::{self, Judgement};
use crate::escape::text as escaped;
use crate::facts::measured_advice;
use crate::loss_table::{as_markdown, loss_table};
use crate::narrative;
use crate::pool::groups;
use crate::results::{Audience, SuiteResults};

/// File name within a run directory.
pub const FILE_NAME: &str = "release_notes.md";

/// The page.
#[must_use]
pub fn text(results: &SuiteResults) -> String {
    let groups = groups(results);
    let mut page = format!(
        "# Release notes: what was tested\n\n{}\n",
        escaped(&narrative::summary(results))
    );
    for notes in &results.systems {
        let advice = measured_advice(notes, &groups);
        let mut guidance = advice
            .iter()
            .filter(|advice| advice.audience == Audience::ReleaseNotes)
            .peekable();
        if guidance.peek().is_none() {
            continue;
        }
        page.push_str(&format!("\n## Guidance for {}\n\n", escaped(&notes.name)));
        for advice in guidance {
            let of = match advice.configuration.as_str() {
                "" => String::new(),
                configuration => format!("**{}**: ", escaped(configuration)),
            };
            let line = format!(
                "- {of}{} {}",
                escaped(&advice.advice),
                escaped(&advice.evidence)
            );
            page.push_str(&format!("{}\n", line.trim_end()));
        }
        if !notes.runbook.is_empty() {
            page.push_str(&format!("\nFor operators: `{}`.\n", notes.runbook));
        }
    }
    let contradicted: Vec<_> = groups
        .iter()
        .filter_map(claims::measure)
        .filter(|claim| claim.judgement == Judgement::Contradicted)
        .collect();
    if !contradicted.is_empty() {
        page.push_str("\n## Claims that do not hold\n\n");
        for claim in contradicted {
            page.push_str(&format!(
                "- {}: claimed {}, measured {}: {}.\n",
                escaped(&claim.configuration),
                escaped(&claim.claim),
                escaped(&claim.measured),
                claim.in_words
            ));
        }
    }
    page.push_str(&format!(
        "\n## Losses\n\n{}",
        as_markdown(&loss_table(results))
    ));
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn guidance_comes_with_what_was_measured() {
        insta::assert_snapshot!(text(&example::suite()));
    }

    #[test]
    fn a_claim_that_is_contradicted_is_said_to_be() {
        let mut results = example::suite();
        let claim = results.scenarios[3].claim.as_mut().unwrap();
        claim.rate_percent = Some(0.0);
        let page = text(&results);
        assert!(page.contains("## Claims that do not hold"), "{page}");
        assert!(page.contains("contradicts the claim"), "{page}");
    }
}
