//! Faults: on targets that exist, on services and disks that are there.

use toml::Spanned;

use super::fault_numbers::validate_numbers;
use super::triggers::validate_mark;
use super::{Problem, list};
use crate::scenario::{FaultParameters, Scenario};
use crate::system::System;

impl Scenario {
    pub(super) fn validate_faults(&self, system: &System) -> Result<(), Problem> {
        for fault in &self.fault {
            if fault.until.is_some() && fault.duration.is_some() {
                return Err(Problem::at(
                    &fault.name,
                    "expected `until` or `for`, not both",
                ));
            }
            self.validate_parameters(&fault.parameters, &fault.name, system, false)?;
        }
        Ok(())
    }

    /// What strikes, by itself or in a storm; `place` is of all of it.
    pub(super) fn validate_parameters<T>(
        &self,
        parameters: &FaultParameters,
        place: &Spanned<T>,
        system: &System,
        in_storm: bool,
    ) -> Result<(), Problem> {
        for targets in parameters.targets() {
            self.validate_fault_targets(targets, parameters, in_storm)?;
        }
        if parameters.names_primary() && system.primary.is_none() {
            let message = format!(
                "{} does not tell which node is the primary: its file has no [primary]",
                system.name
            );
            return Err(Problem::at(place, message));
        }
        validate_numbers(parameters)?;
        if let FaultParameters::Split(split) = parameters {
            self.validate_split(split, place)?;
        }
        if let FaultParameters::Operation(operation) = parameters {
            for run in std::iter::once(&operation.run).chain(&operation.undo) {
                self.validate_act(run, operation.on.as_ref(), system)?;
            }
            if let Some(mark) = &operation.mark {
                validate_mark(mark, system)?;
            }
        }
        let needs_disk = match parameters {
            FaultParameters::PowerLoss(_) | FaultParameters::DiskFull(_) => true,
            FaultParameters::Local(local) => local.common().needs_disk(),
            _ => false,
        };
        if needs_disk {
            self.validate_disk(parameters)?;
        }
        let Some(service) = parameters.service() else {
            return Ok(());
        };
        if system.service.iter().any(|s| s.name == *service) {
            return Ok(());
        }
        let names = system.service.iter().map(|s| s.name.get_ref());
        let message = format!(
            "{} has no such service; expected one of {}",
            system.name,
            list(names)
        );
        Err(Problem::at(service, message))
    }

    fn validate_disk(&self, parameters: &FaultParameters) -> Result<(), Problem> {
        for targets in parameters.targets() {
            for target in &targets.get_ref().0 {
                let role = target.split('[').next().unwrap_or(target);
                let mut roles = self.roles.get_ref().iter();
                if !roles.any(|r| r.role.get_ref() == role && r.disk_mib.is_some()) {
                    let message = format!(
                        "`{}` needs nodes with a disk of their own; add `disk_mib = 64` to the role `{role}`",
                        parameters.kind()
                    );
                    return Err(Problem::at(targets, message));
                }
                let mut roles = self.roles.get_ref().iter();
                let layered = roles.any(|r| r.role.get_ref() == role && r.disk_layer);
                let message = match parameters {
                    FaultParameters::Local(local) if local.common().needs_layer() && !layered => {
                        let kind = local.kind();
                        format!(
                            "`{kind}` needs a layer over that disk; add `disk_layer = true` to the role `{role}`"
                        )
                    }
                    FaultParameters::PowerLoss(_) if layered => {
                        format!(
                            "`power_loss` can be had not with `disk_layer` of the role `{role}`: the layer would keep the disk from being mounted anew"
                        )
                    }
                    _ => continue,
                };
                return Err(Problem::at(targets, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
