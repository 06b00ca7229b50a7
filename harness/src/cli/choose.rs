//! Which scenarios and systems the arguments name.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::plan::Plan;
use crate::scenario::{Catalogue, Scenario};
use crate::system::System;

/// A scenario chosen on the command line; from a stored plan, its seed and settings come along.
pub(super) struct Chosen {
    pub(super) scenario: Scenario,
    pub(super) text: String,
    pub(super) stored: Option<Plan>,
    /// The command and arguments that run it alone, without its seed.
    pub(super) again: Vec<String>,
}

/// What is embedded, and the systems whose files are given.
pub(super) fn catalogue(system_files: &[PathBuf]) -> Result<Catalogue, Failure> {
    let mut catalogue = Catalogue::embedded().map_err(Failure::harness)?;
    for file in system_files {
        catalogue.add(System::read(file).map_err(Failure::usage)?);
    }
    Ok(catalogue)
}

/// The system of that name.
pub(super) fn find_system<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a System, Failure> {
    catalogue
        .systems
        .iter()
        .find(|s| s.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = catalogue.systems.iter().map(|s| s.name.as_str()).collect();
            Failure::Usage(format!(
                "no system `{name}`; expected one of {}",
                known.join(", ")
            ))
        })
}

/// Resolves names, files and stored plans to scenarios.
pub(super) fn choose(
    catalogue: &mut Catalogue,
    what: &[String],
) -> Result<(String, Vec<Chosen>), Failure> {
    let mut chosen = Vec::new();
    for name in what {
        if name.ends_with(".json") {
            let plan = Plan::read(Path::new(name)).map_err(Failure::usage)?;
            if let Some(system) = plan.system(name).map_err(Failure::usage)? {
                catalogue.add(system);
            }
            let scenario = Scenario::parse(name, &plan.scenario_text, &catalogue.systems)
                .map_err(Failure::usage)?;
            chosen.push(Chosen {
                scenario,
                text: plan.scenario_text.clone(),
                stored: Some(plan),
                again: vec!["run".to_owned(), name.clone()],
            });
        } else {
            let selected = catalogue.select(name).map_err(Failure::usage)?;
            let from_file = name.ends_with(".toml");
            chosen.extend(selected.into_iter().map(|(scenario, text)| Chosen {
                again: vec![
                    "run".to_owned(),
                    if from_file {
                        name.clone()
                    } else {
                        scenario.name.get_ref().clone()
                    },
                ],
                scenario,
                text,
                stored: None,
            }));
        }
    }
    let name = match what {
        [one] if !one.ends_with(".toml") && !one.ends_with(".json") => one.clone(),
        _ => match &chosen[..] {
            [one] => one.scenario.name.get_ref().clone(),
            _ => "selection".to_owned(),
        },
    };
    Ok((name, chosen))
}
