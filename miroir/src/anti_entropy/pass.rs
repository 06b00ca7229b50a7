//! One pass over shards, comparing all owners in all groups, and former owners that still hold a shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::copies::{Copies, awaiting, tell};
use super::expiry::sweep;
use super::journal::Report;
use super::reconcile::{carry, missing};
use crate::coordinator::Patience;
use crate::log;
use crate::peer::{Peer, PeerError};
use crate::router::Cluster;
use crate::wire::message::PurgeRequest;
use crate::wire::stamp::{at_millis, millis_of};

/// How long an unreachable node is tried again, for each shard.
const PATIENCE: Duration = Duration::from_secs(5);
/// Without repairs, divergences count if they are still there after this: until then they may be writes under way.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// Why a pass is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Its time has come.
    Scheduled,
    /// An operator wants it: over all shards.
    Asked,
    /// An operator wants all copies compared and nothing changed.
    Verify,
}

/// Runs a pass, after the one that may be running, and tells the migrations that wait for it.
pub(super) async fn run_pass(cluster: &Arc<Cluster>, order: Order) -> Report {
    let _one = cluster.anti_entropy.running.lock().await;
    let begun = Instant::now();
    let repairs = cluster.config.repairs() && order != Order::Verify;
    // A pass counts for what had been activated when it began, and forgets tombstones that were there by then.
    let waiting = awaiting(cluster);
    let begun_stamp = cluster.hlc.now();
    let (count, trigger) = match order {
        Order::Scheduled => (cluster.config.anti_entropy.shards_per_pass, "schedule"),
        Order::Asked | Order::Verify => (0, "operator"),
    };
    let mode = match (order, repairs) {
        (Order::Verify, _) => "verify",
        (_, true) => "repair",
        (_, false) => "report",
    };
    let report = Report {
        trigger: trigger.to_owned(),
        mode: mode.to_owned(),
        started_at: jiff::Timestamp::now().to_string(),
        ..Report::default()
    };
    let journal = &cluster.anti_entropy;
    let shards = journal.begin(report, count, cluster.config.shards);
    log::event(
        "anti_entropy_began",
        &[("mode", json!(mode)), ("shards", json!(shards.len()))],
    );
    if repairs {
        let expired = sweep(cluster).await;
        journal.update(|r| r.expired = expired);
    }
    let settled = compare_all(cluster, shards, mode, begun_stamp, begun).await;
    for (id, shards) in waiting {
        if repairs && shards.iter().all(|s| settled.contains(s)) {
            tell(cluster, id);
        }
    }
    journal.update(|r| {
        r.complete = settled.len() == r.shards as usize;
        r.duration_ms = millis(begun);
    });
    let report = journal.end();
    log::event("anti_entropy", &[("report", json!(report))]);
    report
}

/// Compares some shards at a time; answers with those whose copies are known to agree.
async fn compare_all(
    cluster: &Arc<Cluster>,
    shards: Vec<u32>,
    mode: &'static str,
    begun_stamp: u64,
    begun: Instant,
) -> Vec<u32> {
    let mut settled = Vec::new();
    let mut left = shards.into_iter();
    let given_up = Arc::new(AtomicBool::new(false));
    let mut comparing = JoinSet::new();
    loop {
        while comparing.len() < cluster.config.anti_entropy.max_read_concurrency
            && let Some(shard) = left.next()
        {
            let (cluster, given_up) = (Arc::clone(cluster), Arc::clone(&given_up));
            comparing.spawn(async move {
                let mut found = Found::default();
                let result =
                    compare_shard(&cluster, shard, mode, begun_stamp, &given_up, &mut found).await;
                (shard, found, result)
            });
        }
        let Some(compared) = comparing.join_next().await else {
            return settled;
        };
        let Ok((shard, found, result)) = compared else {
            cluster
                .anti_entropy
                .update(|r| r.errors.push("a comparison ended abnormally".to_owned()));
            continue;
        };
        let alert = mode == "report" && found.divergent > 0;
        if alert {
            log::event(
                "anti_entropy_alert",
                &[
                    ("shard", json!(shard)),
                    ("divergent_keys", json!(found.divergent)),
                ],
            );
        }
        if result.is_ok() && (mode == "repair" || found.divergent == 0) {
            settled.push(shard);
        }
        cluster.anti_entropy.update(|r| {
            r.shards_done += 1;
            r.divergent_shards += u32::from(found.divergent > 0);
            r.alerts += u32::from(alert);
            r.duration_ms = millis(begun);
            if let Err(error) = result {
                r.errors.push(format!("shard {shard}: {error}"));
            }
        });
    }
}

