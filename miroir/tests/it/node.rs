//! The storage node by itself, as a plain Meilisearch client and as the router sees it.

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::kit::cluster::Node;
use crate::kit::process::run;

async fn send(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

struct Fixture {
    node: Node,
    http: Client,
    _directory: tempfile::TempDir,
}

fn start() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    Fixture {
        node: Node::start(directory.path().join("data")),
        http: Client::new(),
        _directory: directory,
    }
}

impl Fixture {
    async fn get(&self, path: &str) -> (StatusCode, Value) {
        send(self.http.get(self.node.url(path))).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        send(self.http.post(self.node.url(path)).json(&body)).await
    }
}

fn stamped(id: &str, stamp: u64, value: &str) -> Value {
    json!([{"id": id, "_miroir_shard": 3, "_miroir_updated_at": stamp, "value": value}])
}

#[tokio::test]
async fn a_plain_meilisearch_client_can_add_merge_read_and_delete() {
    let f = start();
    let (status, task) = f
        .post(
            "/indexes/films/documents",
            json!([{"id": 1, "title": "Metropolis", "year": 1927}]),
        )
        .await;
    assert_eq!(status, 202);
    assert_eq!(task["status"], "succeeded");
    assert_eq!(
        f.get(&format!("/tasks/{}", task["taskUid"])).await.1["type"],
        "documentAdditionOrUpdate"
    );
    let merge = f
        .http
        .put(f.node.url("/indexes/films/documents"))
        .json(&json!([{"id": 1, "year": 1926}]));
    assert_eq!(send(merge).await.0, 202);
    let (_, document) = f.get("/indexes/films/documents/1").await;
    assert_eq!(
        document,
        json!({"id": 1, "title": "Metropolis", "year": 1926})
    );
    assert_eq!(
        f.post("/indexes/films/documents/delete-batch", json!([1, 2]))
            .await
            .0,
        202
    );
    let (status, error) = f.get("/indexes/films/documents/1").await;
    assert_eq!(
        (status, &error["code"]),
        (StatusCode::NOT_FOUND, &json!("document_not_found"))
    );
}

#[tokio::test]
async fn an_older_write_never_replaces_a_newer_one_nor_a_newer_delete() {
    let f = start();
    let documents = "/indexes/docs/documents";
    f.post(documents, stamped("a", 5, "new")).await;
    assert_eq!(
        f.post(documents, stamped("a", 4, "old")).await.1["ignored"],
        1
    );
    assert_eq!(f.get("/indexes/docs/documents/a").await.1["value"], "new");
    let delete = json!({"ids": ["a"], "_miroir_updated_at": 7});
    assert_eq!(
        f.post("/indexes/docs/documents/delete-batch", delete)
            .await
            .0,
        202
    );
    assert_eq!(
        f.post(documents, stamped("a", 6, "late")).await.1["ignored"],
        1
    );
    assert_eq!(f.get("/indexes/docs/documents/a").await.0, 404);
    let (_, listed) = f.get("/indexes/docs/_miroir/tombstones?shard=3").await;
    assert_eq!(
        listed["tombstones"],
        json!([{"id": "a", "_miroir_updated_at": 7, "_miroir_shard": 3}])
    );
    f.post(documents, stamped("a", 8, "again")).await;
    assert_eq!(f.get("/indexes/docs/documents/a").await.1["value"], "again");
}

