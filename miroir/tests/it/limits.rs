//! What a node and a router do at their limits: full queue, large bodies, full disk; and the metrics that show it.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::kit::cluster::{Cluster, Node};
use crate::kit::process::{Process, miroir};

async fn write(http: &Client, address: &str, id: usize, size: usize) -> Response {
    http.post(format!("http://{address}/indexes/docs/documents"))
        .json(&json!([{"id": id, "text": "x".repeat(size)}]))
        .send()
        .await
        .unwrap()
}

async fn code(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_refused_with_a_hint_when_to_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--queue-bytes", "20000"];
    let node = Node::start_with(directory.path().join("data"), &arguments, &[]);
    let http = Client::new();
    let writes = (0..200).map(|i| {
        let (http, address) = (http.clone(), node.address.clone());
        tokio::spawn(async move { write(&http, &address, i, 9000).await })
    });
    let (mut accepted, mut refused) = (0, 0);
    for answer in writes.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status() == 202 {
            accepted += 1;
            continue;
        }
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(code(answer).await, (503, json!("queue_full")));
        refused += 1;
    }
    assert!(accepted > 0 && refused > 0, "{accepted} and {refused}");
    // One that is larger than the queue has it to itself.
    assert_eq!(write(&http, &node.address, 1, 50_000).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_the_limit_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--max-body-bytes", "1000"];
    let node = Node::start_with(directory.path().join("data"), &arguments, &[]);
    let answer = write(&Client::new(), &node.address, 1, 2000).await;
    assert_eq!(code(answer).await, (413, json!("payload_too_large")));
}

/// Waits for a node's address.
fn address_of(process: &Process) -> String {
    let listening = process.wait_for_event("listening");
    listening["address"].as_str().unwrap().to_owned()
}

/// A node whose data lies on a small disk of its own, in a mount namespace that ends with the node.
fn on_a_small_disk(directory: &Path) -> (Process, PathBuf) {
    let script = "mount -t tmpfs -o size=24m tmpfs \"$1\" && head -c 12M /dev/zero > \"$1/ballast\" && shift && exec \"$@\"";
    let mut node = Command::new("unshare");
    node.args(["-m", "--propagation", "private", "sh", "-c", script, "sh"]);
    node.arg(directory).arg(miroir(&[]).get_program());
    node.args(["node", "--listen", "127.0.0.1:0", "--data"])
        .arg(directory.join("data"));
    let process = Process::start(node);
    let ballast = PathBuf::from(format!(
        "/proc/{}/root{}/ballast",
        process.id(),
        directory.display()
    ));
    (process, ballast)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_clean_refusal_and_writes_work_again_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let (process, ballast) = on_a_small_disk(directory.path());
    let (http, address) = (Client::new(), address_of(&process));
    let mut written = 0;
    let refusal = loop {
        let answer = write(&http, &address, written, 100_000).await;
        if answer.status() != 202 {
            break code(answer).await;
        }
        written += 1;
        assert!(written < 1000, "the disk never filled up");
    };
    assert_eq!(refusal, (503, json!("no_space_left_on_device")));
    let read = |id: usize| http.get(format!("http://{address}/indexes/docs/documents/{id}"));
    for id in 0..written {
        assert_eq!(
            read(id).send().await.unwrap().status(),
            200,
            "document {id}"
        );
    }
    assert_eq!(read(written).send().await.unwrap().status(), 404);
    std::fs::remove_file(ballast).unwrap();
    assert_eq!(write(&http, &address, written, 100_000).await.status(), 202);
    assert_eq!(read(written).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_on_the_way_harms_nothing_and_the_database_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    // Files cannot grow beyond 4 MiB: the disk itself has room.
    let mut node = Command::new("sh");
    node.args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$@\"", "sh"]);
    node.arg(miroir(&[]).get_program());
    node.args(["node", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data);
    let process = Process::start(node);
    let (http, address) = (Client::new(), address_of(&process));
    let mut written = 0;
    let refusal = loop {
        let answer = write(&http, &address, written, 100_000).await;
        if answer.status() != 202 {
            break code(answer).await;
        }
        written += 1;
        assert!(written < 1000, "the file never grew too large");
    };
    assert_eq!(refusal, (500, json!("internal")));
    process.wait_for_event("reopened");
    let pid = process.id().to_string();
    let lifted = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited"])
        .status();
    assert!(lifted.unwrap().success());
    assert_eq!(write(&http, &address, 5000, 100_000).await.status(), 202);
    for id in (0..written).chain([5000]) {
        let read = http.get(format!("http://{address}/indexes/docs/documents/{id}"));
        assert_eq!(read.send().await.unwrap().status(), 200, "document {id}");
    }
}

/// The value of a metric without labels, or with exactly these.
async fn metric(url: String, name: &str) -> f64 {
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let line = text
        .lines()
        .find(|l| l.strip_prefix(name).is_some_and(|r| r.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_router_and_node_follow_what_happens() {
    let cluster = Cluster::start(2, 1, "");
    for i in 0..10 {
        assert_eq!(
            write(&cluster.http, &cluster.address, i, 10).await.status(),
            202
        );
    }
    let delete = cluster
        .http
        .delete(cluster.url("/indexes/docs/documents/3"));
    assert_eq!(delete.send().await.unwrap().status(), 202);
    cluster.migrate_to(2, None, true).await;
    cluster.router.wait_for_phase("complete");
    cluster.get("/_miroir/changes").await;
    let router = |name: &'static str| metric(cluster.url("/metrics"), name);
    assert_eq!(
        router("miroir_writes_total{outcome=\"acknowledged\"}").await,
        11.0
    );
    assert_eq!(router("miroir_write_seconds_count").await, 11.0);
    assert_eq!(router("miroir_writes_in_flight").await, 0.0);
    assert_eq!(router("miroir_migrations{phase=\"complete\"}").await, 1.0);
    assert_eq!(router("miroir_shards_moving").await, 0.0);
    let moved = cluster.held_by(2).await.len() as f64;
    assert_eq!(router("miroir_documents_copied_total").await, moved);
    assert_eq!(router("miroir_changes_delivered_total").await, 11.0);
    let node = |name: &'static str| metric(cluster.nodes[0].url("/metrics"), name);
    let left = cluster.held_by(1).await.len() as f64;
    assert_eq!(node("miroir_node_documents").await, left);
    assert!(node("miroir_node_tombstones").await <= 1.0);
    assert!(node("miroir_node_writes_total{result=\"committed\"}").await >= 11.0);
    assert!(node("miroir_node_store_bytes").await > 0.0);
    assert_eq!(node("miroir_node_queue_length").await, 0.0);
}
