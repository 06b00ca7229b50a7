//! Waiting for a migration. A router that restarts meanwhile is waited for, too.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::{Client, CtlError};

/// Pause between looks at a migration.
const POLL: Duration = Duration::from_millis(20);

/// Waits until a migration, the last one unless told, is in a phase; ends early when that cannot come any more.
pub(crate) async fn until_phase(
    client: &Client,
    id: Option<u64>,
    phase: &str,
    timeout: Duration,
) -> Result<Value, CtlError> {
    let deadline = Instant::now() + timeout;
    loop {
        let seen = look(client, id).await?;
        let last = seen["phase"].clone();
        if last == phase {
            return Ok(seen);
        }
        fail_early(&seen)?;
        if Instant::now() >= deadline {
            return Err(CtlError::TimedOut(format!(
                "phase is {last}, not {phase}, after {timeout:?}"
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Prints each phase as it is entered, and ends with the migration.
pub(crate) async fn watch(client: &Client, id: u64, timeout: Duration) -> Result<Value, CtlError> {
    let deadline = Instant::now() + timeout;
    let mut last = Value::Null;
    loop {
        let seen = look(client, Some(id)).await?;
        if seen["phase"] != last && !seen["phase"].is_null() {
            last = seen["phase"].clone();
            eprintln!("{}", last.as_str().unwrap_or_default());
        }
        if last == "complete" {
            return Ok(seen);
        }
        fail_early(&seen)?;
        if Instant::now() >= deadline {
            return Err(CtlError::TimedOut(format!("still in {last}")));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn fail_early(seen: &Value) -> Result<(), CtlError> {
    if seen["phase"] != "failed" {
        return Ok(());
    }
    let given_up = match &seen["given_up"] {
        Value::Null => &seen["migration"]["given_up"],
        own => own,
    };
    Err(CtlError::Failed(format!(
        "the migration failed: {}",
        given_up["reason"]
    )))
}

/// The migration, or the status; `null` while the router cannot be reached.
async fn look(client: &Client, id: Option<u64>) -> Result<Value, CtlError> {
    let path = match id {
        Some(id) => format!("/_miroir/migrations/{id}"),
        None => "/_miroir/status".to_owned(),
    };
    match client.get(&path).await {
        Err(CtlError::Unreachable(_)) => Ok(Value::Null),
        answer => answer,
    }
}
