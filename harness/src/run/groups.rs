//! Losses by group of keys (shard). The system is asked which group a key is in: a lost one has no copy that tells.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shakedown_checker::history::{EventKind, HistoryError, HistoryReader};
use shakedown_checker::loss::{KeyClass, LossReport};
use shakedown_checker::rate::Rate;
use shakedown_reports::results::GroupLoss;
use shakedown_workloads::documents::{document_id, parse_document_id};

use super::local_program::{ProgramError, output};
use super::predictor::Predictions;
use crate::system::{GroupsSpec, TemplateContext};

/// Why losses are not known by group.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupsError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("not a document with its group: {line}")]
    Line { line: String },
    #[error("it told no group of {missing} of {asked} documents")]
    Missing { missing: usize, asked: usize },
}

/// The checkpoint that decides: what became of every key that is not as it should be.
pub(crate) struct Deciding {
    time_ns: u64,
    wrong: BTreeMap<i64, KeyClass>,
}

impl Deciding {
    /// `loss` must list every anomaly.
    pub(crate) fn new(time_ns: u64, loss: &LossReport) -> Deciding {
        let wrong = loss.anomalies.iter().map(|a| (a.key, a.class));
        Deciding {
            time_ns,
            wrong: wrong.collect(),
        }
    }
}

/// The losses of every group with an acknowledged write, in the order of the groups' names, numbers by value.
/// `group_of` tells the group of each key. Memory: some tens of bytes per key.
pub(crate) fn losses(
    history: &Path,
    deciding: &Deciding,
    predictions: Option<&Predictions>,
    group_of: impl FnOnce(&[i64]) -> Result<HashMap<i64, String>, GroupsError>,
) -> Result<Vec<GroupLoss>, GroupsError> {
    let writes = acknowledged(history, deciding.time_ns)?;
    let mut keys: Vec<i64> = writes.keys().copied().collect();
    keys.sort_unstable();
    let group_of = group_of(&keys)?;
    let missing = keys.iter().filter(|k| !group_of.contains_key(k)).count();
    if missing > 0 {
        let asked = keys.len();
        return Err(GroupsError::Missing { missing, asked });
    }
    let endangered = predictions.map(Predictions::endangered);
    let mut groups: BTreeMap<&str, Counts> = BTreeMap::new();
    for (key, group) in &group_of {
        let counts = groups.entry(group).or_default();
        counts.keys += 1;
        counts.writes += writes.get(key).copied().unwrap_or_default();
        match deciding.wrong.get(key) {
            Some(KeyClass::Lost) => counts.lost += 1,
            Some(_) => counts.otherwise_wrong += 1,
            None => {}
        }
        counts.endangered += u64::from(endangered.as_ref().is_some_and(|e| e.contains(key)));
    }
    let mut losses: Vec<GroupLoss> = groups
        .into_iter()
        .map(|(group, counts)| GroupLoss {
            acknowledged_writes: counts.writes,
            keys: counts.keys,
            lost: Rate::new(counts.lost, counts.keys),
            otherwise_wrong: counts.otherwise_wrong,
            failed_at_second_owner: predictions.and_then(|p| p.dual_writes.get(group).copied()),
            endangered: predictions.is_some().then_some(counts.endangered),
            group: group.to_owned(),
        })
        .collect();
    losses.sort_by_key(|loss| loss.group.parse().unwrap_or(u64::MAX));
    Ok(losses)
}

#[derive(Default)]
struct Counts {
    keys: u64,
    writes: u64,
    lost: u64,
    otherwise_wrong: u64,
    endangered: u64,
}

/// Acknowledged writes of each key that has any, until a time.
fn acknowledged(history: &Path, until_ns: u64) -> Result<HashMap<i64, u64>, HistoryError> {
    let mut writes = HashMap::new();
    let mut reader = HistoryReader::open(history)?;
    while let Some(batch) = reader.next_batch()? {
        for event in batch.rows() {
            let acknowledged = event.process.is_client()
                && event.kind == EventKind::Ok
                && matches!(event.f, "put" | "delete")
                && event.time_ns <= until_ns;
            if let Some(key) = event.key.filter(|_| acknowledged) {
                *writes.entry(key).or_default() += 1;
            }
        }
    }
    Ok(writes)
}

