//! The client operations of a history on disk, with the interval of each closed loop.

use std::path::Path;

use hashbrown::HashMap;

use super::Operation;
use crate::error::CheckError;
use crate::history::{EventKind, HistoryReader};

/// Reads the client operations of the history in `dir`.
///
/// The interval of a closed loop's operation is the median latency of the operations of its process
/// that succeeded: what the process keeps to when nothing holds it up. O(n log n).
///
/// # Errors
/// [`CheckError`] if the history is missing, damaged or senseless.
pub fn read_operations(dir: &Path) -> Result<Vec<Operation>, CheckError> {
    let mut operations = Vec::new();
    let mut processes = Vec::new();
    let mut open: HashMap<u64, usize> = HashMap::new();
    let mut history = HistoryReader::open(dir)?;
    while let Some(batch) = history.next_batch()? {
        for event in batch.rows().filter(|event| event.process.is_client()) {
            if event.kind == EventKind::Invoke {
                open.insert(event.op, operations.len());
                processes.push(event.process);
                operations.push(Operation {
                    due_ns: event.intended_ns.unwrap_or(event.time_ns),
                    completed_ns: None,
                    ok: false,
                    // Known once all are read.
                    interval_ns: event.intended_ns.is_none().then_some(0),
                });
                continue;
            }
            let index = open
                .remove(&event.op)
                .ok_or_else(|| CheckError::not_open(event.op, event.f))?;
            operations[index].completed_ns = Some(event.time_ns);
            operations[index].ok = event.kind == EventKind::Ok;
        }
    }
    let mut latencies: HashMap<_, Vec<u64>> = HashMap::new();
    for (operation, process) in operations.iter().zip(&processes) {
        if let (Some(completed_ns), true, Some(_)) =
            (operation.completed_ns, operation.ok, operation.interval_ns)
        {
            let latency = completed_ns.saturating_sub(operation.due_ns);
            latencies.entry(*process).or_default().push(latency);
        }
    }
    let medians: HashMap<_, u64> = latencies
        .into_iter()
        .map(|(process, mut latencies)| {
            let middle = latencies.len() / 2;
            (process, *latencies.select_nth_unstable(middle).1)
        })
        .collect();
    for (operation, process) in operations.iter_mut().zip(&processes) {
        if operation.interval_ns.is_some() {
            operation.interval_ns = medians.get(process).copied();
        }
    }
    Ok(operations)
}
