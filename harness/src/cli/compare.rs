//! `shakedown compare`: sets two finished runs side by side.

use std::path::Path;

use shakedown_reports::{compare, results_file};

use super::exit::Exit;
use super::{Failure, say};

pub(super) fn compare(before: &Path, after: &Path) -> Result<Exit, Failure> {
    let load =
        |run: &Path| results_file::load(&run.join(results_file::FILE_NAME)).map_err(Failure::chain);
    let comparison = compare::compare(&load(before)?, &load(after)?);
    say(&compare::as_text(&comparison))?;
    Ok(if comparison.is_worse() {
        Exit::Invalid
    } else {
        Exit::Valid
    })
}
