//! A router that slept through its replacement must not act when it wakes up.

use serde_json::json;

use crate::kit::cluster::Cluster;
use crate::kit::load::preload;
use crate::kit::process::{Process, miroir};

/// A second router on a copy of the first one's data directory.
fn replacement(cluster: &Cluster) -> (Process, String) {
    let directory = cluster.directory.path();
    let copy = directory.join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(
        directory.join("router/router.redb"),
        copy.join("router.redb"),
    )
    .unwrap();
    let text = std::fs::read_to_string(directory.join("router.toml")).unwrap();
    let (from, to) = (
        directory.join("router").display().to_string(),
        copy.display().to_string(),
    );
    let text = text
        .replace(&format!("'{from}'"), &format!("'{to}'"))
        .replace("audit.jsonl", "audit-2.jsonl");
    let config = directory.join("second.toml");
    std::fs::write(&config, text).unwrap();
    let router = Process::start(miroir(&["router", "--config", config.to_str().unwrap()]));
    let address = router.wait_for_event("listening")["address"]
        .as_str()
        .unwrap()
        .to_owned();
    router.wait_for_event("ready");
    (router, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_router_that_was_replaced_steps_down_and_its_migration_is_finished_by_the_other() {
    let cluster = Cluster::start(3, 2, "[migration]\nphase_settle_ms = 500");
    let mut known = preload(&cluster.http, &cluster.address, 500).await;
    cluster.migrate_to(3, None, true).await;
    cluster.router.wait_for_phase("cutover_draining");
    cluster.router.signal("STOP");
    let (second, address) = replacement(&cluster);
    assert_eq!(second.wait_for_event("ready")["epoch"], 2);
    second.wait_for_phase("complete");
    for i in 0..100 {
        known
            .send(&cluster.http, &address, &format!("new-{i}"), Some(1))
            .await;
    }
    assert_eq!(known.unknown + known.refused, 0);
    cluster.router.signal("CONT");
    // Its first write is refused by the nodes, whatever it still believes.
    let (status, answer) = cluster
        .post(
            "/indexes/docs/documents",
            json!([{"id": "pre-0", "version": 9}]),
        )
        .await;
    assert_eq!(status, 503, "{answer}");
    cluster.router.wait_for_event("superseded");
    let (status, refused) = cluster
        .post("/_miroir/migrations", json!({"to": "n1"}))
        .await;
    assert_eq!(
        (status.as_u16(), refused["code"].as_str()),
        (503, Some("superseded"))
    );
    let (status, _) = cluster
        .call(reqwest::Method::GET, "/indexes/docs/documents/pre-1", None)
        .await;
    assert_eq!(status, 503);
    let phases: Vec<_> = cluster
        .router
        .log()
        .into_iter()
        .filter(|l| l["event"] == "phase")
        .map(|l| l["phase"].clone())
        .collect();
    assert_eq!(phases.last().unwrap(), "cutover_draining");
    known.assert_intact(&cluster.http, &address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_runs_on_notices_its_replacement_without_any_write() {
    let cluster = Cluster::start(1, 1, "");
    let (second, address) = replacement(&cluster);
    let noticed = cluster.router.wait_for_event("superseded");
    assert_eq!(noticed["epoch"], 1);
    assert_eq!(second.wait_for_event("ready")["epoch"], 2);
    let (status, health) = cluster
        .call(reqwest::Method::GET, "/_miroir/health", None)
        .await;
    assert_eq!(
        (status.as_u16(), health["code"].as_str()),
        (503, Some("superseded"))
    );
    let known = preload(&cluster.http, &address, 10).await;
    known.assert_intact(&cluster.http, &address).await;
}
