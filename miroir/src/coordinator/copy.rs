//! The background copy: pages of OLD's moving shards, documents and tombstones, written to NEW with the stamps they
//! carry, so that nothing newer is overwritten.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::patience::Patience;
use super::state::{Migration, Move};
use crate::audit::CopiedPage;
use crate::log;
use crate::peer::{Peer, PeerError, Stamped};
use crate::router::Cluster;
use crate::wire::document::document_id;
use crate::wire::message::{Page, PageRequest, shard_filter};

/// Copies everything; retried for ever, since nothing is lost by waiting and an operator can abort.
pub(crate) async fn copy_all(cluster: &Arc<Cluster>, migration: &Migration) {
    let to = cluster.peers.get(&migration.to);
    let mut copied = 0;
    for step in &migration.moves {
        cluster
            .coordinator
            .progress
            .update(step.shard, |p| p.state = "migrating");
        for source in &step.sources {
            copied +=
                copy_shard(cluster, migration.id, step, &cluster.peers.get(source), &to).await;
        }
        cluster
            .coordinator
            .progress
            .update(step.shard, |p| p.state = "migration_complete");
    }
    log::event(
        "copy_done",
        &[
            ("migration", json!(migration.id)),
            ("documents", json!(copied)),
        ],
    );
}

async fn copy_shard(
    cluster: &Arc<Cluster>,
    migration: u64,
    step: &Move,
    source: &Peer,
    to: &Peer,
) -> u64 {
    let config = &cluster.config.migration;
    let mut after: Option<String> = None;
    let mut limit = config.page_size;
    let mut copied = 0;
    let mut patience = Patience::endless();
    loop {
        let request = PageRequest {
            filter: Some(shard_filter(step.shard)),
            limit: Some(limit),
            after: after.clone(),
            tombstones: true,
            ..PageRequest::default()
        };
        let page = match move_page(cluster, &request, source, to).await {
            Ok(page) => page,
            Err(error) => {
                // A smaller page has a better chance on a bad connection; it is read afresh.
                limit = (limit / 2).max(1);
                log::event(
                    "copy_retry",
                    &[
                        ("shard", json!(step.shard)),
                        ("error", json!(error.to_string())),
                    ],
                );
                let _ = patience.or_give_up(error).await;
                continue;
            }
        };
        patience.renew();
        limit = (limit * 2).min(config.page_size);
        copied += page.results.len() as u64;
        let left = page
            .total
            .saturating_sub(copied)
            .div_ceil(config.page_size as u64);
        cluster.coordinator.progress.update(step.shard, |p| {
            p.copied += page.results.len() as u64;
            p.pages_left = left;
        });
        let next = page.next.clone();
        record(cluster, migration, step.shard, after.take(), page);
        match next {
            None => return copied,
            next => after = next,
        }
        tokio::time::sleep(Duration::from_millis(config.page_pause_ms)).await;
    }
}

async fn move_page(
    cluster: &Cluster,
    request: &PageRequest,
    source: &Peer,
    to: &Peer,
) -> Result<Page, PeerError> {
    let index = &cluster.config.index;
    let page = source.page(index, request).await?;
    let records = Stamped {
        documents: page.results.clone(),
        tombstones: page.tombstones.clone(),
    };
    to.carry(index, records, cluster.writer()).await?;
    Ok(page)
}

fn record(cluster: &Cluster, migration: u64, shard: u32, after: Option<String>, page: Page) {
    let ids = || {
        page.results
            .iter()
            .filter_map(|d| document_id(d).ok())
            .chain(page.tombstones.iter().map(|t| t.id.clone()))
    };
    cluster.audit.page(CopiedPage {
        shard,
        after,
        first: ids().min(),
        last: ids().max(),
        seq: page.seq,
        docs: page.results.len() as u64,
        end: page.next.is_none(),
        migration,
    });
}
