//! Puts every report of a run into its directory.

use std::path::{Path, PathBuf};

use crate::picture::{Picture, pictures_and_drawings};
use crate::results::SuiteResults;
use crate::results_file::{self, write_atomically};
use crate::{ReportError, html, junit, loss_table, markdown, release_notes};

/// File name of the report within a run directory.
pub const REPORT_NAME: &str = "chaos_testing_report.md";
/// Directory of the pictures within a run directory.
pub const PLOTS_NAME: &str = "plots";

/// Writes every report into `dir`, each atomically, and returns the path of the Markdown report. The results
/// are written before anything is rendered. A picture that fails is missing, and the reports say why.
///
/// # Errors
/// [`ReportError`] if a file cannot be written or rendered.
pub fn render_run(results: &SuiteResults, dir: &Path) -> Result<PathBuf, ReportError> {
    results_file::save(results, &dir.join(results_file::FILE_NAME))?;
    let report = dir.join(REPORT_NAME);
    let pictures = write_report(results, dir, &report, PLOTS_NAME)?;
    let rows = loss_table::loss_table(results);
    let files = [
        ("index.html", html::page(results, &pictures)?),
        ("junit.xml", junit::xml(results)?),
        (release_notes::FILE_NAME, release_notes::text(results)),
        ("loss_table.md", loss_table::as_markdown(&rows)),
        ("loss_table.csv", loss_table::as_csv(&rows)),
        ("loss_table.json", loss_table::as_json(&rows)?),
    ];
    for (name, text) in files {
        write_atomically(&dir.join(name), text.as_bytes())?;
    }
    Ok(report)
}

/// Writes the Markdown report to `report`, and its pictures into the directory `plots` beside it (a relative
/// path with `/`). For a report kept elsewhere than in its run directory, which is `run`.
///
/// # Errors
/// [`ReportError`] if the report cannot be written or rendered.
pub fn render_report(
    results: &SuiteResults,
    run: &Path,
    report: &Path,
    plots: &str,
) -> Result<PathBuf, ReportError> {
    write_report(results, run, report, plots)?;
    Ok(report.into())
}

/// Writes the guidance for release notes to `file`.
///
/// # Errors
/// [`ReportError::Write`] if it cannot be written.
pub fn render_release_notes(results: &SuiteResults, file: &Path) -> Result<(), ReportError> {
    write_atomically(file, release_notes::text(results).as_bytes())
}

fn write_report(
    results: &SuiteResults,
    run: &Path,
    report: &Path,
    plots: &str,
) -> Result<Vec<Vec<Picture>>, ReportError> {
    let dir = report.parent().unwrap_or(Path::new(""));
    let mut pictures = pictures_and_drawings(&results.scenarios, run, plots);
    for picture in pictures.iter_mut().flatten() {
        if picture.failure.is_empty()
            && let Err(error) = write_atomically(&dir.join(&picture.path), picture.svg.as_bytes())
        {
            picture.failure = chain(&error);
        }
    }
    let text = markdown::report(results, &pictures)?;
    write_atomically(report, text.as_bytes())?;
    Ok(pictures)
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::example;
    use crate::picture::pictures;

    #[test]
    fn a_run_directory_gets_results_report_and_a_plot_per_scenario() {
        let dir = tempfile::tempdir().unwrap();
        let results = example::suite();
        let report = render_run(&results, dir.path()).unwrap();
        assert_eq!(report, dir.path().join("chaos_testing_report.md"));
        let text = fs::read_to_string(&report).unwrap();
        for picture in pictures(&results.scenarios, "plots").concat() {
            let plot = picture.path;
            assert!(text.contains(&format!("({plot})")), "{plot}");
            assert!(
                fs::read_to_string(dir.path().join(plot))
                    .unwrap()
                    .ends_with("</svg>\n")
            );
        }
        for name in [
            "index.html",
            "junit.xml",
            "release_notes.md",
            "loss_table.md",
            "loss_table.csv",
            "loss_table.json",
        ] {
            assert!(dir.path().join(name).is_file(), "{name}");
        }
        assert_eq!(
            results_file::load(&dir.path().join("results.json")).unwrap(),
            results
        );
    }

    #[test]
    fn a_plot_that_cannot_be_written_costs_neither_report_nor_verdict() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("plots"), "in the way").unwrap();
        let report = render_run(&example::suite(), dir.path()).unwrap();
        let text = fs::read_to_string(report).unwrap();
        assert!(
            text.starts_with("# Chaos testing report for demo: INVALID"),
            "{text}"
        );
        let reason = "**The picture failed**: cannot write";
        assert!(text.matches(reason).count() >= 6);
        assert!(dir.path().join("results.json").is_file());
    }
}