/// What was found in one shard.
#[derive(Default)]
struct Found {
    divergent: u64,
    tombstones: bool,
}

async fn compare_shard(
    cluster: &Arc<Cluster>,
    shard: u32,
    mode: &str,
    begun_stamp: u64,
    given_up: &AtomicBool,
    found: &mut Found,
) -> Result<(), PeerError> {
    let mut patience = Patience::limited(PATIENCE);
    loop {
        // Looked up anew for each attempt: an error may mean that the shard has moved on.
        let copies = Copies::of(cluster, shard);
        match attempt(cluster, shard, mode, &copies, found).await {
            Ok(()) if mode != "repair" => return Ok(()),
            Ok(()) => return purge(cluster, shard, &copies, begun_stamp, found).await,
            // One shard's patience is enough for a node that is down.
            Err(error) if given_up.load(Ordering::Relaxed) => return Err(error),
            Err(error) => {
                let last = patience.or_give_up(error).await;
                given_up.fetch_or(last.is_err(), Ordering::Relaxed);
                last?;
            }
        }
    }
}

/// Makes every comparison that can be made; answers with the first error.
async fn attempt(
    cluster: &Cluster,
    shard: u32,
    mode: &str,
    copies: &Copies,
    found: &mut Found,
) -> Result<(), PeerError> {
    let mut result = Ok(());
    for (source, target) in copies.pairs() {
        let compared = if mode == "repair" {
            repair(cluster, shard, source, target, copies, found).await
        } else {
            report(cluster, shard, source, target, found).await
        };
        result = result.and(compared);
    }
    result
}

/// Carries over what the target lacks, and looks again until nothing is found.
async fn repair(
    cluster: &Cluster,
    shard: u32,
    source: &Peer,
    target: &Peer,
    copies: &Copies,
    found: &mut Found,
) -> Result<(), PeerError> {
    let config = &cluster.config.anti_entropy;
    let index = &cluster.config.index;
    loop {
        let keys = config.fingerprint_batch_size;
        let compared = missing(index, shard, source, target, keys).await?;
        found.tombstones |= compared.tombstones;
        let mut repaired = 0;
        for ids in compared.missing.chunks(keys) {
            let applied = carry(index, ids, source, target, copies.writer).await?;
            repaired += applied;
            found.divergent += applied;
            cluster.anti_entropy.update(|r| {
                r.divergent_keys += applied;
                r.repaired += applied;
            });
            if let Some(seconds) = applied.checked_div(config.max_records_per_s) {
                let rest = applied % config.max_records_per_s * 1000 / config.max_records_per_s;
                tokio::time::sleep(Duration::from_millis(seconds * 1000 + rest)).await;
            }
        }
        // What the target ignored had reached it by itself in the meantime.
        if repaired == 0 {
            return Ok(());
        }
    }
}

async fn report(
    cluster: &Cluster,
    shard: u32,
    source: &Peer,
    target: &Peer,
    found: &mut Found,
) -> Result<(), PeerError> {
    let index = &cluster.config.index;
    let keys = cluster.config.anti_entropy.fingerprint_batch_size;
    let first = missing(index, shard, source, target, keys).await?;
    found.tombstones |= first.tombstones;
    if first.missing.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(SECOND_LOOK).await;
    let second = missing(index, shard, source, target, keys).await?;
    let lasting = second
        .missing
        .iter()
        .filter(|id| first.missing.contains(id));
    let divergent = lasting.count() as u64;
    found.divergent += divergent;
    cluster
        .anti_entropy
        .update(|r| r.divergent_keys += divergent);
    Ok(())
}

/// Forgets tombstones older than the grace period, now that all copies of the shard agree.
async fn purge(
    cluster: &Cluster,
    shard: u32,
    copies: &Copies,
    begun_stamp: u64,
    found: &Found,
) -> Result<(), PeerError> {
    let alone = copies.owners.len() == 1;
    if copies.moving || !(found.tombstones || alone) {
        return Ok(());
    }
    let grace_ms = cluster
        .config
        .anti_entropy
        .tombstone_grace_s
        .saturating_mul(1000);
    // The stamp alone decides, so that all copies forget the same ones.
    let below = at_millis(millis_of(begun_stamp).saturating_sub(grace_ms));
    let request = PurgeRequest { shard, below };
    for owner in &copies.owners {
        let purged = owner
            .purge(&cluster.config.index, &request, copies.writer)
            .await?;
        cluster.anti_entropy.update(|r| r.purged += purged);
    }
    Ok(())
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
