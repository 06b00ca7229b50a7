//! The operations on documents that came to harm, from the history.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use shakedown_checker::history::{EventKind, HistoryError, HistoryReader};
use shakedown_reports::results::{CheckpointResult, KeyOperation};

/// Keys per checkpoint whose operations are kept.
const KEYS_KEPT: usize = 20;

/// Operations on the first keys with an anomaly at each checkpoint, in the order of their invocation.
pub(super) fn of_harmed(
    history: &Path,
    checkpoints: &[CheckpointResult],
) -> Result<Vec<KeyOperation>, HistoryError> {
    let keys: BTreeSet<i64> = checkpoints
        .iter()
        .flat_map(|checkpoint| checkpoint.loss.anomalies.iter().take(KEYS_KEPT))
        .map(|anomaly| anomaly.key)
        .collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut operations: BTreeMap<u64, KeyOperation> = BTreeMap::new();
    let mut reader = HistoryReader::open(history)?;
    while let Some(batch) = reader.next_batch()? {
        for event in batch.rows().filter(|event| event.process.is_client()) {
            let Some(key) = event.key.filter(|key| keys.contains(key)) else {
                continue;
            };
            if event.kind == EventKind::Invoke {
                let operation = KeyOperation {
                    key,
                    process: event.process.0,
                    function: event.f.to_owned(),
                    version: event.value,
                    invoked_ns: event.time_ns,
                    completed_ns: None,
                    outcome: "info".to_owned(),
                    detail: "never completed".to_owned(),
                };
                operations.insert(event.op, operation);
            } else if let Some(operation) = operations.get_mut(&event.op) {
                operation.version = event.value.or(operation.version);
                operation.completed_ns = Some(event.time_ns);
                operation.detail = event.detail.unwrap_or_default().to_owned();
                operation.outcome = match event.kind {
                    EventKind::Ok => "ok",
                    EventKind::Fail => "fail",
                    EventKind::Info | EventKind::Invoke => "info",
                }
                .to_owned();
            }
        }
    }
    let mut operations: Vec<KeyOperation> = operations.into_values().collect();
    operations.sort_by_key(|operation| operation.invoked_ns);
    Ok(operations)
}
