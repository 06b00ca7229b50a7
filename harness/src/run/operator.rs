//! Operations as faults: an action of the system's, what shows that it happened, and the action that takes it back.

use shakedown_nemesis::outcome::Outcome;
use shakedown_reports::results::FaultResult;

use super::act::{Act, Acted};
use super::fleet::FleetError;
use super::primary::with_primary;
use super::scene::Scene;
use crate::scenario::{FaultItem, Mark, OperationFault};

/// An operation in force.
pub(crate) struct ActiveOperation {
    /// The fault's name in the scenario.
    pub(crate) name: String,
    /// When it was begun.
    pub(crate) start_ns: u64,
    /// What must appear in the system's log while it is in force.
    pub(crate) mark: Option<Mark>,
    operation: OperationFault,
    outcome: Outcome,
    /// Node, what was looked at, what was seen.
    evidence: Vec<(String, String, String)>,
}

impl Scene {
    /// Does what the fault's operation says.
    ///
    /// # Errors
    /// If it is to be done on the primary, and the system does not tell which node that is.
    pub(crate) async fn begin_operation(
        &self,
        item: &FaultItem,
    ) -> Result<ActiveOperation, FleetError> {
        let spec = self.system.primary.as_ref();
        let item = with_primary(&self.fleet, &self.deployment, spec, item).await?;
        let operation = item.parameters.operation();
        let operation = operation.expect("this fault is an operation").clone();
        let mut active = ActiveOperation {
            name: item.name.get_ref().clone(),
            start_ns: self.clock.now_ns(),
            mark: operation.mark.as_ref().map(|mark| mark.get_ref().clone()),
            operation,
            outcome: Outcome::Skipped,
            evidence: Vec::new(),
        };
        if self.nemesis.noop() {
            active.note("operation", "left out: faults are to have no effect");
        } else {
            let run = active.operation.run.get_ref().clone();
            active.outcome = self.operate(&mut active, &run).await;
        }
        Ok(active)
    }

    /// Takes it back, if that is asked for and it was not left out or refused. `marked`: its mark has appeared since it
    /// was begun.
    pub(crate) async fn end_operation(
        &self,
        mut active: ActiveOperation,
        marked: bool,
    ) -> FaultResult {
        if let Some(mark) = active.mark.take() {
            let what = format!("mark {} {}", mark.lane, mark.name);
            let seen = if marked { "appeared" } else { "did not appear" };
            active.note(&what, seen);
            if !marked && active.outcome == Outcome::Installed {
                active.outcome = Outcome::Indeterminate;
            }
        }
        if let Some(undo) = active.operation.undo.clone()
            && active.outcome != Outcome::Skipped
        {
            let undone = self.operate(&mut active, undo.get_ref()).await;
            if undone != Outcome::Installed {
                active.outcome = Outcome::Indeterminate;
            }
        }
        let outcome = match active.outcome {
            Outcome::Installed => "installed",
            Outcome::Skipped => "skipped",
            Outcome::Indeterminate => "indeterminate",
        };
        FaultResult {
            name: active.name,
            kind: "operation".to_owned(),
            summary: summary(&active.operation),
            start_ns: active.start_ns,
            end_ns: self.clock.now_ns(),
            outcome: outcome.to_owned(),
            evidence: active.evidence,
        }
    }

    /// Runs an action in the operation's place.
    async fn operate(&self, active: &mut ActiveOperation, run: &str) -> Outcome {
        let operation = active.operation.clone();
        let act = Act {
            name: &active.name.clone(),
            run,
            on: operation.on.as_ref().map(|on| on.get_ref()),
            with: &operation.with,
        };
        let mut done = Vec::new();
        let ended = self.carry_out(&act, &mut done).await;
        let outcome = worth(done.iter().map(|(_, acted)| acted.outcome));
        for (node, Acted { command, seen, .. }) in done {
            active.evidence.push((node, command, seen));
        }
        match ended {
            Ok(()) => outcome,
            Err(error) => {
                active.note(&format!("action {run}"), &error.to_string());
                Outcome::Indeterminate
            }
        }
    }
}

impl ActiveOperation {
    /// Something seen that belongs to no node.
    fn note(&mut self, what: &str, seen: &str) {
        let node = "operator".to_owned();
        self.evidence.push((node, what.to_owned(), seen.to_owned()));
    }
}

/// What the steps of an operation come to: it ends with the first that does not succeed. Refused at the first step it
/// never happened; refused at a later one it happened in part.
fn worth(mut steps: impl Iterator<Item = Outcome>) -> Outcome {
    match steps.next() {
        None => Outcome::Indeterminate,
        Some(Outcome::Installed) if steps.all(|step| step == Outcome::Installed) => {
            Outcome::Installed
        }
        Some(Outcome::Installed) => Outcome::Indeterminate,
        Some(other) => other,
    }
}

/// In a line.
fn summary(operation: &OperationFault) -> String {
    let on = operation.on.as_ref().map(|on| on.get_ref().0.join(", "));
    let on = on.map(|on| format!(" on {on}")).unwrap_or_default();
    let undo = operation.undo.as_ref().map(|undo| undo.get_ref());
    let undo = undo.map(|undo| format!(", then {undo}"));
    format!(
        "operators run {}{on}{}",
        operation.run.get_ref(),
        undo.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_refused_at_once_was_skipped_and_one_that_stopped_halfway_is_indeterminate() {
        use Outcome::{Indeterminate, Installed, Skipped};
        for (steps, expected) in [
            (vec![Installed, Installed], Installed),
            (vec![Skipped], Skipped),
            (vec![Installed, Skipped], Indeterminate),
            (vec![Indeterminate], Indeterminate),
            (vec![], Indeterminate),
        ] {
            assert_eq!(worth(steps.clone().into_iter()), expected, "{steps:?}");
        }
    }
}
