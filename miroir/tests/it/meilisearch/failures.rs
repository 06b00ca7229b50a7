//! What a Meilisearch as a storage node gets wrong, and what it must not give away.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::suite::Server;
use crate::kit::cluster::Cluster;
use crate::kit::load::preload;
use crate::kit::meilisearch::{KEY, Meilisearch};
use crate::kit::process::run;

/// A cluster of n1 and the Meilisearch m1, and a key that m1 owns.
async fn joined(meilisearch: &Meilisearch, options: &str) -> (Cluster, Server, String) {
    let cluster = Cluster::start(1, 1, options);
    preload(&cluster.http, &cluster.address, 100).await;
    let server = Server::new(&meilisearch.address, KEY);
    server.join(&cluster, &server.address, true).await;
    cluster.router.wait_for_phase("complete");
    let owned = server.live().await.remove(0);
    (cluster, server, owned)
}

/// Writes a document; answers with status and outcome.
async fn write(cluster: &Cluster, document: Value) -> (u16, Option<String>, Value) {
    let url = cluster.url("/indexes/docs/documents");
    let answer = cluster
        .http
        .post(url)
        .json(&json!([document]))
        .send()
        .await
        .unwrap();
    let outcome = answer.headers().get("x-miroir-outcome");
    let outcome = outcome.map(|o| o.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        outcome,
        answer.json().await.unwrap(),
    )
}

