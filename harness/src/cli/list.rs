//! `shakedown list`.

use super::Failure;
use super::exit::Exit;
use crate::scenario::Catalogue;

pub(super) fn list() -> Result<Exit, Failure> {
    let catalogue = Catalogue::embedded().map_err(Failure::harness)?;
    println!("Suites:");
    for (suite, scenarios) in catalogue.suites() {
        println!("  {suite:<10} {} scenarios", scenarios.len());
    }
    println!("\nScenarios:");
    for (scenario, _) in &catalogue.scenarios {
        let number = scenario.number.map_or_else(String::new, |n| format!("{n}"));
        println!("  {number:>3}  {}", scenario.name.get_ref());
        println!("       {}", scenario.description);
    }
    println!("\nSystems:");
    for system in &catalogue.systems {
        println!("  {:<10} {}", system.name, system.description);
    }
    Ok(Exit::Valid)
}
