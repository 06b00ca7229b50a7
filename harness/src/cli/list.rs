//! `shakedown list`.

use std::fmt::Write;

use super::exit::Exit;
use super::{Failure, say};
use crate::scenario::Catalogue;

pub(super) fn list() -> Result<Exit, Failure> {
    let catalogue = Catalogue::embedded().map_err(Failure::harness)?;
    let mut text = String::new();
    describe(&catalogue, &mut text).map_err(Failure::harness)?;
    say(&text)?;
    Ok(Exit::Valid)
}

fn describe(catalogue: &Catalogue, text: &mut String) -> std::fmt::Result {
    writeln!(text, "Suites:")?;
    for (suite, scenarios) in catalogue.suites() {
        writeln!(text, "  {suite:<10} {} scenarios", scenarios.len())?;
    }
    writeln!(text, "\nScenarios:")?;
    for (scenario, _) in &catalogue.scenarios {
        let number = scenario.number.map_or_else(String::new, |n| n.to_string());
        writeln!(text, "  {number:>3}  {}", scenario.name.get_ref())?;
        writeln!(text, "       {}", scenario.description)?;
    }
    writeln!(text, "\nSystems:")?;
    for system in &catalogue.systems {
        writeln!(text, "  {:<10} {}", system.name, system.description)?;
    }
    Ok(())
}
