//! Taking migrations back from wherever they are.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::cluster::Cluster;
use crate::kit::load::{Load, preload};
use crate::safety::migrate_without_delta;

const SLOW: &str = "[migration]\nphase_settle_ms = 300\nwrite_wait_ms = 20000";

async fn owners(cluster: &Cluster) -> Vec<Value> {
    let placement = cluster.get("/_miroir/placement").await;
    let shards = placement["shards"].as_array().unwrap();
    shards.iter().map(|s| s["owners"].clone()).collect()
}

async fn rolled_back_in(phase: &str, crash: bool) {
    let mut cluster = Cluster::start(3, 2, SLOW);
    let mut known = preload(&cluster.http, &cluster.address, 1000).await;
    let before = owners(&cluster).await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.migrate_to(3, None, true).await;
    cluster.router.wait_for_phase(phase);
    let (status, answer) = cluster
        .call(Method::POST, "/_miroir/migrations/1/rollback", None)
        .await;
    assert_eq!(status, 202, "{answer}");
    if answer["rollback"] == "aborted" {
        cluster.router.wait_for_event("discarded");
    } else {
        let id = answer["id"].as_u64().unwrap();
        if crash {
            cluster.router.wait_for_phase_of(id, "cutover_begin");
            cluster.crash_router();
        }
        cluster.router.wait_for_phase_of(id, "complete");
    }
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert_eq!(owners(&cluster).await, before);
    assert!(cluster.held_by(3).await.is_empty());
    cluster.assert_nothing_misplaced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_in_dual_write_is_an_abort() {
    rolled_back_in("dual_write_migrating", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_in_the_delta_pass_is_an_abort() {
    rolled_back_in("cutover_delta_pass", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_at_activation_moves_the_shards_back() {
    rolled_back_in("cutover_activate", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_in_cleanup_moves_the_shards_back() {
    rolled_back_in("cutover_cleanup", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_after_completion_moves_the_shards_back() {
    rolled_back_in("complete", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_on_after_a_crash_of_the_router() {
    rolled_back_in("complete", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_an_unchecked_cutover_brings_back_what_new_never_got() {
    let cluster = Cluster::start(2, 1, "");
    let known = migrate_without_delta(&cluster).await;
    cluster.router.wait_for_event("awaiting_anti_entropy");
    let damage = known.damage(&cluster.http, &cluster.address).await;
    assert!(!damage.lost.is_empty(), "{damage:?}");
    let id = cluster
        .begin(Method::POST, "/_miroir/migrations/1/rollback", None)
        .await;
    cluster.router.wait_for_phase_of(id, "complete");
    known.assert_intact(&cluster.http, &cluster.address).await;
    let first = cluster.get("/_miroir/migrations/1").await;
    assert_eq!(
        (&first["phase"], &first["rolled_back_by"]),
        (&json!("failed"), &json!(2))
    );
    let (status, again) = cluster
        .call(Method::POST, "/_miroir/migrations/1/rollback", None)
        .await;
    assert_eq!(
        (status.as_u16(), again["code"].as_str()),
        (409, Some("already_given_up"))
    );
}
