//! Anomalies in words.

use super::report::{Anomaly, KeyClass};

/// One sentence on what was expected and what was found; the explanation field itself is not read.
pub(super) fn explain(anomaly: &Anomaly) -> String {
    let expected = match (anomaly.acknowledged_version, anomaly.written_ns) {
        (Some(version), Some(ns)) => {
            let what = if anomaly.acknowledged_delete {
                "delete"
            } else {
                "put"
            };
            let seconds = ns as f64 / 1e9;
            format!("the {what} of version {version}, invoked at {seconds:.3} s, was acknowledged")
        }
        _ => "no write was acknowledged".to_owned(),
    };
    let found = match &anomaly.found[..] {
        [] => "no source has the document".to_owned(),
        found => found.iter().map(describe).collect::<Vec<_>>().join(", "),
    };
    let verdict = match anomaly.class {
        KeyClass::Ok => "as it should be",
        KeyClass::Lost => "a client that asks is told there is none",
        KeyClass::Stale => "an older version took its place",
        KeyClass::Resurrected => "a deleted document is back",
        KeyClass::Corrupted => "its content is damaged",
        KeyClass::Phantom => "nobody wrote what was found, or only writes that failed",
        KeyClass::Misplaced => "a copy lies where its shard never was",
        KeyClass::LeftBehind => "a copy lies where its shard no longer is",
    };
    format!("{expected}; {found}: {verdict}")
}

fn describe((source, version): &(String, Option<i64>)) -> String {
    match version {
        Some(version) => format!("{source} has version {version}"),
        None => format!("{source} has a corrupt document"),
    }
}
