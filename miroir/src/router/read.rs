//! Client reads: in each group enough owners are asked that the last write it acknowledged is among the answers; of
//! all answers the newest counts. A group that cannot answer is left out, as long as another one can.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::cluster::Cluster;
use super::table::{Class, Owners, Route};
use crate::routing::shard_of;
use crate::wire::document::{
    Document, PRIMARY_KEY, is_expired, parse_id, stamp_of, strip_internal,
};
use crate::wire::error::ApiError;
use crate::wire::stamp::millis_of;

/// What is known of each key: its stamp, and the document unless it is deleted.
type Found = HashMap<String, (u64, Option<Document>)>;

/// The answer to a read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// With internal fields.
    pub(crate) found: Found,
    /// Owners, as `group/node`, that did not answer.
    pub(crate) degraded: BTreeSet<String>,
}

/// Reads documents by id; those that do not exist are left out. Internal fields are stripped.
pub(crate) async fn by_ids(
    cluster: &Cluster,
    ids: &[String],
) -> Result<(Vec<Document>, BTreeSet<String>), ApiError> {
    cluster.check_serving()?;
    loop {
        let route = cluster.table.current();
        let mut all = read_by(cluster, &route, ids).await?;
        // Meanwhile a shard may have moved away and been removed where it was read.
        if !same_owners(cluster, &route, ids) {
            continue;
        }
        let now_ms = millis_of(cluster.hlc.now());
        let documents = ids.iter().filter_map(|id| all.found.remove(id)?.1);
        let documents = documents.filter(|d| !is_expired(d, now_ms));
        let stripped = documents.map(|mut d| {
            strip_internal(&mut d);
            d
        });
        return Ok((stripped.collect(), all.degraded));
    }
}

async fn read_by(cluster: &Cluster, route: &Route, ids: &[String]) -> Result<Read, ApiError> {
    let mut classes: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for id in ids {
        let class = route.class_of(shard_of(id, cluster.config.shards));
        classes.entry(class).or_default().push(id.clone());
    }
    let mut all = Read::default();
    for (number, ids) in classes {
        let read = class(cluster, route.class(number), &ids).await?;
        all.found.extend(read.found);
        all.degraded.extend(read.degraded);
    }
    Ok(all)
}

fn same_owners(cluster: &Cluster, before: &Arc<Route>, ids: &[String]) -> bool {
    let now = cluster.table.current();
    let names = |route: &Route, shard| -> Vec<String> {
        let groups = route.shard(shard).groups.iter();
        groups
            .flat_map(|g| g.nodes.iter().map(|p| p.name.clone()))
            .collect()
    };
    now.term == before.term
        || ids.iter().all(|id| {
            let shard = shard_of(id, cluster.config.shards);
            names(&now, shard) == names(before, shard)
        })
}

/// Reads keys of shards of one class.
pub(crate) async fn class(
    cluster: &Cluster,
    class: &Class,
    ids: &[String],
) -> Result<Read, ApiError> {
    let mut all = Read::default();
    let mut failures = Vec::new();
    let mut answered = 0;
    for owners in &class.groups {
        match group(cluster, owners, ids, &mut all).await {
            Ok(()) => answered += 1,
            Err(causes) => failures.extend(causes),
        }
    }
    if answered > 0 {
        return Ok(all);
    }
    Err(ApiError::unavailable(
        "read_failed",
        format!("too few owners answered: {}", failures.join(", ")),
    ))
}

async fn group(
    cluster: &Cluster,
    owners: &Owners,
    ids: &[String],
    all: &mut Read,
) -> Result<(), Vec<String>> {
    let mut needed = owners.read_quorum;
    let mut failures = Vec::new();
    for owner in &owners.nodes {
        let answer = owner.by_ids(&cluster.config.index, ids).await;
        let taken = answer
            .map_err(|e| e.to_string())
            .and_then(|page| take(all, page));
        match taken {
            Ok(()) => needed -= 1,
            Err(cause) => {
                all.degraded
                    .insert(format!("{}/{}", owners.group, owner.name));
                failures.push(cause);
            }
        }
        if needed == 0 {
            return Ok(());
        }
    }
    Err(failures)
}

fn take(all: &mut Read, page: crate::wire::message::Page) -> Result<(), String> {
    for t in page.tombstones {
        newest(&mut all.found, t.id, t.stamp, None);
    }
    for document in page.results {
        let id = document.get(PRIMARY_KEY).and_then(|v| parse_id(v).ok());
        let id = id.ok_or("a node answered with a document without id")?;
        newest(&mut all.found, id, stamp_of(&document), Some(document));
    }
    Ok(())
}

fn newest(found: &mut Found, id: String, stamp: u64, document: Option<Document>) {
    let entry = found.entry(id).or_insert((0, None));
    if stamp >= entry.0 {
        *entry = (stamp, document);
    }
}
