//! What clients and operators see of a router: API, ctl, outcomes.

use reqwest::Method;
use serde_json::json;

use crate::kit::cluster::Cluster;
use crate::kit::load::preload;
use crate::kit::process::run;

#[tokio::test(flavor = "multi_thread")]
async fn clients_neither_see_nor_set_internal_fields() {
    let cluster = Cluster::start(2, 2, "");
    let (status, task) = cluster
        .post(
            "/indexes/docs/documents",
            json!([{"id": 1, "a": 0.1}, {"id": "x-2"}]),
        )
        .await;
    assert_eq!(
        (status.as_u16(), task["status"].as_str()),
        (202, Some("succeeded"))
    );
    assert_eq!(
        cluster.get("/indexes/docs/documents/1").await,
        json!({"id": 1, "a": 0.1})
    );
    let (status, error) = cluster
        .post(
            "/indexes/docs/documents",
            json!([{"id": 1, "_miroir_shard": 3}]),
        )
        .await;
    assert_eq!(
        (status.as_u16(), error["code"].as_str()),
        (400, Some("reserved_field"))
    );
    let (_, found) = cluster
        .post(
            "/indexes/docs/documents/fetch",
            json!({"ids": [1, 3, "x-2"]}),
        )
        .await;
    assert_eq!(
        found["results"],
        json!([{"id": 1, "a": 0.1}, {"id": "x-2"}])
    );
    assert_eq!(
        cluster
            .call(Method::DELETE, "/indexes/docs/documents/1", None)
            .await
            .0,
        202
    );
    assert_eq!(
        cluster
            .call(Method::GET, "/indexes/docs/documents/1", None)
            .await
            .0,
        404
    );
    assert_eq!(
        cluster
            .call(Method::GET, "/indexes/other/documents/1", None)
            .await
            .0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_certainly_failed_says_so() {
    let mut cluster = Cluster::start(1, 1, "");
    cluster.nodes[0].process.kill();
    let write = || {
        cluster
            .http
            .post(cluster.url("/indexes/docs/documents"))
            .json(&json!([{"id": 1}]))
    };
    // The first may find the connection gone only after sending.
    write().send().await.unwrap();
    let answer = write().send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-miroir-outcome"], "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_unknown() {
    let cluster = Cluster::start(1, 1, "[migration]\nnode_timeout_ms = 3000");
    preload(&cluster.http, &cluster.address, 1).await;
    cluster.nodes[0].process.signal("STOP");
    let answer = cluster
        .http
        .post(cluster.url("/indexes/docs/documents"))
        .json(&json!([{"id": 1}]))
        .send()
        .await
        .unwrap();
    cluster.nodes[0].process.signal("CONT");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["x-miroir-outcome"], "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_can_be_run_with_ctl_alone() {
    let cluster = Cluster::start(2, 1, "");
    preload(&cluster.http, &cluster.address, 100).await;
    let url = cluster.url("");
    let ctl = |arguments: &[&str]| {
        let mut all = vec!["ctl", "--url", &url];
        all.extend(arguments);
        let output = run(&all);
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(ctl(&["health"]).0, 0);
    assert_eq!(
        ctl(&["migration", "start", "--to", "n2"]).2,
        "node_not_found: node `n2` was not added\n"
    );
    assert_eq!(
        ctl(&[
            "node",
            "add",
            "n2",
            &format!("http://{}", cluster.nodes[1].address)
        ])
        .0,
        0
    );
    assert_eq!(
        ctl(&["migration", "start", "--to", "n2", "--manual-cutover"]).0,
        0
    );
    assert_eq!(
        ctl(&[
            "wait",
            "--phase",
            "dual_write_migrating",
            "--timeout",
            "30s"
        ])
        .0,
        0
    );
    assert_eq!(
        ctl(&["wait", "--phase", "complete", "--timeout", "50ms"]).0,
        4
    );
    assert_eq!(ctl(&["migration", "cutover"]).0, 0);
    assert_eq!(
        ctl(&["wait", "--phase", "complete", "--timeout", "30s"]).0,
        0
    );
    let (code, status, _) = ctl(&["--json", "migration", "status"]);
    assert_eq!(code, 0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&status).unwrap()["phase"],
        "complete"
    );
    assert!(ctl(&["status"]).1.contains("phase: complete"));
    assert!(ctl(&["nodes", "list"]).1.contains("n2"));
    assert!(ctl(&["placement"]).1.contains("owners="));
    assert!(ctl(&["digest"]).1.contains("hash: "));
    assert_eq!(ctl(&["anti-entropy", "run"]).0, 0);
    assert_eq!(ctl(&["migration", "abort"]).0, 1);
    assert_eq!(
        run(&["ctl", "--url", "http://127.0.0.1:1", "health"])
            .status
            .code(),
        Some(3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn placement_names_owners_and_former_owners_by_address() {
    let cluster = Cluster::start(2, 1, "");
    cluster.migrate_to(2, None, true).await;
    cluster.router.wait_for_phase("complete");
    let placement = cluster.get("/_miroir/placement").await;
    let shards = placement["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 64);
    let (old, new) = (&cluster.nodes[0].address, &cluster.nodes[1].address);
    let moved: Vec<_> = shards
        .iter()
        .filter(|s| s["owners"] == json!([new]))
        .collect();
    assert!(!moved.is_empty() && moved.len() < 64);
    assert!(moved.iter().all(|s| s["former"] == json!([old])));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_is_refused_with_a_hint_to_try_again() {
    let limits = "max_writes = 2\nmax_body_bytes = 2000\nmax_write_bytes = 3000\n[migration]\nnode_timeout_ms = 60000";
    let cluster = Cluster::start(1, 1, limits);
    let write = |id: &str, length: usize| {
        cluster
            .http
            .post(cluster.url("/indexes/docs/documents"))
            .json(&json!([{"id": id, "text": "x".repeat(length)}]))
            .send()
    };
    assert_eq!(write("long", 3000).await.unwrap().status(), 413);
    cluster.nodes[0].process.signal("STOP");
    let url = cluster.url("/indexes/docs/documents");
    let hang = |id: &'static str, length: usize| {
        let (http, url) = (cluster.http.clone(), url.clone());
        let body = json!([{"id": id, "text": "x".repeat(length)}]);
        tokio::spawn(async move { http.post(url).json(&body).send().await.unwrap() })
    };
    let under_way = async |count: usize| {
        while cluster.get("/_miroir/writes").await["writes"]
            .as_array()
            .unwrap()
            .len()
            < count
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let first = hang("first", 1500);
    under_way(1).await;
    // 1.5 of 3 kB are taken.
    let refused = write("second", 1700).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["x-miroir-outcome"], "none");
    let third = hang("third", 10);
    under_way(2).await;
    assert_eq!(write("fourth", 10).await.unwrap().status(), 429);
    cluster.nodes[0].process.signal("CONT");
    assert_eq!(first.await.unwrap().status(), 202);
    assert_eq!(third.await.unwrap().status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_told_to_end_finishes_the_writes_under_way() {
    let mut cluster = Cluster::start(1, 1, "[migration]\nnode_timeout_ms = 60000");
    preload(&cluster.http, &cluster.address, 1).await;
    cluster.nodes[0].process.signal("STOP");
    let (http, url) = (cluster.http.clone(), cluster.url("/indexes/docs/documents"));
    let write =
        tokio::spawn(async move { http.post(url).json(&json!([{"id": "late"}])).send().await });
    while cluster.get("/_miroir/writes").await["writes"] == json!([]) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    cluster.router.signal("TERM");
    cluster.router.wait_for_event("stopping");
    cluster.nodes[0].process.signal("CONT");
    assert_eq!(write.await.unwrap().unwrap().status(), 202);
    assert!(cluster.router.terminate());
}

#[test]
fn the_version_tells_whether_bugs_are_planted() {
    let output = run(&["--version"]);
    let version = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        version.contains("PLANTED BUGS"),
        cfg!(feature = "planted-bugs"),
        "{version}"
    );
}

#[cfg(feature = "planted-bugs")]
#[test]
fn a_planted_bug_that_does_not_exist_ends_the_process_with_a_list() {
    let mut command = crate::kit::process::miroir(&["predict", "--audit", "missing"]);
    let output = command.env("MIROIR_BUG", "no_such_bug").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("delta_from_memory, no_drain"));
}
