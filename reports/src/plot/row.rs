//! The rows above the curves: one per phase, fault and checkpoint, in order of first appearance.
//! A row of its own, with its name in the margin, keeps the shortest phase legible, and no two
//! names can overlap.

use crate::quantity::{counted, duration, offset};
use crate::results::ScenarioResults;

/// What a row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Phase,
    Fault,
    Checkpoint,
}

/// A name, when it was, and how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Start and end, nanoseconds since the start of the run; equal for a checkpoint.
    pub(super) spans: Vec<(u64, u64)>,
    /// Whether it certainly happened; only ever false for faults.
    pub(super) certain: bool,
    /// Shown beside the bar.
    pub(super) note: String,
}

/// Phases, then faults, then checkpoints. Spans of one kind and name share a row.
pub(super) fn rows(scenario: &ScenarioResults) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for phase in &scenario.phases {
        add(
            &mut rows,
            Kind::Phase,
            &phase.name,
            (phase.start_ns, phase.end_ns),
        );
    }
    for fault in &scenario.faults {
        let row = add(
            &mut rows,
            Kind::Fault,
            &fault.name,
            (fault.start_ns, fault.end_ns),
        );
        if fault.outcome != "installed" {
            row.certain = false;
            row.note.clone_from(&fault.outcome);
        }
    }
    for checkpoint in &scenario.checkpoints {
        let time = checkpoint.time_ns;
        add(&mut rows, Kind::Checkpoint, &checkpoint.name, (time, time));
    }
    for row in &mut rows {
        row.note = match (row.kind, row.certain) {
            (Kind::Checkpoint, _) => format!("at {}", offset(row.spans[0].0)),
            (_, false) => format!("{}, {}", row.note, lengths(&row.spans)),
            (_, true) => lengths(&row.spans),
        };
    }
    rows
}

fn add<'a>(
    rows: &'a mut Vec<Row>,
    kind: Kind,
    name: &str,
    (start, end): (u64, u64),
) -> &'a mut Row {
    let found = rows
        .iter()
        .position(|row| row.kind == kind && row.name == name);
    let index = found.unwrap_or_else(|| {
        let name = name.to_owned();
        rows.push(Row {
            kind,
            name,
            spans: vec![],
            certain: true,
            note: String::new(),
        });
        rows.len() - 1
    });
    let row = &mut rows[index];
    row.spans.push((start, end.max(start)));
    row
}

fn lengths(spans: &[(u64, u64)]) -> String {
    let total = duration(
        spans
            .iter()
            .fold(0, |sum, (start, end)| (end - start).saturating_add(sum)),
    );
    match spans.len() {
        1 => total,
        n => format!("{}, {total} in all", counted(n as u64, "time", "times")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn phases_that_recur_share_a_row_that_counts_them() {
        let suite = example::suite();
        let rows = rows(&suite.scenarios[5]);
        let delta = rows
            .iter()
            .find(|row| row.name == "cutover_delta_pass")
            .unwrap();
        assert_eq!(delta.spans.len(), 5);
        assert_eq!(delta.note, "5 times, 655 ms in all");
    }

    #[test]
    fn a_fault_that_may_not_have_happened_is_marked() {
        let suite = example::suite();
        let rows = rows(&suite.scenarios[4]);
        let fault = rows.iter().find(|row| row.kind == Kind::Fault).unwrap();
        assert!(!fault.certain);
        assert_eq!(fault.note, "indeterminate, 4.0 s");
    }
}
