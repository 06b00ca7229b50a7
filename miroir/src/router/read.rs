//! Client reads: enough owners are asked that the last acknowledged write is among the answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::cluster::Cluster;
use crate::peer::Peer;
use crate::routing::shard_of;
use crate::wire::document::{
    Document, PRIMARY_KEY, is_expired, parse_id, stamp_of, strip_internal,
};
use crate::wire::error::ApiError;
use crate::wire::stamp::millis_of;

/// Keys with the same owners.
type Group<'a> = (&'a [Arc<Peer>], Vec<String>);

/// Reads documents by id; those that do not exist are left out. Internal fields are stripped.
pub(crate) async fn by_ids(cluster: &Cluster, ids: &[String]) -> Result<Vec<Document>, ApiError> {
    if !cluster.is_ready() {
        return Err(ApiError::unavailable(
            "recovering",
            "the router is still recovering",
        ));
    }
    let route = cluster.table.current();
    let mut groups: BTreeMap<Vec<&str>, Group<'_>> = BTreeMap::new();
    for id in ids {
        let owners = &route.owners[shard_of(id, cluster.config.shards) as usize];
        let names = owners.iter().map(|p| p.name.as_str()).collect();
        groups
            .entry(names)
            .or_insert_with(|| (owners, Vec::new()))
            .1
            .push(id.clone());
    }
    let mut found: HashMap<String, (u64, Option<Document>)> = HashMap::new();
    for (owners, ids) in groups.into_values() {
        read_group(cluster, owners, &ids, &mut found).await?;
    }
    let now_ms = millis_of(cluster.hlc.now());
    let documents = ids.iter().filter_map(|id| found.remove(id)?.1);
    let documents = documents.filter(|d| !is_expired(d, now_ms));
    Ok(documents
        .map(|mut d| {
            strip_internal(&mut d);
            d
        })
        .collect())
}

async fn read_group(
    cluster: &Cluster,
    owners: &[Arc<Peer>],
    ids: &[String],
    found: &mut HashMap<String, (u64, Option<Document>)>,
) -> Result<(), ApiError> {
    let mut needed = cluster.config.replication_factor + 1 - cluster.quorum();
    let mut failures = Vec::new();
    for owner in owners {
        match owner.by_ids(&cluster.config.index, ids).await {
            Err(e) => failures.push(e.to_string()),
            Ok(page) => {
                for t in page.tombstones {
                    newest(found, t.id, t.stamp, None);
                }
                for document in page.results {
                    let id = document.get(PRIMARY_KEY).and_then(|v| parse_id(v).ok());
                    let id = id.ok_or_else(|| {
                        ApiError::internal("a node answered with a document without id")
                    })?;
                    newest(found, id, stamp_of(&document), Some(document));
                }
                needed -= 1;
                if needed == 0 {
                    return Ok(());
                }
            }
        }
    }
    Err(ApiError::unavailable(
        "read_failed",
        format!("too few owners answered: {}", failures.join(", ")),
    ))
}

fn newest(
    found: &mut HashMap<String, (u64, Option<Document>)>,
    id: String,
    stamp: u64,
    document: Option<Document>,
) {
    let entry = found.entry(id).or_insert((0, None));
    if stamp >= entry.0 {
        *entry = (stamp, document);
    }
}
