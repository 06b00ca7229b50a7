//! The chaos testing report in Markdown: what a release manager reads before signing.

use minijinja::value::Serde;

use crate::facts::Facts;
use crate::picture::Picture;
use crate::results::SuiteResults;
use crate::{ReportError, escape, template};

/// Renders the report. `pictures` are those of the scenarios, in their order.
///
/// # Errors
/// [`ReportError::Template`] if the template fails.
pub fn report(results: &SuiteResults, pictures: &[Vec<Picture>]) -> Result<String, ReportError> {
    let facts = Facts::new(results, pictures);
    let mut environment = template::environment()?;
    environment.add_filter("text", escape::text);
    environment.add_filter("code", escape::code);
    environment.add_filter("fence", escape::fence);
    environment.add_template("report.md", include_str!("../templates/report.md.j2"))?;
    Ok(environment
        .get_template("report.md")?
        .render(Serde(&facts))?)
}

#[cfg(test)]
mod tests;
