//! What must hold with any Meilisearch as a storage node. Each test is a function of where one runs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::cluster::Cluster;
use crate::kit::load::{Load, preload};
use crate::kit::meilisearch::{KEY, Meilisearch};
use crate::kit::proxy::Proxy;

/// A Meilisearch to test with, and how to ask it directly.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) key: String,
    http: reqwest::Client,
}

impl Server {
    pub(super) fn new(address: &str, key: &str) -> Self {
        Server {
            address: address.to_owned(),
            key: key.to_owned(),
            http: reqwest::Client::new(),
        }
    }

    /// Makes it the node `m1`, and moves to it what it should own.
    pub(super) async fn join(&self, cluster: &Cluster, through: &str, auto_cutover: bool) {
        self.add(cluster, through).await;
        let body = json!({"to": "m1", "auto_cutover": auto_cutover});
        assert_eq!(cluster.post("/_miroir/migrations", body).await.0, 202);
    }

    pub(super) async fn add(&self, cluster: &Cluster, through: &str) {
        let body = json!({
            "name": "m1", "url": format!("http://{through}"), "kind": "meilisearch", "key": self.key,
        });
        assert_eq!(cluster.post("/_miroir/nodes", body).await.0, 201);
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.http.request(method, url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }

    /// Everything it holds, tombstones too.
    pub(super) async fn held(&self) -> Vec<Value> {
        let path = "/indexes/docs/documents?limit=1000000";
        let (_, page) = self.call(Method::GET, path, None).await;
        page["results"].as_array().cloned().unwrap_or_default()
    }

    /// The keys of the documents it holds.
    pub(super) async fn live(&self) -> Vec<String> {
        let held = self.held().await.into_iter();
        held.filter(|d| d["_miroir_deleted"] != json!(true))
            .map(|d| d["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Carries out a request of its own, and waits for the task.
    pub(super) async fn change(&self, method: Method, path: &str, body: Value) {
        let (_, task) = self.call(method, path, Some(body)).await;
        let path = format!("/tasks/{}", task["taskUid"]);
        loop {
            match self.call(Method::GET, &path, None).await.1["status"].as_str() {
                Some("succeeded") => return,
                Some("enqueued" | "processing") => {}
                other => panic!("the task is {other:?}"),
            }
        }
    }

    /// Asserts that it holds shards it owns only.
    async fn assert_nothing_misplaced(&self, cluster: &Cluster, known_as: &str) {
        let placement = cluster.get("/_miroir/placement").await;
        for document in self.held().await {
            let shard = document["_miroir_shard"].as_u64().unwrap() as usize;
            let owners = placement["shards"][shard]["owners"].as_array().unwrap();
            assert!(owners.contains(&json!(known_as)), "misplaced: {document}");
        }
    }
}

/// Shards move to it and away from it while clients write and connections to it are reset.
pub(super) async fn takes_shards_and_gives_them_back(server: &Server) {
    let cluster = Cluster::start(
        3,
        2,
        "[migration]\npage_size = 100\nnode_timeout_ms = 20000",
    );
    let proxy = Proxy::to(&server.address).await;
    let known_as = proxy.address.to_string();
    let mut known = preload(&cluster.http, &cluster.address, 600).await;
    let load = Load::start(&cluster.http, &cluster.address, 8);
    proxy.reset_share(50);
    server.join(&cluster, &known_as, true).await;
    cluster.router.wait_for_phase("complete");
    assert!(proxy.resets() > 0, "nothing was reset");
    proxy.reset_share(0);
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert!(!server.live().await.is_empty());
    server.assert_nothing_misplaced(&cluster, &known_as).await;

    let before = server.live().await.len();
    let mut load = Load::start_as(&cluster.http, &cluster.address, 8, "back");
    proxy.reset_share(20);
    cluster.migrate_to(3, None, false).await;
    cluster.router.wait_for("the second copy", |l| {
        l["event"] == "copy_done" && l["migration"] == 2
    });
    known.merge(load.end().await);
    proxy.reset_share(0);
    load = Load::start_as(&cluster.http, &cluster.address, 8, "cutover");
    let cutover = cluster
        .post("/_miroir/migrations/2/cutover", json!({}))
        .await;
    assert_eq!(cutover.0, 202);
    cluster.router.wait_for("the end", |l| {
        l["event"] == "phase" && l["phase"] == "complete" && l["migration"] == 2
    });
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    server.assert_nothing_misplaced(&cluster, &known_as).await;
    assert!(server.live().await.len() < before + known.documents.len());
    assert!(!cluster.held_by(3).await.is_empty());
}

/// What is deleted or replaced while its old version is being copied stays as it then is.
pub(super) async fn copies_neither_resurrect_nor_take_back(server: &Server) {
    let cluster = Cluster::start(1, 1, "[migration]\npage_size = 5\npage_pause_ms = 10");
    let mut known = preload(&cluster.http, &cluster.address, 400).await;
    server.join(&cluster, &server.address, false).await;
    cluster.router.wait_for_phase("dual_write_migrating");
    for i in 0..200 {
        let id = format!("pre-{}", i * 2);
        let version = (i % 2 == 0).then_some(2);
        known
            .send(&cluster.http, &cluster.address, &id, version)
            .await;
    }
    assert_eq!(known.unknown + known.refused, 0);
    cluster.router.wait_for_event("copy_done");
    // Without a delta pass that would make it good.
    for document in server.held().await {
        let number: u64 = document["id"].as_str().unwrap()[4..].parse().unwrap();
        let expected = match number % 4 {
            0 => json!({"version": 2, "deleted": null}),
            2 => json!({"version": null, "deleted": true}),
            _ => json!({"version": 1, "deleted": null}),
        };
        let found = json!({"version": document["version"], "deleted": document["_miroir_deleted"]});
        assert_eq!(found, expected, "{document}");
    }
    cluster
        .post("/_miroir/migrations/1/cutover", json!({}))
        .await;
    cluster.router.wait_for_phase("complete");
    known.assert_intact(&cluster.http, &cluster.address).await;
}

/// What it has lost, kept or got wrong is repaired from the other owner, and the other owner from it.
pub(super) async fn is_repaired_and_repairs_others(server: &Server) {
    let cluster = Cluster::start(2, 2, "replication_factor = 2");
    let mut known = preload(&cluster.http, &cluster.address, 300).await;
    server.join(&cluster, &server.address, true).await;
    cluster.router.wait_for_phase("complete");
    let ids = server.live().await;
    let (lost, stale) = (&ids[..10], &ids[10..20]);
    for id in &ids[20..30] {
        known.send(&cluster.http, &cluster.address, id, None).await;
    }
    assert_eq!(known.unknown + known.refused, 0);
    let held = server.held().await;
    let with_old_stamp: Vec<Value> = held
        .iter()
        .filter(|d| stale.iter().chain(&ids[20..30]).any(|id| d["id"] == **id))
        .map(|d| {
            let shard = &d["_miroir_shard"];
            json!({"id": d["id"], "version": 0, "text": "old", "_miroir_shard": shard, "_miroir_updated_at": 1})
        })
        .collect();
    let documents = "/indexes/docs/documents";
    server
        .change(Method::POST, documents, json!(with_old_stamp))
        .await;
    server
        .change(
            Method::POST,
            &format!("{documents}/delete-batch"),
            json!(lost),
        )
        .await;
    let pass = "/_miroir/anti-entropy/run";
    let (status, report) = cluster.call(Method::POST, pass, None).await;
    assert_eq!(
        (status.as_u16(), &report["complete"]),
        (200, &json!(true)),
        "{report}"
    );
    assert!(report["repaired"].as_u64().unwrap() >= 30, "{report}");
    let live = server.live().await;
    assert!(lost.iter().all(|id| live.contains(id)));
    assert!(
        !ids[20..30].iter().any(|id| live.contains(id)),
        "resurrected"
    );
    let again = cluster.call(Method::POST, pass, None).await.1;
    assert_eq!(again["divergent_keys"], 0, "{again}");
    known.assert_intact(&cluster.http, &cluster.address).await;
}

/// It owns everything for a while, then nothing, while clients write and connections to it are reset.
pub(super) async fn owns_everything_and_hands_it_all_back(server: &Server) {
    let cluster = Cluster::start(2, 1, "[migration]\nnode_timeout_ms = 20000");
    let proxy = Proxy::to(&server.address).await;
    let mut known = preload(&cluster.http, &cluster.address, 300).await;
    let complete = |id: u64| {
        cluster.router.wait_for("the end", |l| {
            l["event"] == "phase" && l["phase"] == "complete" && l["migration"] == id
        })
    };
    server
        .join(&cluster, &proxy.address.to_string(), true)
        .await;
    complete(1);
    let load = Load::start_as(&cluster.http, &cluster.address, 4, "there");
    let remove = async |name: &str| {
        let path = format!("/_miroir/nodes/{name}");
        cluster.call(Method::DELETE, &path, None).await
    };
    proxy.reset_share(20);
    let (status, answer) = remove("n1").await;
    assert_eq!(status, 202, "{answer}");
    complete(2);
    known.merge(load.end().await);
    proxy.reset_share(0);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert!(cluster.held_by(1).await.is_empty());
    assert!(server.live().await.len() >= 300);

    let load = Load::start_as(&cluster.http, &cluster.address, 4, "back");
    proxy.reset_share(20);
    cluster.migrate_to(2, None, true).await;
    complete(3);
    let (status, answer) = remove("m1").await;
    assert_eq!(status, 202, "{answer}");
    complete(4);
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
    assert_eq!(server.held().await, Vec::<Value>::new());
}

/// Tombstones go when their grace is over, and documents when they expire.
pub(super) async fn is_swept(server: &Server) {
    let options = "[anti_entropy]\ntombstone_grace_s = 0";
    let cluster = Cluster::start(1, 1, options);
    let mut known = preload(&cluster.http, &cluster.address, 60).await;
    server.join(&cluster, &server.address, true).await;
    cluster.router.wait_for_phase("complete");
    let ids = server.live().await;
    for id in &ids[..10] {
        known.send(&cluster.http, &cluster.address, id, None).await;
    }
    let path = "/indexes/docs/documents";
    let expired: Vec<Value> = ids[10..15]
        .iter()
        .map(|id| json!({"id": id, "_miroir_expires_at": 1}))
        .collect();
    assert_eq!(cluster.post(path, json!(expired)).await.0, 202);
    assert_eq!(server.held().await.len(), ids.len());
    // A merge into what has expired starts from nothing.
    let merged = json!([{"id": ids[10], "fresh": true}]);
    assert_eq!(cluster.call(Method::PUT, path, Some(merged)).await.0, 202);
    let found = cluster.get(&format!("{path}/{}", ids[10])).await;
    assert_eq!(found, json!({"id": ids[10], "fresh": true}));
    let pass = "/_miroir/anti-entropy/run";
    let report = cluster.call(Method::POST, pass, None).await.1;
    assert_eq!(report["expired"], 4, "{report}");
    // What has just expired may be purged by the same pass, or by the next.
    cluster.call(Method::POST, pass, None).await;
    let mut left = server.held().await;
    left.retain(|d| d["_miroir_deleted"] == json!(true));
    assert_eq!(left, Vec::<Value>::new());
    assert_eq!(server.live().await.len(), ids.len() - 14);
}

/// Documents are replaced, merged and deleted as on any node, and clients see none of what is done for it.
pub(super) async fn answers_clients_like_any_node(server: &Server) {
    let cluster = Cluster::start(1, 1, "");
    server.join(&cluster, &server.address, true).await;
    cluster.router.wait_for_phase("complete");
    let documents: Vec<Value> = (0..40)
        .map(|n| json!({"id": n, "a": 0.1, "b": {"c": [1.0, null]}}))
        .collect();
    let path = "/indexes/docs/documents";
    assert_eq!(cluster.post(path, json!(documents)).await.0, 202);
    let merge: Vec<Value> = (0..40).map(|n| json!({"id": n, "a": n})).collect();
    assert_eq!(
        cluster.call(Method::PUT, path, Some(json!(merge))).await.0,
        202
    );
    let deleted: Vec<u32> = (20..40).collect();
    let batch = format!("{path}/delete-batch");
    assert_eq!(cluster.post(&batch, json!(deleted)).await.0, 202);
    let again: Vec<Value> = (30..40)
        .map(|n| json!({"id": n, "d": 18_014_398_509_481_985_u64}))
        .collect();
    assert_eq!(
        cluster.call(Method::PUT, path, Some(json!(again))).await.0,
        202
    );
    let marked = server
        .held()
        .await
        .iter()
        .filter(|d| d["_miroir_deleted"] == json!(true))
        .count();
    assert!(marked > 0, "it owns none of the deleted documents");
    for n in 0..40 {
        let (status, found) = cluster
            .call(Method::GET, &format!("{path}/{n}"), None)
            .await;
        match n {
            0..20 => assert_eq!(found, json!({"id": n, "a": n, "b": {"c": [1.0, null]}})),
            20..30 => assert_eq!(status, 404, "{found}"),
            _ => assert_eq!(found, json!({"id": n, "d": 18_014_398_509_481_985_u64})),
        }
    }
    let fetched = cluster
        .post(
            &format!("{path}/fetch"),
            json!({"ids": (0..40).collect::<Vec<_>>()}),
        )
        .await
        .1;
    assert_eq!(fetched["total"], 30);
}

async fn stand_in() -> (Meilisearch, Server) {
    let meilisearch = Meilisearch::start().await;
    let server = Server::new(&meilisearch.address, KEY);
    (meilisearch, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meilisearch_takes_shards_under_load_and_resets_and_gives_them_back() {
    takes_shards_and_gives_them_back(&stand_in().await.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_to_a_meilisearch_neither_resurrect_nor_take_back() {
    let (meilisearch, server) = stand_in().await;
    // What a copy has read before it writes is out of date, unless nobody else may write meanwhile.
    meilisearch.late_ms(30);
    copies_neither_resurrect_nor_take_back(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meilisearch_owns_everything_and_hands_it_all_back() {
    owns_everything_and_hands_it_all_back(&stand_in().await.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meilisearch_is_swept() {
    is_swept(&stand_in().await.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anti_entropy_repairs_a_meilisearch_and_others_from_it() {
    is_repaired_and_repairs_others(&stand_in().await.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meilisearch_answers_clients_like_any_node() {
    answers_clients_like_any_node(&stand_in().await.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meilisearch_that_cannot_read_by_ids_is_read_one_by_one() {
    let meilisearch = Meilisearch::start_old().await;
    let server = Server::new(&meilisearch.address, KEY);
    is_repaired_and_repairs_others(&server).await;
}
