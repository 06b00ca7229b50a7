//! Anti-entropy between replicas: deletes stay deletes, expired documents stay away, reports without repairs, progress.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::cluster::Cluster;
use crate::kit::load::{Load, preload};
use crate::kit::process::run;

const REPLICAS: &str = "replication_factor = 3";

async fn pass(cluster: &Cluster, what: &str) -> Value {
    let path = format!("/_miroir/anti-entropy/{what}");
    let (status, report) = cluster.call(Method::POST, &path, None).await;
    assert_eq!(status, 200, "{report}");
    report
}

async fn write(cluster: &Cluster, document: Value) {
    let (status, answer) = cluster
        .post("/indexes/docs/documents", json!([document]))
        .await;
    assert_eq!(status, 202, "{answer}");
}

async fn delete(cluster: &Cluster, id: &str) {
    let path = format!("/indexes/docs/documents/{id}");
    assert_eq!(cluster.call(Method::DELETE, &path, None).await.0, 202);
}

async fn ids_held_by(cluster: &Cluster, n: usize) -> Vec<String> {
    let held = cluster.held_by(n).await;
    held.iter()
        .map(|d| d["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A third replica misses an insert, an update and a delete, and comes back.
async fn a_replica_that_missed_writes(environment: &[(&str, &str)], options: &str) -> Cluster {
    let mut cluster = Cluster::start_with(3, 3, &format!("{REPLICAS}\n{options}"), environment);
    for id in ["kept", "updated", "deleted"] {
        write(&cluster, json!({"id": id, "version": 1})).await;
    }
    cluster.nodes[2].process.kill();
    write(&cluster, json!({"id": "updated", "version": 2})).await;
    write(&cluster, json!({"id": "inserted", "version": 1})).await;
    delete(&cluster, "deleted").await;
    cluster.nodes[2].restart();
    assert_eq!(ids_held_by(&cluster, 3).await.len(), 3);
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_missed_a_delete_never_resurrects_it() {
    let cluster = a_replica_that_missed_writes(&[], "").await;
    let report = pass(&cluster, "run").await;
    assert_eq!(
        (&report["complete"], &report["repaired"], &report["mode"]),
        (&json!(true), &json!(3), &json!("repair")),
        "{report}"
    );
    for n in 1..=3 {
        let mut held = ids_held_by(&cluster, n).await;
        held.sort();
        assert_eq!(held, ["inserted", "kept", "updated"], "on n{n}");
    }
    let read = cluster.get("/indexes/docs/documents/deleted").await;
    assert_eq!(read["code"], "document_not_found");
}

#[cfg(feature = "planted-bugs")]
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_ignores_tombstones_leaves_deleted_documents() {
    let bug = [("MIROIR_BUG", "repair_ignores_tombstones")];
    let cluster = a_replica_that_missed_writes(&bug, "").await;
    pass(&cluster, "run").await;
    assert!(
        ids_held_by(&cluster, 3)
            .await
            .contains(&"deleted".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_go_only_after_all_replicas_agree_however_long_one_was_away() {
    // No grace at all: the agreement alone must do.
    let options = "[anti_entropy]\ntombstone_grace_s = 0";
    let mut cluster = Cluster::start(3, 3, &format!("{REPLICAS}\n{options}"));
    write(&cluster, json!({"id": "a"})).await;
    cluster.nodes[2].process.kill();
    delete(&cluster, "a").await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let alone = pass(&cluster, "run").await;
    assert_eq!(alone["complete"], false);
    cluster.nodes[2].restart();
    let first = pass(&cluster, "run").await;
    assert_eq!(first["repaired"], 1, "{first}");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let second = pass(&cluster, "run").await;
    let purged = |r: &Value| r["purged"].as_u64().unwrap();
    assert_eq!(purged(&alone), 0, "{alone}");
    assert_eq!(purged(&first) + purged(&second), 3, "{first} {second}");
    for n in 1..=3 {
        assert_eq!(ids_held_by(&cluster, n).await, Vec::<String>::new());
    }
    assert_eq!(pass(&cluster, "verify").await["divergent_keys"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_auto_repair_divergences_are_reported_and_left() {
    let options = "[anti_entropy]\nauto_repair = false";
    let cluster = a_replica_that_missed_writes(&[], options).await;
    let report = pass(&cluster, "run").await;
    assert_eq!(
        (&report["mode"], &report["repaired"], &report["complete"]),
        (&json!("report"), &json!(0), &json!(false))
    );
    assert!(report["divergent_keys"].as_u64().unwrap() >= 3, "{report}");
    assert!(report["alerts"].as_u64().unwrap() > 0);
    cluster.router.wait_for_event("anti_entropy_alert");
    assert_eq!(ids_held_by(&cluster, 3).await.len(), 3);
    let status = cluster.get("/_miroir/anti-entropy").await;
    assert_eq!(status["totals"]["alerts"], report["alerts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_changes_nothing_and_history_survives_the_router() {
    let mut cluster = a_replica_that_missed_writes(&[], "").await;
    let verified = pass(&cluster, "verify").await;
    assert!(verified["divergent_keys"].as_u64().unwrap() >= 3);
    assert_eq!(ids_held_by(&cluster, 3).await.len(), 3);
    pass(&cluster, "run").await;
    cluster.crash_router();
    let url = cluster.url("");
    let history = run(&["ctl", "--url", &url, "--json", "anti-entropy", "history"]);
    let history: Value = serde_json::from_slice(&history.stdout).unwrap();
    let modes: Vec<&Value> = history["passes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["mode"])
        .collect();
    assert_eq!(modes, ["verify", "repair"]);
    let status = run(&["ctl", "--url", &url, "anti-entropy", "status"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("schedule: 0 */6 * * *"));
    let verified = run(&["ctl", "--url", &url, "--json", "anti-entropy", "verify"]);
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["complete"], true, "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_passes_go_round_the_shards_and_their_progress_is_visible() {
    let options = "shards = 8\n[anti_entropy]\nschedule = '* * * * * *'\nshards_per_pass = 3\n\
                   max_records_per_s = 40\nfingerprint_batch_size = 10";
    let mut cluster = Cluster::start(3, 3, &format!("{REPLICAS}\n{options}"));
    cluster.nodes[2].process.kill();
    let known = preload(&cluster.http, &cluster.address, 200).await;
    cluster.nodes[2].restart();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let status = cluster.get("/_miroir/anti-entropy").await;
        seen.insert(status["totals"]["repaired"].as_u64().unwrap());
        if ids_held_by(&cluster, 3).await.len() == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(seen.len() > 4, "no progress was seen: {seen:?}");
    let history = cluster.get("/_miroir/anti-entropy/history").await;
    assert_eq!(history["passes"][0]["shards"], 3);
    assert_eq!(history["passes"][0]["trigger"], "schedule");
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_document_is_not_served_and_no_replica_brings_it_back() {
    let mut cluster = Cluster::start(
        3,
        3,
        &format!("{REPLICAS}\n[expiry]\nsweep_interval_s = 3600"),
    );
    let now = jiff::Timestamp::now().as_millisecond();
    let soon = now + 8000;
    write(
        &cluster,
        json!({"id": "short", "old": 1, "_miroir_expires_at": soon}),
    )
    .await;
    write(
        &cluster,
        json!({"id": "long", "_miroir_expires_at": now + 3_600_000}),
    )
    .await;
    write(
        &cluster,
        json!({"id": "again", "old": 1, "_miroir_expires_at": soon}),
    )
    .await;
    let read = cluster.get("/indexes/docs/documents/short").await;
    assert_eq!(read, json!({"id": "short", "old": 1}));
    cluster.nodes[2].process.kill();
    while jiff::Timestamp::now().as_millisecond() <= soon {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let read = cluster.get("/indexes/docs/documents/short").await;
    assert_eq!(read["code"], "document_not_found");
    // A merge does not bring the fields of an expired document back.
    let (_, task) = cluster
        .call(
            Method::PUT,
            "/indexes/docs/documents",
            Some(json!([{"id": "again", "new": 1}])),
        )
        .await;
    assert_eq!(task["status"], "succeeded");
    // One replica is away while the others delete it.
    pass(&cluster, "run").await;
    cluster.nodes[2].restart();
    pass(&cluster, "run").await;
    for n in 1..=3 {
        let mut held = ids_held_by(&cluster, n).await;
        held.sort();
        assert_eq!(held, ["again", "long"], "on n{n}");
    }
    let read = cluster.get("/indexes/docs/documents/again").await;
    assert_eq!(read, json!({"id": "again", "new": 1}));
    let bad = json!([{"id": "x", "_miroir_expires_at": "tomorrow"}]);
    assert_eq!(cluster.post("/indexes/docs/documents", bad).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_schedule_is_refused_at_start_up() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("router.toml");
    let text = "listen = '127.0.0.1:0'\ndata_dir = 'd'\nnodes = [{ name = 'a', url = 'http://127.0.0.1:1' }]\n\
                [anti_entropy]\nschedule = 'now and then'";
    std::fs::write(&config, text).unwrap();
    let output = run(&[
        "router",
        "--check-config",
        "--config",
        config.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("anti_entropy.schedule"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_throughout_a_migration_under_load_do_no_harm() {
    let options = "replication_factor = 2\n[migration]\npage_size = 50\nphase_settle_ms = 150";
    let cluster = Cluster::start(4, 3, options);
    let mut known = preload(&cluster.http, &cluster.address, 600).await;
    let load = Load::start(&cluster.http, &cluster.address, 4);
    cluster.migrate_to(4, None, true).await;
    let mut passes = 0;
    while cluster.get("/_miroir/status").await["phase"] != "complete" {
        pass(&cluster, "run").await;
        passes += 1;
    }
    known.merge(load.end().await);
    assert!(passes > 1, "only {passes} passes ran");
    assert_eq!(pass(&cluster, "run").await["complete"], true);
    assert_eq!(pass(&cluster, "verify").await["divergent_keys"], 0);
    known.assert_intact(&cluster.http, &cluster.address).await;
    let placement = cluster.get("/_miroir/placement").await;
    for (node, n) in cluster.nodes.iter().zip(1..) {
        for document in cluster.held_by(n).await {
            let shard = document["_miroir_shard"].as_u64().unwrap() as usize;
            let owners = placement["shards"][shard]["owners"].as_array().unwrap();
            assert!(
                owners.contains(&json!(node.address)),
                "left behind: {document}"
            );
        }
    }
}
