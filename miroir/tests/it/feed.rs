//! The change feed: what clients wrote, at least once and in order, through restarts and moves.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::cluster::Cluster;
use crate::kit::load::{Load, preload};

/// Reads to the end; answers the changes and the cursor behind them.
async fn follow(cluster: &Cluster, mut cursor: String, limit: usize) -> (Vec<Value>, String, u64) {
    let (mut all, mut suppressed) = (Vec::new(), 0);
    loop {
        let path = format!("/_miroir/changes?since={cursor}&limit={limit}");
        let (status, answer) = cluster.call(Method::GET, &path, None).await;
        assert_eq!(status, 200, "{answer}");
        let changes = answer["changes"].as_array().unwrap();
        assert!(changes.len() <= limit);
        all.extend(changes.iter().cloned());
        suppressed += answer["suppressed"].as_u64().unwrap();
        cursor = answer["cursor"].as_str().unwrap().to_owned();
        if answer["more"] == false {
            return (all, cursor, suppressed);
        }
    }
}

/// The last state of each key, asserting that stamps never go back.
fn last_states(changes: &[Value]) -> BTreeMap<String, bool> {
    let mut last: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    for change in changes {
        let stamp = change["stamp"].as_u64().unwrap();
        let id = change["id"].as_str().unwrap().to_owned();
        let entry = last.entry(id).or_default();
        assert!(stamp >= entry.0, "out of order: {change}");
        *entry = (stamp, change["type"] == "upsert");
    }
    last.into_iter().map(|(id, (_, live))| (id, live)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_order_and_the_cursor_survives_router_and_nodes() {
    let mut cluster = Cluster::start(2, 2, "");
    cluster
        .post("/indexes/docs/documents", json!([{"id": "a"}, {"id": "b"}]))
        .await;
    let (first, cursor, _) = follow(&cluster, String::new(), 10).await;
    assert_eq!(first.len(), 2);
    cluster
        .call(Method::DELETE, "/indexes/docs/documents/a", None)
        .await;
    cluster.crash_router();
    cluster.nodes[0].restart();
    cluster.nodes[1].restart();
    cluster
        .post("/indexes/docs/documents", json!([{"id": "c"}]))
        .await;
    let (second, cursor, _) = follow(&cluster, cursor, 1).await;
    let brief: Vec<_> = second
        .iter()
        .map(|c| (c["id"].clone(), c["type"].clone()))
        .collect();
    assert_eq!(
        brief,
        [(json!("a"), json!("delete")), (json!("c"), json!("upsert"))]
    );
    assert!(second.iter().all(|c| c["origin"] == "client"));
    assert_eq!(follow(&cluster, cursor, 10).await.0, Vec::<Value>::new());
    let (status, error) = cluster
        .call(Method::GET, "/_miroir/changes?since=nonsense", None)
        .await;
    assert_eq!(
        (status.as_u16(), error["code"].as_str()),
        (400, Some("invalid_cursor"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_under_load_loses_no_change_and_its_copies_are_suppressed() {
    let cluster = Cluster::start(3, 2, "[migration]\npage_size = 50");
    let mut known = preload(&cluster.http, &cluster.address, 500).await;
    let (mut all, mut cursor, _) = follow(&cluster, String::new(), 200).await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.migrate_to(3, None, true).await;
    let mut suppressed = 0;
    loop {
        let (changes, next, hidden) = follow(&cluster, cursor, 200).await;
        all.extend(changes);
        cursor = next;
        suppressed += hidden;
        if cluster.get("/_miroir/status").await["phase"] == "complete" {
            break;
        }
    }
    known.merge(load.end().await);
    all.extend(follow(&cluster, cursor, 200).await.0);
    let last = last_states(&all);
    for (id, permissible) in &known.documents {
        let live = last.get(id).copied().unwrap_or(false);
        assert!(
            permissible.iter().any(|state| state.is_some() == live),
            "{id}: {permissible:?}"
        );
    }
    assert!(suppressed > 0, "no copy was suppressed");
}

/// A repair's changes: shown by default, and shown when asked for.
async fn shown_of_a_repair(environment: &[(&str, &str)]) -> (usize, usize) {
    let mut cluster = Cluster::start_with(3, 3, "replication_factor = 3", environment);
    // The bug is in the nodes.
    #[cfg(feature = "planted-bugs")]
    cluster.replant_nodes(environment);
    cluster.nodes[2].process.kill();
    preload(&cluster.http, &cluster.address, 20).await;
    cluster.nodes[2].restart();
    let (_, cursor, _) = follow(&cluster, String::new(), 100).await;
    let path = "/_miroir/anti-entropy/run";
    assert_eq!(
        cluster.call(Method::POST, path, None).await.1["repaired"],
        20
    );
    let path = format!("/_miroir/changes?since={cursor}");
    let shown = cluster.get(&path).await;
    let all = cluster.get(&format!("{path}&include=repairs")).await;
    (
        shown["changes"].as_array().unwrap().len(),
        all["changes"].as_array().unwrap().len(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn repairs_are_suppressed_unless_asked_for() {
    assert_eq!(shown_of_a_repair(&[]).await, (0, 20));
}

#[cfg(feature = "planted-bugs")]
#[tokio::test(flavor = "multi_thread")]
async fn repairs_that_emit_changes_are_seen() {
    assert_eq!(
        shown_of_a_repair(&[("MIROIR_BUG", "repair_emits_changes")]).await,
        (20, 20)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_older_than_what_is_kept_is_refused_clearly() {
    let mut cluster = Cluster::start(1, 1, "");
    cluster.nodes[0].restart_with(&["--keep-changes", "10"]);
    cluster
        .post("/indexes/docs/documents", json!([{"id": "a"}]))
        .await;
    let (_, cursor, _) = follow(&cluster, String::new(), 10).await;
    for i in 0..30 {
        cluster
            .post("/indexes/docs/documents", json!([{"id": format!("b{i}")}]))
            .await;
    }
    let path = format!("/_miroir/changes?since={cursor}");
    let (status, error) = cluster.call(Method::GET, &path, None).await;
    assert_eq!(
        (status.as_u16(), error["code"].as_str()),
        (410, Some("cursor_expired"))
    );
    let (kept, ..) = follow(&cluster, String::new(), 100).await;
    assert!((1..=11).contains(&kept.len()), "{}", kept.len());
}
