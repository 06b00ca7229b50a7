//! Moving shards to a joining node while clients write.

use serde_json::json;

use crate::kit::cluster::Cluster;
use crate::kit::load::{Load, preload};
use crate::kit::proxy::{ALWAYS, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_under_load_loses_nothing_and_leaves_nothing_behind() {
    let cluster = Cluster::start(3, 2, "[migration]\nphase_settle_ms = 100");
    let mut known = preload(&cluster.http, &cluster.address, 3000).await;
    let load = Load::start(&cluster.http, &cluster.address, 8);
    cluster.migrate_to(3, None, true).await;
    cluster.router.wait_for_phase("complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert_eq!(known.unknown, 0, "{known:?}");
    assert!(!cluster.held_by(3).await.is_empty());
    cluster.assert_nothing_misplaced().await;
    let waits = cluster.get("/_miroir/status").await["write_wait"].clone();
    // Three phases hold writes, each for at least 100 ms; a writer is never away for so long.
    assert!(waits["max_ms"].as_f64().unwrap() >= 100.0, "{waits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn phases_come_in_order() {
    let cluster = Cluster::start(2, 1, "");
    cluster.migrate_to(2, None, true).await;
    cluster.router.wait_for_phase("complete");
    let log = cluster.router.log();
    let phases: Vec<_> = log
        .iter()
        .filter(|l| l["event"] == "phase")
        .map(|l| l["phase"].clone())
        .collect();
    let expected = [
        "computing_assignments",
        "dual_write_migrating",
        "cutover_begin",
        "cutover_draining",
        "cutover_delta_pass",
        "cutover_activate",
        "cutover_cleanup",
        "complete",
    ];
    assert_eq!(phases, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_fail_on_the_new_owner_are_completed_by_the_delta_pass() {
    let cluster = Cluster::start(3, 2, "[migration]\npage_size = 100");
    let proxy = Proxy::to(&cluster.nodes[2].address).await;
    proxy.reset_share(100);
    let mut known = preload(&cluster.http, &cluster.address, 2000).await;
    let load = Load::start(&cluster.http, &cluster.address, 8);
    cluster.migrate_to(3, Some(proxy.address), false).await;
    cluster.router.wait_for_event("copy_done");
    let before = proxy.resets();
    // No page will bring what fails from here on.
    for i in 0..300 {
        let id = format!("late-{i}");
        known
            .send(&cluster.http, &cluster.address, &id, Some(1))
            .await;
    }
    assert!(proxy.resets() > before, "no late write failed on NEW");
    cluster
        .post("/_miroir/migrations/1/cutover", json!({}))
        .await;
    cluster.router.wait_for_phase("complete");
    // NEW serves reads now.
    proxy.reset_share(0);
    known.merge(load.end().await);
    assert!(
        cluster.router.wait_for_event("delta_done")["copied"]
            .as_u64()
            .unwrap()
            > 0
    );
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_during_dual_write_give_the_same_document_on_both_owners() {
    let cluster = Cluster::start(2, 1, "[migration]\npage_pause_ms = 20\npage_size = 10");
    preload(&cluster.http, &cluster.address, 1000).await;
    cluster.migrate_to(2, None, true).await;
    cluster.router.wait_for_phase("dual_write_migrating");
    for i in 0..200 {
        let answer = cluster
            .http
            .put(cluster.url("/indexes/docs/documents"))
            .json(&json!([{"id": format!("pre-{i}"), "extra": i}]));
        assert_eq!(answer.send().await.unwrap().status(), 202);
    }
    cluster.router.wait_for_phase("complete");
    for i in 0..200 {
        let document = cluster
            .get(&format!("/indexes/docs/documents/pre-{i}"))
            .await;
        assert_eq!(
            document,
            json!({"id": format!("pre-{i}"), "version": 1, "text": format!("text 1 of pre-{i}"), "extra": i})
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_cutover_waits_for_the_operator() {
    let cluster = Cluster::start(2, 1, "");
    let known = preload(&cluster.http, &cluster.address, 100).await;
    cluster.migrate_to(2, None, false).await;
    cluster.router.wait_for_event("copy_done");
    let status = cluster.get("/_miroir/status").await;
    assert_eq!(status["phase"], "dual_write_migrating");
    assert_eq!(
        cluster
            .post("/_miroir/migrations/1/cutover", json!({}))
            .await
            .0,
        202
    );
    cluster.router.wait_for_phase("complete");
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_migration_leaves_everything_as_it_was() {
    let cluster = Cluster::start(2, 1, "");
    let mut known = preload(&cluster.http, &cluster.address, 1000).await;
    let before = cluster.get("/_miroir/placement").await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.migrate_to(2, None, false).await;
    cluster.router.wait_for_event("copy_done");
    assert!(!cluster.held_by(2).await.is_empty());
    assert_eq!(
        cluster
            .post("/_miroir/migrations/1/abort", json!({}))
            .await
            .0,
        202
    );
    cluster.router.wait_for_event("discarded");
    known.merge(load.end().await);
    assert_eq!(cluster.get("/_miroir/placement").await, before);
    assert_eq!(cluster.held_by(2).await, Vec::<serde_json::Value>::new());
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_pass_that_cannot_reach_the_new_owner_fails_and_writes_go_on_to_the_old_one() {
    let cluster = Cluster::start(
        2,
        1,
        "[migration]\ndelta_timeout_ms = 4000\nphase_settle_ms = 100",
    );
    let proxy = Proxy::to(&cluster.nodes[1].address).await;
    let mut known = preload(&cluster.http, &cluster.address, 500).await;
    let before = cluster.get("/_miroir/placement").await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.migrate_to(2, Some(proxy.address), false).await;
    cluster.router.wait_for_event("copy_done");
    proxy.reset_share(ALWAYS);
    cluster
        .post("/_miroir/migrations/1/cutover", json!({}))
        .await;
    let failed = cluster.router.wait_for_phase("failed");
    assert_eq!(failed["failed_in"], "cutover_delta_pass");
    // Copies on NEW stay in the making until it can be told to discard them.
    assert_eq!(
        owners(&cluster.get("/_miroir/placement").await),
        owners(&before)
    );
    known
        .send(&cluster.http, &cluster.address, "after", Some(1))
        .await;
    assert_eq!(known.documents["after"], [Some(1)].into());
    // Once it can be reached again, the next attempt succeeds.
    proxy.reset_share(0);
    assert_eq!(
        cluster
            .post("/_miroir/migrations", json!({"to": "n2"}))
            .await
            .0,
        202
    );
    cluster.router.wait_for_phase("complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_owner_makes_the_drain_time_out_and_late_writes_are_fenced_off() {
    let cluster = Cluster::start(
        2,
        1,
        "[migration]\ndrain_timeout_ms = 200\nstuck_writes = 'fail'\nnode_timeout_ms = 60000\nphase_settle_ms = 300",
    );
    let mut known = preload(&cluster.http, &cluster.address, 500).await;
    cluster.migrate_to(2, None, false).await;
    cluster.router.wait_for_event("copy_done");
    cluster.nodes[0].process.signal("STOP");
    let load = Load::start(&cluster.http, &cluster.address, 4);
    let stuck = async {
        while cluster.get("/_miroir/status").await["migration"]["shards"]
            .as_object()
            .unwrap()
            .values()
            .all(|s| s["in_flight"] == 0)
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    stuck.await;
    cluster
        .post("/_miroir/migrations/1/cutover", json!({}))
        .await;
    let timed_out = cluster.router.wait_for_event("drain_timeout");
    assert!(
        (1..=4).contains(&timed_out["pending"].as_u64().unwrap()),
        "{timed_out}"
    );
    cluster.nodes[0].process.signal("CONT");
    cluster.router.wait_for_phase("complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    cluster.assert_nothing_misplaced().await;
}

/// The owners of each shard, in order of shards.
fn owners(placement: &serde_json::Value) -> Vec<serde_json::Value> {
    let shards = placement["shards"]
        .as_array()
        .expect("a placement lists shards");
    shards.iter().map(|shard| shard["owners"].clone()).collect()
}
