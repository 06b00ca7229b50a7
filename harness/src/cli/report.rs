//! `shakedown report`: renders the report of a finished run again.

use std::path::Path;

use shakedown_reports::{console, render, results_file};

use super::exit::Exit;
use super::{Failure, say};

pub(super) fn report(
    run: &Path,
    to: Option<&Path>,
    release_notes: Option<&Path>,
) -> Result<Exit, Failure> {
    let results = results_file::load(&run.join(results_file::FILE_NAME)).map_err(Failure::chain)?;
    let report = match to {
        None => render::render_run(&results, run).map_err(Failure::chain)?,
        Some(file) => {
            let stem = file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            render::render_report(&results, run, file, &format!("{stem}_plots"))
                .map_err(Failure::chain)?
        }
    };
    if let Some(file) = release_notes {
        render::render_release_notes(&results, file).map_err(Failure::chain)?;
    }
    say(&format!(
        "{}\nreport: {}\n",
        console::summary(&results),
        report.display()
    ))?;
    let harness_failed = results.scenarios.iter().any(|s| s.harness_error.is_some());
    Ok(Exit::of_run(results.verdict, harness_failed))
}
