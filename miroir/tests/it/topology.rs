//! Nodes and replica groups that come, go and fail, and several migrations at once.

use reqwest::Method;
use serde_json::json;

use crate::kit::cluster::Cluster;
use crate::kit::load::{Load, preload};

#[tokio::test(flavor = "multi_thread")]
async fn of_three_copies_one_may_be_missing_and_the_answer_says_so() {
    let mut cluster = Cluster::start(3, 3, "replication_factor = 3");
    let mut known = preload(&cluster.http, &cluster.address, 200).await;
    cluster.nodes[1].process.kill();
    for i in 0..50 {
        known
            .send(&cluster.http, &cluster.address, &format!("w-{i}"), Some(1))
            .await;
    }
    assert_eq!(known.refused + known.unknown, 0, "{known:?}");
    let write = cluster
        .http
        .post(cluster.url("/indexes/docs/documents"))
        .json(&json!([{"id": 1}]));
    let answer = write.send().await.unwrap();
    assert_eq!(answer.headers()["x-miroir-degraded"], "g0/n2");
    known.assert_intact(&cluster.http, &cluster.address).await;
    // With two of three gone there is no quorum.
    cluster.nodes[2].process.kill();
    let (status, _) = cluster
        .post("/indexes/docs/documents", json!([{"id": 2}]))
        .await;
    assert_eq!(status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_copies_both_must_acknowledge_and_either_can_be_read() {
    let mut cluster = Cluster::start(2, 2, "replication_factor = 2");
    let known = preload(&cluster.http, &cluster.address, 200).await;
    cluster.nodes[0].process.kill();
    known.assert_intact(&cluster.http, &cluster.address).await;
    let (status, _) = cluster
        .post("/indexes/docs/documents", json!([{"id": 2}]))
        .await;
    assert_eq!(status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_groups_one_may_be_missing_and_neither_side_loses_what_only_it_has() {
    let mut cluster = Cluster::start_in_groups(2, &["g0", "g1"], "");
    let mut known = preload(&cluster.http, &cluster.address, 100).await;
    cluster.nodes[1].process.kill();
    for i in 0..50 {
        known
            .send(&cluster.http, &cluster.address, &format!("a-{i}"), Some(1))
            .await;
    }
    cluster.nodes[1].restart();
    cluster.nodes[0].process.kill();
    for i in 0..50 {
        known
            .send(&cluster.http, &cluster.address, &format!("b-{i}"), Some(1))
            .await;
    }
    cluster.nodes[0].restart();
    assert_eq!(known.refused, 0, "{known:?}");
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_on_replicas_give_the_same_document_everywhere_though_one_missed_some() {
    let mut cluster = Cluster::start(3, 3, "replication_factor = 3");
    let merge = async |cluster: &Cluster, body: serde_json::Value| {
        let (status, _) = cluster
            .call(Method::PUT, "/indexes/docs/documents", Some(json!([body])))
            .await;
        assert_eq!(status, 202);
    };
    merge(&cluster, json!({"id": "k", "a": 1})).await;
    cluster.nodes[2].process.kill();
    merge(&cluster, json!({"id": "k", "b": 2})).await;
    cluster.nodes[2].restart();
    merge(&cluster, json!({"id": "k", "c": 3})).await;
    let whole = json!({"id": "k", "a": 1, "b": 2, "c": 3});
    assert_eq!(cluster.get("/indexes/docs/documents/k").await, whole);
    for n in 1..=3 {
        let held = cluster.held_by(n).await;
        assert_eq!(
            (&held[0]["b"], &held[0]["c"]),
            (&json!(2), &json!(3)),
            "n{n}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_replaced_while_another_one_is_down() {
    let mut cluster = Cluster::start(
        4,
        3,
        "replication_factor = 3\n[migration]\nnode_timeout_ms = 2000",
    );
    let mut known = preload(&cluster.http, &cluster.address, 500).await;
    cluster.nodes[0].process.kill();
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.add_node(4, None).await;
    let id = cluster
        .begin(
            Method::POST,
            "/_miroir/migrations",
            Some(json!({"to": "n4"})),
        )
        .await;
    cluster.router.wait_for_phase_of(id, "cutover_activate");
    cluster.nodes[0].restart();
    cluster.router.wait_for_phase_of(id, "complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    cluster.assert_nothing_misplaced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_join_at_once_and_nothing_is_lost() {
    let cluster = Cluster::start(
        4,
        2,
        "[migration]\nphase_settle_ms = 100\nnode_timeout_ms = 60000",
    );
    let mut known = preload(&cluster.http, &cluster.address, 3000).await;
    let load = Load::start(&cluster.http, &cluster.address, 8);
    cluster.migrate_to(3, None, true).await;
    cluster.migrate_to(4, None, true).await;
    let (status, refused) = cluster
        .post("/_miroir/migrations", json!({"to": "n3"}))
        .await;
    assert_eq!(
        (status.as_u16(), refused["code"].as_str()),
        (409, Some("migration_conflict"))
    );
    let list = cluster.get("/_miroir/migrations").await;
    assert_eq!(list["migrations"].as_array().unwrap().len(), 2);
    let of = async |id: u64| {
        let migration = cluster.get(&format!("/_miroir/migrations/{id}")).await;
        let shards = migration["shards"].as_object().unwrap();
        shards
            .keys()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert!(of(1).await.is_disjoint(&of(2).await));
    cluster.router.wait_for_phase_of(1, "complete");
    cluster.router.wait_for_phase_of(2, "complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert_eq!(known.unknown, 0, "{known:?}");
    cluster.assert_nothing_misplaced().await;
    assert!(!cluster.held_by(3).await.is_empty() && !cluster.held_by(4).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_migrations_go_on_after_a_crash_of_the_router() {
    let mut cluster = Cluster::start(4, 2, "[migration]\nphase_settle_ms = 200");
    let mut known = preload(&cluster.http, &cluster.address, 1000).await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.migrate_to(3, None, true).await;
    cluster.migrate_to(4, None, true).await;
    cluster.router.wait_for_phase_of(2, "cutover_begin");
    cluster.crash_router();
    cluster.router.wait_for_phase_of(1, "complete");
    cluster.router.wait_for_phase_of(2, "complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    cluster.assert_nothing_misplaced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_migrations_can_be_aborted_alone() {
    let cluster = Cluster::start(4, 2, "[migration]\nphase_settle_ms = 50");
    let mut known = preload(&cluster.http, &cluster.address, 1000).await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.migrate_to(3, None, false).await;
    cluster.migrate_to(4, None, true).await;
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/abort", None)
        .await;
    cluster.router.wait_for_phase_of(2, "complete");
    cluster.router.wait_for_event("discarded");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    cluster.assert_nothing_misplaced().await;
    assert!(cluster.held_by(3).await.is_empty() && !cluster.held_by(4).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_moves_cannot_be_asked_for_and_others_can() {
    let cluster = Cluster::start(4, 2, "");
    cluster.migrate_to(3, None, false).await;
    cluster.add_node(4, None).await;
    let moving = cluster.get("/_miroir/shards").await;
    let shards = moving["shards"].as_array().unwrap();
    let busy = shards.iter().find(|s| s["moving"] == 1).unwrap()["shard"].clone();
    let free = shards.iter().find(|s| s["moving"].is_null()).unwrap()["shard"].clone();
    let (status, refused) = cluster
        .post("/_miroir/migrations", json!({"to": "n4", "shards": [busy]}))
        .await;
    assert_eq!(status, 409);
    assert_eq!(refused["code"], "migration_conflict");
    let asked = json!({"to": "n4", "shards": [free]});
    let id = cluster
        .begin(Method::POST, "/_miroir/migrations", Some(asked))
        .await;
    cluster.router.wait_for_phase_of(id, "complete");
    let shards = cluster.get("/_miroir/shards").await;
    let row = &shards["shards"][usize::try_from(free.as_u64().unwrap()).unwrap()];
    assert_eq!(row["owners"], json!(["g0/n4"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_hands_over_everything_and_is_forgotten() {
    let cluster = Cluster::start(3, 3, "");
    let mut known = preload(&cluster.http, &cluster.address, 2000).await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    let id = cluster
        .begin(Method::DELETE, "/_miroir/nodes/n2", None)
        .await;
    cluster.router.wait_for_phase_of(id, "complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert!(cluster.held_by(2).await.is_empty());
    cluster.assert_nothing_misplaced().await;
    let nodes = cluster.get("/_miroir/nodes").await;
    let names: Vec<_> = nodes["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| &n["name"])
        .collect();
    assert_eq!(names, ["n1", "n3"]);
    // A node that owns nothing is forgotten at once, and one that is not known cannot be.
    cluster.add_node(2, None).await;
    let (status, answer) = cluster
        .call(Method::DELETE, "/_miroir/nodes/n2", None)
        .await;
    assert_eq!((status.as_u16(), answer), (200, json!({"removed": true})));
    assert_eq!(
        cluster
            .call(Method::DELETE, "/_miroir/nodes/n2", None)
            .await
            .0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_added_and_the_first_one_removed_without_loss() {
    let cluster = Cluster::start(3, 1, "");
    let mut known = preload(&cluster.http, &cluster.address, 1000).await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.add_node_to(2, "g1").await;
    let early = cluster
        .post(
            "/_miroir/groups",
            json!({"name": "g1", "replication_factor": 2}),
        )
        .await;
    assert_eq!(early.1["code"], "too_few_nodes");
    cluster.add_node_to(3, "g1").await;
    let body = json!({"name": "g1", "replication_factor": 2});
    let id = cluster
        .begin(Method::POST, "/_miroir/groups", Some(body))
        .await;
    cluster.router.wait_for_phase_of(id, "complete");
    let held = cluster.held_by(2).await.len();
    assert!(held >= 1000, "{held}");
    let id = cluster
        .begin(Method::DELETE, "/_miroir/groups/g0", None)
        .await;
    cluster.router.wait_for_phase_of(id, "complete");
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert!(cluster.held_by(1).await.is_empty());
    cluster.assert_nothing_misplaced().await;
    let (_, last) = cluster
        .call(Method::DELETE, "/_miroir/groups/g1", None)
        .await;
    assert_eq!(last["code"], "last_group");
    let routed = cluster.get("/_miroir/routing/some-key").await;
    assert_eq!(routed["owners"].as_array().unwrap().len(), 2);
}
