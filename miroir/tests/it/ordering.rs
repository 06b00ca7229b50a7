//! The order of writes does not depend on any router's wall clock.

use reqwest::Method;
use serde_json::json;

use crate::kit::cluster::Cluster;

/// A write that another router stamped, whose clock is an hour ahead, is followed by one through this router.
async fn write_after_a_faster_clock(environment: &[(&str, &str)]) -> (u16, serde_json::Value) {
    let mut cluster = Cluster::start_with(1, 1, "", environment);
    let ahead = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap() + 3_600_000;
    cluster
        .post(
            "/indexes/docs/documents",
            json!([{"id": "a", "version": 1}]),
        )
        .await;
    let held = cluster.held_by(1).await;
    let document = json!([{
        "id": "a", "version": 2, "_miroir_shard": held[0]["_miroir_shard"], "_miroir_updated_at": ahead << 12,
    }]);
    let url = cluster.nodes[0].url("/indexes/docs/documents");
    cluster.http.post(url).json(&document).send().await.unwrap();
    // The router that takes over has neither that router's state nor its clock.
    cluster.crash_router();
    let body = Some(json!([{"id": "a", "version": 3}]));
    let (status, _) = cluster
        .call(Method::POST, "/indexes/docs/documents", body)
        .await;
    let read = cluster.get("/indexes/docs/documents/a").await;
    (status.as_u16(), read["version"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_takes_over_stamps_above_all_that_the_nodes_have_seen() {
    assert_eq!(write_after_a_faster_clock(&[]).await, (202, json!(3)));
}

#[cfg(feature = "planted-bugs")]
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_wall_clock_loses_a_write_that_was_acknowledged() {
    let bug = [("MIROIR_BUG", "wall_clock")];
    assert_eq!(write_after_a_faster_clock(&bug).await, (202, json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_below_what_a_node_holds_is_not_acknowledged_and_the_next_one_is() {
    let cluster = Cluster::start(1, 1, "");
    cluster
        .post(
            "/indexes/docs/documents",
            json!([{"id": "a", "version": 1}]),
        )
        .await;
    let shard = cluster.held_by(1).await[0]["_miroir_shard"].clone();
    let ahead = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap() + 3_600_000;
    let document = json!([{"id": "a", "_miroir_shard": shard, "_miroir_updated_at": ahead << 12}]);
    let url = cluster.nodes[0].url("/indexes/docs/documents");
    cluster.http.post(url).json(&document).send().await.unwrap();
    let write = json!([{"id": "a", "version": 2}]);
    let (status, error) = cluster.post("/indexes/docs/documents", write.clone()).await;
    assert_eq!(status, 503);
    assert!(
        error["message"].as_str().unwrap().contains("newer_version"),
        "{error}"
    );
    assert_eq!(cluster.post("/indexes/docs/documents", write).await.0, 202);
    assert_eq!(cluster.get("/indexes/docs/documents/a").await["version"], 2);
}

/// Whether a copied record of an older stamp replaces a newer one on a node.
async fn copy_replaces_newer(environment: &[(&str, &str)]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let node =
        crate::kit::cluster::Node::start_with(directory.path().join("data"), &[], environment);
    let http = reqwest::Client::new();
    let send = |stamp: u64, origin: &'static str| {
        let document = json!([{"id": "a", "_miroir_shard": 1, "_miroir_updated_at": stamp}]);
        let request = http
            .post(node.url("/indexes/docs/documents"))
            .json(&document);
        async move {
            request
                .header("x-miroir-origin", origin)
                .send()
                .await
                .unwrap()
        }
    };
    send(9, "client").await;
    send(5, "copy").await;
    let read = http
        .get(node.url("/indexes/docs/documents/a"))
        .send()
        .await
        .unwrap();
    let read: serde_json::Value = read.json().await.unwrap();
    read["_miroir_updated_at"] == 5
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_never_replaces_a_newer_version() {
    assert!(!copy_replaces_newer(&[]).await);
}

#[cfg(feature = "planted-bugs")]
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_overwrites_newer_versions_is_seen() {
    assert!(copy_replaces_newer(&[("MIROIR_BUG", "copy_overwrites_newer")]).await);
}

/// How many of 50 acknowledged writes a node killed with SIGKILL has lost.
async fn lost_by_a_kill(environment: &[(&str, &str)]) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let mut node =
        crate::kit::cluster::Node::start_with(directory.path().join("data"), &[], environment);
    let http = reqwest::Client::new();
    for i in 0..50 {
        let request = http
            .post(node.url("/indexes/docs/documents"))
            .json(&json!([{"id": i}]));
        assert_eq!(request.send().await.unwrap().status(), 202);
    }
    node.restart();
    let page = reqwest::get(node.url("/indexes/docs/documents"))
        .await
        .unwrap();
    let page: serde_json::Value = page.json().await.unwrap();
    50 - usize::try_from(page["total"].as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_has_lost_nothing_that_it_acknowledged() {
    assert_eq!(lost_by_a_kill(&[]).await, 0);
}

#[cfg(feature = "planted-bugs")]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_acknowledges_before_the_commit_is_durable_loses_writes() {
    assert!(lost_by_a_kill(&[("MIROIR_BUG", "ack_before_durable")]).await > 0);
}
