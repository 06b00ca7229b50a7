//! What operators ask of the topology: nodes and replica groups come and go.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::control::{How, internal, launch};
use super::state::{Group, Intent, Member};
use crate::log;
use crate::router::Cluster;
use crate::wire::error::ApiError;

/// Body of `POST /_miroir/groups`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupRequest {
    /// Its name. Its nodes were added before.
    pub(crate) name: String,
    /// Owners per shard; the configured value unless told.
    #[serde(default)]
    pub(crate) replication_factor: Option<usize>,
    /// Whether to stay in dual-write until told to cut over.
    #[serde(default)]
    pub(crate) manual_cutover: bool,
}

/// How something is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It owned nothing, and is forgotten.
    Now,
    /// By a migration, after which it is forgotten.
    By(u64),
}

/// Makes a node known. It owns nothing until a migration to it.
pub(crate) fn add_node(cluster: &Cluster, member: &Member) -> Result<(), ApiError> {
    cluster.check_serving()?;
    let invalid = |e: String| ApiError::bad_request("invalid_node", e);
    member.check().map_err(invalid)?;
    let known = cluster.state.read(|s| s.node(&member.name).cloned());
    match known {
        Some(known) if known == *member => return Ok(()),
        Some(known) => {
            return Err(ApiError::conflict(
                "node_exists",
                format!(
                    "node `{}` is known as {} in group `{}`",
                    known.name, known.url, known.group
                ),
            ));
        }
        None => {}
    }
    cluster.peers.add(member).map_err(invalid)?;
    cluster
        .state
        .update(|s| s.nodes.push(member.clone()))
        .map_err(internal)?;
    if let Some(warning) = member.warning() {
        log::warn(&warning);
    }
    log::event(
        "node_added",
        &[
            ("name", json!(member.name)),
            ("url", json!(member.url)),
            ("group", json!(member.group)),
        ],
    );
    Ok(())
}

/// Moves a node's shards to the others of its group and forgets it.
pub(crate) async fn remove_node(
    cluster: &Arc<Cluster>,
    name: &str,
    manual_cutover: bool,
) -> Result<Removed, ApiError> {
    cluster.check_serving()?;
    let mut tasks = cluster.coordinator.tasks().await;
    let idle = cluster.state.read(|s| {
        s.node(name).is_some()
            && !s.serving().contains(name)
            && !s.migrations.iter().any(|m| m.is_open() && m.involves(name))
    });
    let intent = Intent::RemoveNode(name.to_owned());
    if idle {
        forget(cluster, &intent)?;
        log::event("node_removed", &[("name", json!(name))]);
        return Ok(Removed::Now);
    }
    launch(cluster, &mut tasks, intent, &how(manual_cutover))
        .await
        .map(Removed::By)
}

/// Copies all shards to the nodes of a new group, which then serves, too.
pub(crate) async fn add_group(
    cluster: &Arc<Cluster>,
    request: &GroupRequest,
) -> Result<u64, ApiError> {
    cluster.check_serving()?;
    let mut tasks = cluster.coordinator.tasks().await;
    let group = Group {
        name: request.name.clone(),
        replication_factor: request
            .replication_factor
            .unwrap_or(cluster.config.replication_factor),
    };
    let before = cluster.state.read(|s| s.groups.clone());
    if !cluster
        .state
        .read(|s| s.serving_groups().contains(&group.name))
    {
        cluster
            .state
            .update(|s| {
                s.groups.retain(|g| g.name != group.name);
                s.groups.push(group.clone());
            })
            .map_err(internal)?;
    }
    let intent = Intent::AddGroup(group.name);
    let started = launch(cluster, &mut tasks, intent, &how(request.manual_cutover)).await;
    if started.is_err() {
        cluster
            .state
            .update(|s| s.groups = before)
            .map_err(internal)?;
    }
    started
}

/// Brings what only this group has to the others, removes its shards, and forgets its nodes.
pub(crate) async fn remove_group(
    cluster: &Arc<Cluster>,
    name: &str,
    manual_cutover: bool,
) -> Result<Removed, ApiError> {
    cluster.check_serving()?;
    let mut tasks = cluster.coordinator.tasks().await;
    let intent = Intent::RemoveGroup(name.to_owned());
    let idle = cluster.state.read(|s| {
        let member = |node: &Member| node.group == name;
        let open = |node: &Member| {
            s.migrations
                .iter()
                .any(|m| m.is_open() && m.involves(&node.name))
        };
        !s.serving_groups().contains(name)
            && (s.groups.iter().any(|g| g.name == name) || s.nodes.iter().any(member))
            && !s.nodes.iter().any(|n| member(n) && open(n))
    });
    if idle {
        forget(cluster, &intent)?;
        log::event("group_removed", &[("name", json!(name))]);
        return Ok(Removed::Now);
    }
    launch(cluster, &mut tasks, intent, &how(manual_cutover))
        .await
        .map(Removed::By)
}

/// Takes what owns nothing out of the topology.
fn forget(cluster: &Cluster, intent: &Intent) -> Result<(), ApiError> {
    cluster.state.update(|s| s.forget(intent)).map_err(internal)
}

fn how(manual_cutover: bool) -> How {
    How {
        manual_cutover,
        ..How::default()
    }
}
