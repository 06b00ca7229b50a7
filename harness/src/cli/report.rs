//! `shakedown report`: renders the report of a finished run again.

use std::path::Path;

use super::Failure;
use super::exit::Exit;

pub(super) fn report(run: &Path) -> Result<Exit, Failure> {
    let results = shakedown_reports::results_file::load(&run.join("results.json")).map_err(Failure::usage)?;
    let report = shakedown_reports::render::render_run(&results, run).map_err(Failure::harness)?;
    print!("{}", shakedown_reports::console::summary(&results));
    println!("\nreport: {}", report.display());
    let harness_failed = results.scenarios.iter().any(|s| s.harness_error.is_some());
    Ok(Exit::of_run(results.verdict, harness_failed))
}
