//! Bearer keys on router, node and operator's tool.

use reqwest::Client;
use serde_json::{Value, json};

use crate::kit::cluster::{Cluster, Node};
use crate::kit::process::{miroir, run};

async fn get(url: String, key: Option<&str>) -> (u16, Value) {
    let mut request = Client::new().get(url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_opens_its_own_api_only() {
    let options = "data_key = 'data'\nadmin_key = 'admin'";
    let cluster = Cluster::start(1, 1, options);
    assert_eq!(get(cluster.url("/health"), None).await.0, 200);
    for (path, right, wrong) in [
        ("/indexes/docs/documents/a", "data", "admin"),
        ("/_miroir/status", "admin", "data"),
        ("/_miroir/changes", "admin", "data"),
        ("/_miroir/anti-entropy", "admin", "data"),
        ("/metrics", "admin", "data"),
    ] {
        let (status, error) = get(cluster.url(path), None).await;
        assert_eq!(
            (status, &error["code"], &error["type"]),
            (401, &json!("missing_authorization_header"), &json!("auth")),
            "{path}"
        );
        let (status, error) = get(cluster.url(path), Some(wrong)).await;
        assert_eq!(
            (status, &error["code"]),
            (403, &json!("invalid_api_key")),
            "{path}"
        );
        let request = Client::new().get(cluster.url(path)).bearer_auth(right);
        let status = request.send().await.unwrap().status().as_u16();
        assert!(![401, 403].contains(&status), "{path}: {status}");
    }
    let url = cluster.url("");
    assert_eq!(
        run(&["ctl", "--url", &url, "status"]).status.code(),
        Some(1)
    );
    assert!(
        run(&["ctl", "--url", &url, "--key", "admin", "status"])
            .status
            .success()
    );
    let mut command = miroir(&["ctl", "--url", &url, "status"]);
    command.env("MIROIR_ADMIN_KEY", "admin");
    assert!(command.output().unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_with_the_node_key_reaches_nodes_that_refuse_everybody_else() {
    let mut cluster = Cluster::start(1, 1, "node_key = 'inner'");
    cluster.nodes[0].restart_with(&["--key", "inner"]);
    let write = json!([{"id": "a"}]);
    assert_eq!(cluster.post("/indexes/docs/documents", write).await.0, 202);
    let path = "/indexes/docs/documents/a";
    assert_eq!(get(cluster.nodes[0].url(path), None).await.0, 401);
    assert_eq!(get(cluster.nodes[0].url(path), Some("outer")).await.0, 403);
    assert_eq!(get(cluster.nodes[0].url(path), Some("inner")).await.0, 200);
    assert_eq!(get(cluster.nodes[0].url("/health"), None).await.0, 200);
    cluster.nodes[0].restart_with(&["--key", "changed"]);
    let (status, error) = cluster
        .post("/indexes/docs/documents", json!([{"id": "b"}]))
        .await;
    assert_eq!(status, 503, "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("invalid_api_key")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_everything_is_open_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path().join("data"));
    node.process.wait_for("a warning", |l| {
        l["message"]
            .as_str()
            .is_some_and(|m| m.contains("without a key"))
    });
}