#[tokio::test]
async fn pages_by_cursor_and_by_offset_cover_a_shard_once() {
    let f = start();
    let documents: Vec<Value> = (0..95)
        .map(|i| json!({"id": format!("d{i:03}"), "_miroir_shard": i % 2}))
        .collect();
    f.post("/indexes/docs/documents", json!(documents)).await;
    let mut by_cursor = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut request = json!({"filter": "_miroir_shard = 0", "limit": 7});
        if !after.is_null() {
            request["after"] = after;
        }
        let (_, page) = f.post("/indexes/docs/documents/fetch", request).await;
        assert_eq!(page["total"], 48);
        by_cursor.extend(
            page["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|d| d["id"].clone()),
        );
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    let mut by_offset = Vec::new();
    for offset in (0..48).step_by(7) {
        let (_, page) = f
            .get(&format!(
                "/indexes/docs/documents?filter=_miroir_shard=0&limit=7&offset={offset}"
            ))
            .await;
        by_offset.extend(
            page["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|d| d["id"].clone()),
        );
    }
    let expected: Vec<Value> = (0..95)
        .step_by(2)
        .map(|i| json!(format!("d{i:03}")))
        .collect();
    assert_eq!(by_cursor, expected);
    assert_eq!(by_offset, expected);
}

#[tokio::test]
async fn a_shard_removed_by_filter_leaves_no_trace_and_touches_no_other() {
    let f = start();
    f.post(
        "/indexes/docs/documents",
        json!([{"id": 1, "_miroir_shard": 1}, {"id": 2, "_miroir_shard": 2}]),
    )
    .await;
    f.post(
        "/indexes/docs/documents/delete-batch",
        json!({"ids": [1], "_miroir_updated_at": 9}),
    )
    .await;
    assert_eq!(
        f.post(
            "/indexes/docs/documents/delete",
            json!({"filter": "_miroir_shard = 1"})
        )
        .await
        .0,
        202
    );
    assert_eq!(
        f.get("/indexes/docs/_miroir/tombstones?shard=1").await.1["tombstones"],
        json!([])
    );
    assert_eq!(f.get("/indexes/docs/documents").await.1["total"], 1);
}

#[tokio::test]
async fn writes_of_an_older_router_or_an_older_term_are_refused() {
    let f = start();
    let write = |epoch: u64, term: u64| {
        let request = f
            .http
            .post(f.node.url("/indexes/docs/documents"))
            .json(&stamped("a", 1, "x"));
        send(
            request
                .header("x-miroir-epoch", epoch)
                .header("x-miroir-term", term),
        )
    };
    assert_eq!(write(2, 1).await.0, 202);
    assert_eq!(write(1, 9).await.1["code"], "stale_epoch");
    let fence = json!({"epoch": 2, "index": "docs", "shards": [3], "term": 5});
    assert_eq!(f.post("/_miroir/fence", fence).await.0, 200);
    assert_eq!(write(2, 4).await.1["code"], "stale_term");
    assert_eq!(write(2, 5).await.0, 202);
}

#[tokio::test]
async fn documents_tombstones_and_fences_survive_a_kill() {
    let mut f = start();
    f.post("/indexes/docs/documents", stamped("a", 1, "x"))
        .await;
    f.post("/indexes/docs/documents", stamped("b", 1, "x"))
        .await;
    f.post(
        "/indexes/docs/documents/delete-batch",
        json!({"ids": ["b"], "_miroir_updated_at": 2}),
    )
    .await;
    f.post(
        "/_miroir/fence",
        json!({"epoch": 4, "index": "docs", "term": 0}),
    )
    .await;
    let before = f.get("/indexes/docs/_miroir/fingerprint?shard=3").await;
    f.node.restart();
    f.http = Client::new();
    assert_eq!(
        f.get("/indexes/docs/_miroir/fingerprint?shard=3").await,
        before
    );
    assert_eq!(
        f.post(
            "/_miroir/fence",
            json!({"epoch": 3, "index": "docs", "term": 0})
        )
        .await
        .0,
        409
    );
}

#[tokio::test]
async fn bad_requests_are_answered_as_meilisearch_does() {
    let f = start();
    for (body, code) in [
        (json!([{"title": "no id"}]), "missing_document_id"),
        (json!([{"id": "a b"}]), "invalid_document_id"),
        (json!({"id": 1}), "malformed_payload"),
    ] {
        let (status, error) = f.post("/indexes/docs/documents", body).await;
        assert_eq!(
            (status, &error["code"]),
            (StatusCode::BAD_REQUEST, &json!(code))
        );
    }
    assert_eq!(
        f.get("/indexes/docs/documents?filter=year=3").await.1["code"],
        "invalid_document_filter"
    );
}

#[tokio::test]
async fn a_node_ends_cleanly_on_sigterm() {
    let mut f = start();
    f.post("/indexes/docs/documents", json!([{"id": 1}])).await;
    assert!(f.node.process.terminate());
}

#[test]
fn names_are_not_resolved() {
    let output = run(&["node", "--listen", "localhost:7700", "--data", "unused"]);
    assert_eq!(output.status.code(), Some(2));
}
