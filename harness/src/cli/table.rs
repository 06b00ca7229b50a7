//! `shakedown table`: prints a table of a finished run.

use std::path::Path;

use shakedown_reports::loss_table::{as_csv, as_json, as_markdown, loss_table};
use shakedown_reports::results_file;

use super::args::TableFormat;
use super::exit::Exit;
use super::{Failure, say};

pub(super) fn loss(run: &Path, format: TableFormat) -> Result<Exit, Failure> {
    let results = results_file::load(&run.join(results_file::FILE_NAME)).map_err(Failure::chain)?;
    let rows = loss_table(&results);
    say(&match format {
        TableFormat::Md => as_markdown(&rows),
        TableFormat::Csv => as_csv(&rows),
        TableFormat::Json => as_json(&rows).map_err(Failure::harness)?,
    })?;
    Ok(Exit::Valid)
}
