//! What a workload needs of loads and expectations, and whether the system's clients can do it.

use super::Problem;
use crate::scenario::Scenario;
use crate::system::{ClientSpec, System};

impl Scenario {
    pub(super) fn validate_workload(&self, system: &System) -> Result<(), Problem> {
        self.validate_documents(system)
    }

    fn validate_documents(&self, system: &System) -> Result<(), Problem> {
        let ClientSpec::DocumentsHttp(_) = system.client else {
            let protocol = system.client.protocol();
            let message = format!(
                "clients of {} speak {protocol} and write no documents",
                system.name
            );
            return Err(Problem::at(&self.system, message));
        };
        for load in &self.load {
            let place = load.mix.as_ref().map_or(load.name.span(), |mix| mix.span());
            if let Err(message) = load.documents_mix() {
                return Err(Problem {
                    span: place,
                    message,
                });
            }
        }
        let expect = &self.expect;
        if expect.loss.is_none() || expect.writes_at_least.is_none() {
            let message = "expected `loss` and `writes_at_least` in [expect]";
            return Err(Problem::at(&self.name, message));
        }
        if let Some(least) = &expect.operations_at_least {
            let message = "expected `writes_at_least`: this is for workloads on objects";
            return Err(Problem::at(least, message));
        }
        if let Some(model) = expect.models.keys().next() {
            let message = "models judge workloads on objects; expected `loss`";
            return Err(Problem::at(model, message));
        }
        Ok(())
    }
}
