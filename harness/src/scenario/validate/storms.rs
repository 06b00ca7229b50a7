//! Storms: limits that leave room for faults, and faults that can be.

use super::{Problem, list};
use crate::scenario::Scenario;
use crate::system::System;

impl Scenario {
    pub(super) fn validate_storms(&self, system: &System) -> Result<(), Problem> {
        for storm in &self.storm {
            let every = storm.every.get_ref();
            let at_once = *storm.at_once.get_ref();
            if at_once == 0
                || storm
                    .nodes_at_once
                    .as_ref()
                    .is_some_and(|n| *n.get_ref() == 0)
            {
                let message = "expected `at_once` and `nodes_at_once` of at least 1";
                return Err(Problem::at(&storm.name, message));
            }
            for pair in &storm.never_together {
                let known: Vec<&str> = (storm.fault.iter())
                    .map(|fault| fault.parameters.kind())
                    .collect();
                if let Some(unknown) = pair
                    .get_ref()
                    .iter()
                    .find(|kind| !known.contains(&kind.as_str()))
                {
                    let message = format!(
                        "no fault of this storm is a `{unknown}`; expected two of {}",
                        list(known)
                    );
                    return Err(Problem::at(pair, message));
                }
            }
            if at_once == 1 && storm.hold >= *every {
                let message = format!(
                    "`every` ({every}) must be longer than `hold` ({}): one fault at a time, and time to recover",
                    storm.hold
                );
                return Err(Problem::at(&storm.name, message));
            }
            if storm.duration < *every {
                let message = format!(
                    "`for` ({}) is shorter than `every` ({every}), so nothing would ever strike",
                    storm.duration
                );
                return Err(Problem::at(&storm.name, message));
            }
            if storm.fault.is_empty() {
                return Err(Problem::at(
                    &storm.name,
                    "expected at least one [[storm.fault]]",
                ));
            }
            for fault in &storm.fault {
                if *fault.weight.get_ref() == 0 {
                    return Err(Problem::at(
                        &fault.weight,
                        "expected a weight of at least 1",
                    ));
                }
                self.validate_parameters(&fault.parameters, &fault.weight, system, true)?;
            }
        }
        Ok(())
    }
}