#[derive(Deserialize)]
struct Line {
    id: String,
    group: String,
}

/// Asks the system's command for the group of each key.
pub(crate) fn ask(
    spec: &GroupsSpec,
    context: &TemplateContext,
    local_bin: &BTreeMap<String, PathBuf>,
    keys: &[i64],
) -> Result<HashMap<i64, String>, GroupsError> {
    let ids = keys.iter().map(|key| document_id(*key));
    let printed = output(&spec.argv, context, local_bin, ids)?;
    let lines = printed.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let parsed: Option<Line> = serde_json::from_slice(line).ok();
            parsed
                .and_then(|line| Some((parse_document_id(&line.id)?, line.group)))
                .ok_or_else(|| GroupsError::Line {
                    line: String::from_utf8_lossy(line).into_owned(),
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use shakedown_checker::history::{Event, HistoryWriter, Process};
    use shakedown_checker::loss::Anomaly;

    use super::*;

    fn history(dir: &Path, keys: &[i64]) {
        let mut writer = HistoryWriter::create(dir, &BTreeMap::new()).unwrap();
        for (op, key) in (1..).zip(keys) {
            for kind in [EventKind::Invoke, EventKind::Ok] {
                let event = Event {
                    op,
                    process: Process(0),
                    kind,
                    f: "put".into(),
                    time_ns: op,
                    intended_ns: None,
                    key: Some(*key),
                    value: Some(1),
                    detail: None,
                };
                writer.append(&event).unwrap();
            }
        }
        writer.finish().unwrap();
    }

    fn deciding(lost: i64) -> Deciding {
        let anomaly = Anomaly {
            key: lost,
            class: KeyClass::Lost,
            acknowledged_version: Some(1),
            acknowledged_delete: false,
            written_ns: None,
            found: Vec::new(),
            explanation: String::new(),
        };
        let loss = LossReport {
            anomalies: vec![anomaly],
            ..LossReport::default()
        };
        Deciding::new(100, &loss)
    }

    #[test]
    fn a_lost_key_counts_in_its_own_group_only() {
        let dir = tempfile::tempdir().unwrap();
        history(&dir.path().join("history"), &[1, 2, 3, 3]);
        let tens = |keys: &[i64]| {
            Ok(keys
                .iter()
                .map(|k| (*k, (k % 2 * 10).to_string()))
                .collect())
        };
        let losses = losses(&dir.path().join("history"), &deciding(3), None, tens).unwrap();
        let seen: Vec<_> = losses
            .iter()
            .map(|l| {
                (
                    l.group.as_str(),
                    l.acknowledged_writes,
                    l.keys,
                    l.lost.events,
                )
            })
            .collect();
        assert_eq!(seen, [("0", 1, 1, 0), ("10", 3, 2, 1)]);
    }

    #[test]
    fn a_command_that_leaves_keys_out_is_not_believed() {
        let spec = |argv: &[&str]| GroupsSpec {
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        };
        let context = TemplateContext {
            nodes: BTreeMap::new(),
            bin: BTreeMap::new(),
            settings: serde_json::Value::Null,
            dir: String::new(),
            node: None,
            with: BTreeMap::new(),
            files: Vec::new(),
        };
        let dir = tempfile::tempdir().unwrap();
        let history_dir = dir.path().join("history");
        history(&history_dir, &[1, 2]);
        let told = |script: &str| {
            let argv = ["/bin/sh", "-c", script];
            losses(&history_dir, &deciding(1), None, |keys| {
                ask(&spec(&argv), &context, &BTreeMap::new(), keys)
            })
        };
        let each = r#"while read id; do echo "{\"id\":\"$id\",\"group\":\"7\"}"; done"#;
        assert_eq!(told(each).unwrap().len(), 1);
        let first = r#"read id; echo "{\"id\":\"$id\",\"group\":\"7\"}""#;
        assert!(matches!(
            told(first),
            Err(GroupsError::Missing {
                missing: 1,
                asked: 2
            })
        ));
        assert!(matches!(
            told("exit 3"),
            Err(GroupsError::Program(ProgramError::Failed { .. }))
        ));
        assert!(matches!(told("echo no"), Err(GroupsError::Line { .. })));
    }
}
