//! Writes that do not settle, and the operator who marks them failed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::cluster::Cluster;
use crate::kit::load::preload;
use crate::kit::process::run;

const PATIENT: &str = "[migration]\ndrain_timeout_ms = 200\nnode_timeout_ms = 60000";

/// One write that hangs on the paused node 1, admitted while a migration to node 2 waits in dual-write.
async fn hung(cluster: &Cluster) -> tokio::task::JoinHandle<reqwest::Response> {
    cluster.migrate_to(2, None, false).await;
    cluster.router.wait_for_event("copy_done");
    cluster.nodes[0].process.signal("STOP");
    let shards = cluster.get("/_miroir/shards").await;
    let moving = shards["shards"].as_array().unwrap().iter();
    let moving: Vec<u64> = moving
        .filter(|s| s["moving"] == 1)
        .map(|s| s["shard"].as_u64().unwrap())
        .collect();
    let mut id = 0;
    while !moving.contains(&routed(cluster, id).await) {
        id += 1;
    }
    let write = cluster
        .http
        .post(cluster.url("/indexes/docs/documents"))
        .json(&json!([{"id": format!("hung-{id}")}]));
    let hung = tokio::spawn(async move { write.send().await.unwrap() });
    while writes(cluster).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    hung
}

async fn routed(cluster: &Cluster, id: u32) -> u64 {
    let route = cluster.get(&format!("/_miroir/routing/hung-{id}")).await;
    route["shard"].as_u64().unwrap()
}

async fn writes(cluster: &Cluster) -> Vec<Value> {
    let list = cluster.get("/_miroir/writes").await;
    list["writes"].as_array().unwrap().clone()
}

fn ctl(cluster: &Cluster, arguments: &[&str]) -> Value {
    let url = cluster.url("");
    let mut all = vec!["ctl", "--url", &url, "--json"];
    all.extend(arguments);
    let output = run(&all);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_until_the_operator_fails_the_stuck_write_whose_outcome_stays_unknown() {
    let cluster = Cluster::start(2, 1, PATIENT);
    let known = preload(&cluster.http, &cluster.address, 100).await;
    let hung = hung(&cluster).await;
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/cutover", None)
        .await;
    let timed_out = cluster.router.wait_for_event("drain_timeout");
    assert_eq!(
        (&timed_out["pending"], &timed_out["error"]),
        (&json!(1), &json!("DrainTimeout"))
    );
    let status = cluster.get("/_miroir/migrations/1").await;
    assert_eq!(status["drain"], json!({"timed_out": true, "pending": 1}));
    let listed = ctl(&cluster, &["writes", "list", "--stuck"]);
    assert_eq!(listed["writes"].as_array().unwrap().len(), 1, "{listed}");
    let id = listed["writes"][0]["id"].as_u64().unwrap();
    let failed = ctl(&cluster, &["writes", "fail", &id.to_string()]);
    assert_eq!(failed["failed"], json!([id]));
    let answer = hung.await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-miroir-outcome"], "unknown");
    cluster.router.wait_for_event("drained");
    cluster.nodes[0].process.signal("CONT");
    cluster.router.wait_for_phase("complete");
    assert!(writes(&cluster).await.is_empty());
    known.assert_intact(&cluster.http, &cluster.address).await;
    cluster.assert_nothing_misplaced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_waits_for_the_operator_can_be_aborted() {
    let cluster = Cluster::start(2, 1, PATIENT);
    let hung = hung(&cluster).await;
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/cutover", None)
        .await;
    cluster.router.wait_for_event("drain_timeout");
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/abort", None)
        .await;
    cluster.nodes[0].process.signal("CONT");
    // It was not marked: it goes through, on the old owner.
    assert_eq!(hung.await.unwrap().status(), 202);
    cluster.router.wait_for_event("discarded");
    assert_eq!(cluster.held_by(1).await.len(), 1);
    assert!(cluster.held_by(2).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_not_under_way_cannot_be_failed() {
    let cluster = Cluster::start(1, 1, "");
    let (status, answer) = cluster
        .post("/_miroir/writes/fail", json!({"ids": [7]}))
        .await;
    assert_eq!(
        (status.as_u16(), answer["code"].as_str()),
        (404, Some("write_not_found"))
    );
}
