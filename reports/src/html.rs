//! The chaos testing report as one HTML file: the facts of the Markdown report, pictures included.

use minijinja::value::Serde;

use crate::facts::Facts;
use crate::picture::Picture;
use crate::results::SuiteResults;
use crate::{ReportError, template};

/// Renders the page. It loads nothing: style, pictures and the few lines of script are in it.
///
/// # Errors
/// [`ReportError::Template`] if the template fails.
pub fn page(results: &SuiteResults, pictures: &[Vec<Picture>]) -> Result<String, ReportError> {
    let facts = Facts::new(results, pictures);
    let mut environment = template::environment()?;
    // The name's ending turns on escaping.
    environment.add_template("index.html", include_str!("../templates/index.html.j2"))?;
    Ok(environment
        .get_template("index.html")?
        .render(Serde(&facts))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example, picture};

    fn rendered() -> String {
        let results = example::suite();
        let pictures = picture::pictures(&results.scenarios, "plots");
        page(&results, &pictures).unwrap()
    }

    #[test]
    fn a_run_is_one_page() {
        let mut results = example::suite();
        results.scenarios.truncate(4);
        insta::assert_snapshot!(page(&results, &[]).unwrap());
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let text = rendered();
        for loader in ["src=", "href=\"http", "@import", "url(", "<link", "<iframe"] {
            assert!(!text.contains(loader), "{loader}");
        }
    }

    #[test]
    fn the_page_has_the_facts_of_the_markdown_report() {
        let results = example::suite();
        let html = rendered();
        let markdown = crate::markdown::report(&results, &[]).unwrap();
        // Every figure of the Markdown report stands in the page too.
        let figures = |text: &str| -> std::collections::BTreeSet<String> {
            text.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')))
                .map(|word| word.trim_matches(['.', ',']).to_owned())
                .filter(|word| word.len() > 2)
                .collect()
        };
        let missing: Vec<String> = figures(&markdown)
            .difference(&figures(&html))
            .cloned()
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn markup_in_results_is_text() {
        let text = rendered();
        assert!(text.contains("again &lt;before&gt; routing"), "not escaped");
        assert!(!text.contains("<before>"));
    }

    #[test]
    fn tags_are_balanced() {
        let text = rendered();
        for tag in [
            "section", "table", "details", "figure", "ul", "tr", "td", "svg",
        ] {
            let opened = text.matches(&format!("<{tag}>")).count()
                + text.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
