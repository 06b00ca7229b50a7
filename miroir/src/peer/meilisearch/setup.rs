//! Preparing an index: it exists, its primary key is ours, and the fields that filters name are filterable.

use serde_json::Value;

use super::super::operations::PeerError;
use super::api::Api;
use super::tasks;
use super::tombstone::DELETED;
use crate::wire::document::{EXPIRES, PRIMARY_KEY, SHARD, STAMP};

/// What filters name.
const FILTERABLE: [&str; 4] = [SHARD, STAMP, DELETED, EXPIRES];

/// Makes whatever is missing, and waits until it is there. What users have made filterable stays so.
pub(super) async fn prepare(api: &Api, index: &str) -> Result<(), PeerError> {
    // An earlier attempt may still be under way.
    if let Some(open) = api.newest_open_task(index).await? {
        tasks::end(api, open, api.deadline()).await?;
    }
    let deadline = api.deadline();
    let task = match api.index(index).await? {
        None => Some(api.create_index(index, deadline).await?),
        Some(found) => match found.primary_key.as_deref() {
            Some(PRIMARY_KEY) => None,
            None => Some(api.set_primary_key(index, deadline).await?),
            Some(other) => {
                return Err(PeerError::Answer {
                    node: api.node.clone(),
                    status: 409,
                    code: "index_primary_key_already_exists".to_owned(),
                    message: format!("the primary key of `{index}` is `{other}`, not `id`"),
                });
            }
        },
    };
    if let Some(task) = task {
        tasks::succeed(api, task, deadline).await?;
    }
    let mut attributes = api.filterable_attributes(index).await?;
    let before = attributes.len();
    for name in FILTERABLE {
        if !attributes.iter().any(|a| a == name) {
            attributes.push(Value::from(name));
        }
    }
    if attributes.len() > before {
        let deadline = api.deadline();
        let task = api
            .set_filterable_attributes(index, &attributes, deadline)
            .await?;
        tasks::succeed(api, task, deadline).await?;
    }
    Ok(())
}
