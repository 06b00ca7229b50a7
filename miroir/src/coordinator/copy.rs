//! The background copy: pages of OLD's moving shards, documents and tombstones, written to NEW with the stamps they
//! carry, so that nothing newer is overwritten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::patience::Patience;
use super::sources::enough;
use super::state::Migration;
use crate::audit::CopiedPage;
use crate::log;
use crate::peer::{Peer, PeerError, Stamped};
#[cfg(feature = "planted-bugs")]
use crate::planted::{Bug, planted};
use crate::router::Cluster;
use crate::wire::document::document_id;
use crate::wire::message::{Page, PageRequest, shard_filter};

/// Attempts to read a page from a source that others can stand in for.
const SOURCE_ATTEMPTS: u32 = 10;

/// Copies everything; retried for ever, since nothing is lost by waiting and an operator can abort. A replica that
/// cannot be read is left out when the others are enough.
pub(crate) async fn copy_all(cluster: &Arc<Cluster>, migration: &Migration) {
    let (progress, id) = (&cluster.coordinator.progress, migration.id);
    let mut copied = 0;
    let mut absent = BTreeSet::new();
    for step in &migration.moves {
        let joining = step.joining.iter().map(|n| cluster.peers.get(n));
        let to: Vec<Arc<Peer>> = joining.collect();
        progress.enter(id, &[step.shard], "migrating");
        for source in step.sources.iter().filter(|_| !to.is_empty()) {
            let others = step
                .sources
                .iter()
                .filter(|s| !absent.contains(*s) && *s != source);
            let others: BTreeSet<String> = others.cloned().collect();
            let dispensable = cluster.state.read(|s| enough(s, step, &others));
            if dispensable && absent.contains(source) {
                continue;
            }
            let from = cluster.peers.get(source);
            match copy_shard(cluster, id, step.shard, &from, &to, dispensable).await {
                Ok(count) => copied += count,
                Err(error) => {
                    log::warn(&format!("a source is left out: {error}"));
                    absent.insert(source.clone());
                }
            }
        }
        progress.enter(id, &[step.shard], "migration_complete");
    }
    log::event(
        "copy_done",
        &[("migration", json!(id)), ("documents", json!(copied))],
    );
}

/// Copies a shard page by page; gives up only on a source that is dispensable.
async fn copy_shard(
    cluster: &Arc<Cluster>,
    migration: u64,
    shard: u32,
    source: &Peer,
    to: &[Arc<Peer>],
    dispensable: bool,
) -> Result<u64, PeerError> {
    let config = &cluster.config.migration;
    let mut after: Option<String> = None;
    let mut limit = config.page_size;
    let mut copied = 0;
    let mut patience = Patience::endless();
    let mut unread = 0;
    loop {
        let request = PageRequest {
            filter: Some(shard_filter(shard)),
            limit: Some(limit),
            after: after.clone(),
            tombstones: true,
            ..PageRequest::default()
        };
        let moved = match source.page(&cluster.config.index, &request).await {
            Ok(page) => {
                unread = 0;
                #[cfg(feature = "planted-bugs")]
                let page = super::planted::without_later_writes(cluster, migration, page);
                carry(cluster, &page, to).await.map(|()| page)
            }
            Err(error) => {
                unread += 1;
                if dispensable && unread > SOURCE_ATTEMPTS {
                    return Err(error);
                }
                Err(error)
            }
        };
        let page = match moved {
            Ok(page) => page,
            Err(error) => {
                // A smaller page has a better chance on a bad connection; it is read afresh.
                limit = (limit / 2).max(1);
                log::event(
                    "copy_retry",
                    &[
                        ("migration", json!(migration)),
                        ("shard", json!(shard)),
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
        cluster.metrics.copied.inc_by(page.results.len() as u64);
        let left = page
            .total
            .saturating_sub(copied)
            .div_ceil(config.page_size as u64);
        cluster.coordinator.progress.update(migration, shard, |p| {
            p.copied += page.results.len() as u64;
            p.pages_left = left;
        });
        let next = page.next.clone();
        record(cluster, migration, shard, after.take(), page);
        match next {
            None => return Ok(copied),
            next => after = next,
        }
        tokio::time::sleep(Duration::from_millis(config.page_pause_ms)).await;
    }
}

async fn carry(cluster: &Cluster, page: &Page, to: &[Arc<Peer>]) -> Result<(), PeerError> {
    for peer in to {
        let records = Stamped {
            documents: page.results.clone(),
            tombstones: page.tombstones.clone(),
        };
        let carried = peer
            .carry(&cluster.config.index, records, cluster.writer())
            .await;
        #[cfg(feature = "planted-bugs")]
        if carried.is_err() && planted(Bug::PageLostOnRetry) {
            continue;
        }
        carried?;
    }
    Ok(())
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
