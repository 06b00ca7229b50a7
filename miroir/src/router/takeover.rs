//! Taking over from earlier routers, and noticing that a later one has taken over.
//!
//! Nodes remember the epoch and process of the last router that registered, and refuse all others. A router becomes
//! ready with an epoch above all that a majority of the owners know, registered with a majority: of two routers
//! started from copies of one data directory, whichever registers last acts, and the other is refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::cluster::Cluster;
use crate::log;
use crate::peer::Peer;

/// How long one node is waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// Pause between looks at what the nodes know.
const WATCH: Duration = Duration::from_millis(500);

/// Registers a new epoch with a majority of the owners; tries for ever.
pub(crate) async fn register(cluster: &Arc<Cluster>) {
    let mut complained = false;
    while let Err(reason) = attempt(cluster).await {
        if !complained {
            log::event("registering", &[("waits_for", json!(reason))]);
            complained = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    cluster.identity.set_registered();
}

async fn attempt(cluster: &Arc<Cluster>) -> Result<(), String> {
    let owners = cluster.state.read(|s| s.serving());
    let known = ask(cluster, |peer| async move { peer.epoch().await.ok() }).await;
    majority(&owners, known.iter().map(|(name, _)| name))?;
    let highest = known
        .iter()
        .filter_map(|(_, a)| Some(a.as_ref()?.epoch))
        .max()
        .unwrap_or(0);
    let epoch = cluster
        .state
        .update(|s| {
            s.epoch = s.epoch.max(highest) + 1;
            s.epoch
        })
        .map_err(|e| e.to_string())?;
    cluster.identity.take_epoch(epoch);
    let fence = cluster.fence(Vec::new(), 0);
    let registered = ask(cluster, |peer| {
        let fence = fence.clone();
        async move { peer.fence(&fence).await.ok() }
    })
    .await;
    for (_, stamp) in &registered {
        cluster.hlc.observe(*stamp);
    }
    majority(&owners, registered.iter().map(|(name, _)| name))
}

/// Keeps looking at what the nodes know: registers with those that missed it, and notices a later router.
pub(crate) async fn watch(cluster: &Arc<Cluster>) {
    loop {
        confirm(cluster).await;
        tokio::time::sleep(WATCH).await;
    }
}

/// Asks all nodes once whether this router still is the last one; registers with those that do not know it.
pub(crate) async fn confirm(cluster: &Arc<Cluster>) {
    let ours = (cluster.identity.epoch(), cluster.identity.incarnation);
    for (name, answer) in ask(cluster, |peer| async move { peer.epoch().await.ok() }).await {
        let Some(answer) = answer else { continue };
        let theirs = (answer.epoch, answer.incarnation);
        if theirs.0 > ours.0 || (theirs.0 == ours.0 && theirs.1 != ours.1 && theirs.1 != 0) {
            cluster.identity.refused(&name);
        } else if theirs != ours {
            let fence = cluster.fence(Vec::new(), 0);
            match cluster.peers.get(&name).fence(&fence).await {
                Ok(stamp) => cluster.hlc.observe(stamp),
                Err(error) => log::warn(&format!("not registered with every node yet: {error}")),
            }
        }
    }
}

fn majority<'a>(
    owners: &BTreeSet<String>,
    answered: impl Iterator<Item = &'a String>,
) -> Result<(), String> {
    let count = answered.filter(|name| owners.contains(*name)).count();
    if count > owners.len() / 2 {
        return Ok(());
    }
    Err(format!("{count} of {} owners answered", owners.len()))
}

/// Asks all nodes at once; those that do not answer in time are left out.
async fn ask<T: Send + 'static, F: Future<Output = Option<T>> + Send + 'static>(
    cluster: &Cluster,
    question: impl Fn(Arc<Peer>) -> F,
) -> Vec<(String, T)> {
    let mut asking = tokio::task::JoinSet::new();
    for member in cluster.state.read(|s| s.nodes.clone()) {
        let answer = question(cluster.peers.get(&member.name));
        asking.spawn(async move {
            let answer = tokio::time::timeout(ANSWER, answer).await;
            (member.name, answer.ok().flatten())
        });
    }
    let mut answers = Vec::new();
    while let Some(joined) = asking.join_next().await {
        if let Ok((name, Some(answer))) = joined {
            answers.push((name, answer));
        }
    }
    answers
}