fn outcome(word: &str) -> Option<String> {
    Some(word.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_fails_the_write_with_certainty() {
    let meilisearch = Meilisearch::start().await;
    let (cluster, _server, owned) = joined(&meilisearch, "").await;
    meilisearch.fail(true);
    let (status, said, body) = write(&cluster, json!({"id": owned, "version": 2})).await;
    assert_eq!((status, said), (503, outcome("none")), "{body}");
    assert!(
        body["message"].as_str().unwrap().contains("m1: internal"),
        "{body}"
    );
    meilisearch.fail(false);
    let path = format!("/indexes/docs/documents/{owned}");
    assert_eq!(cluster.get(&path).await["version"], 1);
    assert_eq!(
        write(&cluster, json!({"id": owned, "version": 3})).await.0,
        202
    );
    assert_eq!(cluster.get(&path).await["version"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_does_not_end_in_time_leaves_the_write_unknown() {
    let meilisearch = Meilisearch::start().await;
    let (cluster, _server, owned) =
        joined(&meilisearch, "[migration]\nnode_timeout_ms = 500").await;
    meilisearch.delay_ms(1500);
    let (status, said, body) = write(&cluster, json!({"id": owned, "version": 2})).await;
    assert_eq!((status, said), (503, outcome("unknown")), "{body}");
    meilisearch.delay_ms(1);
    // It was accepted, so it comes true.
    let path = format!("/indexes/docs/documents/{owned}");
    while cluster.get(&path).await["version"] != 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_a_joining_meilisearch_accepts_late_do_not_overtake_each_other() {
    let meilisearch = Meilisearch::start().await;
    let cluster = Cluster::start(1, 1, "");
    preload(&cluster.http, &cluster.address, 20).await;
    let server = Server::new(&meilisearch.address, KEY);
    server.join(&cluster, &server.address, false).await;
    cluster.router.wait_for_event("copy_done");
    let moving = server.live().await.remove(0);
    meilisearch.stall_every_other_ms(100);
    // OLD acknowledges each of them long before the new owner has it.
    for version in 2..12 {
        let document = json!({"id": moving, "version": version});
        assert_eq!(write(&cluster, document).await.0, 202);
    }
    meilisearch.stall_every_other_ms(0);
    let mut seen = 0;
    while seen != 11 {
        let path = format!("/indexes/docs/documents/{moving}");
        let found = server.call(Method::GET, &path, None).await.1;
        let version = found["version"].as_u64().unwrap();
        assert!(version >= seen, "{version} after {seen}");
        seen = version;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = server.held().await;
    let last = held.iter().find(|d| d["id"] == *moving);
    assert_eq!(last.unwrap()["version"], 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_cannot_be_sent_is_certain_to_have_no_effect() {
    let meilisearch = Meilisearch::start().await;
    let cluster = Cluster::start(1, 1, "[migration]\ndelta_timeout_ms = 300");
    let mut server = Server::new(&meilisearch.address, KEY);
    server.key = "not-the-right-key".to_owned();
    server.join(&cluster, &server.address, true).await;
    let failed = cluster.router.wait_for_phase("failed");
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("invalid_api_key"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_meilisearch_hides_is_refused() {
    let meilisearch = Meilisearch::start().await;
    let (cluster, _server, owned) = joined(&meilisearch, "").await;
    let (status, said, body) = write(&cluster, json!({"id": owned, "_vectors": {"e": [1]}})).await;
    assert_eq!((status, said), (503, outcome("none")), "{body}");
    assert!(
        body["message"].as_str().unwrap().contains("field_not_kept"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_lost_is_prepared_again_and_repaired() {
    let meilisearch = Meilisearch::start().await;
    let cluster = Cluster::start(2, 2, "replication_factor = 2");
    let known = preload(&cluster.http, &cluster.address, 100).await;
    let server = Server::new(&meilisearch.address, KEY);
    server.join(&cluster, &server.address, true).await;
    cluster.router.wait_for_phase("complete");
    let before = server.live().await.len();
    meilisearch.forget_everything();
    let pass = "/_miroir/anti-entropy/run";
    let report = cluster.call(Method::POST, pass, None).await.1;
    assert_eq!(report["complete"], true, "{report}");
    assert_eq!(server.live().await.len(), before);
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_another_primary_key_is_refused_and_what_is_filterable_stays_so() {
    let meilisearch = Meilisearch::start().await;
    let server = Server::new(&meilisearch.address, KEY);
    let index = json!({"uid": "docs", "primaryKey": "sku"});
    server.change(Method::POST, "/indexes", index).await;
    let cluster = Cluster::start(1, 1, "[migration]\ndelta_timeout_ms = 300");
    server.join(&cluster, &server.address, true).await;
    let failed = cluster.router.wait_for_phase("failed");
    assert!(
        failed["reason"].as_str().unwrap().contains("`sku`"),
        "{failed}"
    );

    let other = Meilisearch::start().await;
    let server = Server::new(&other.address, KEY);
    let settings = "/indexes/docs/settings/filterable-attributes";
    server.change(Method::PUT, settings, json!(["genre"])).await;
    let cluster = Cluster::start(1, 1, "");
    server.join(&cluster, &server.address, true).await;
    cluster.router.wait_for_phase("complete");
    let (_, filterable) = server.call(Method::GET, settings, None).await;
    assert_eq!(filterable[0], "genre", "{filterable}");
    assert_eq!(filterable.as_array().unwrap().len(), 5, "{filterable}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_weaker_promise_is_said_and_the_key_is_not() {
    let meilisearch = Meilisearch::start().await;
    let mut cluster = Cluster::start(1, 1, "");
    let added = run(&[
        "ctl",
        "--url",
        &cluster.url(""),
        "node",
        "add",
        "m1",
        &format!("http://{}", meilisearch.address),
        "--kind",
        "meilisearch",
        "--key",
        KEY,
    ]);
    assert!(added.status.success(), "{added:?}");
    let warned = |l: &Value| {
        l["message"]
            .as_str()
            .is_some_and(|m| m.contains("no fences"))
    };
    cluster.router.wait_for("a warning", warned);
    for path in ["/_miroir/nodes", "/_miroir/status", "/_miroir/digest"] {
        let shown = cluster.get(path).await.to_string();
        assert!(
            shown.contains("meilisearch") && !shown.contains(KEY),
            "{shown}"
        );
    }
    let warnings = cluster.get("/_miroir/status").await["warnings"].clone();
    assert!(
        warnings[0].as_str().unwrap().contains("no fences"),
        "{warnings}"
    );
    // A router that starts again says it again, and still knows the key.
    cluster.crash_router();
    cluster.router.wait_for("a warning", warned);
    let body = json!({"to": "m1"});
    assert_eq!(cluster.post("/_miroir/migrations", body).await.0, 202);
    cluster.router.wait_for_phase("complete");
    assert!(!String::from_utf8_lossy(&added.stdout).contains(KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_is_as_strict_as_the_documentation() {
    let meilisearch = Meilisearch::start().await;
    let server = Server::new(&meilisearch.address, KEY);
    let documents: Vec<Value> = (0..30).map(|n| json!({"id": n, "genre": "a"})).collect();
    let path = "/indexes/films/documents";
    let (status, task) = server
        .call(
            Method::POST,
            &format!("{path}?primaryKey=id"),
            Some(json!(documents)),
        )
        .await;
    assert_eq!((status, &task["status"]), (202, &json!("enqueued")));
    server
        .change(Method::POST, &format!("{path}/delete-batch"), json!(["29"]))
        .await;
    let fetch = format!("{path}/fetch");
    let page = server.call(Method::POST, &fetch, Some(json!({}))).await.1;
    assert_eq!(
        (page["results"].as_array().unwrap().len(), &page["total"]),
        (20, &json!(29))
    );
    let expect = async |method, path: &str, body, status, code: &str| {
        let answer = server.call(method, path, body).await;
        assert_eq!(
            (answer.0, answer.1["code"].as_str().unwrap_or("")),
            (status, code)
        );
    };
    let filter = Some(json!({"filter": "genre = a"}));
    expect(Method::POST, &fetch, filter, 400, "invalid_document_filter").await;
    let unknown = Some(json!({"after": "1"}));
    expect(Method::POST, &fetch, unknown, 400, "bad_request").await;
    let fence = Some(json!({}));
    expect(Method::POST, "/_miroir/fence", fence, 404, "").await;
    expect(Method::GET, "/indexes/none", None, 404, "index_not_found").await;
    let stranger = Server::new(&meilisearch.address, "another-key");
    assert_eq!(stranger.call(Method::GET, "/tasks", None).await.0, 403);
}
