//! The refusal of migrations without any safety net, and what anti-entropy makes good.

use reqwest::Method;
use serde_json::json;

use crate::kit::cluster::Cluster;
use crate::kit::load::{Known, preload};
use crate::kit::process::run;
use crate::kit::proxy::Proxy;

const UNSAFE: &str = "[anti_entropy]\nenabled = false\n[migration]\nskip_delta_pass = true";

#[test]
fn the_unsafe_configuration_is_refused_by_check_and_at_start_up_and_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("router.toml");
    let text = format!(
        "listen = '127.0.0.1:0'\ndata_dir = '{}/router'\nnodes = [{{ name = 'a', url = 'http://127.0.0.1:1' }}]\n{UNSAFE}",
        directory.path().display()
    );
    std::fs::write(&config, &text).unwrap();
    for arguments in [&["--check-config"][..], &[]] {
        let mut all = vec!["router", "--config", config.to_str().unwrap()];
        all.extend(arguments);
        let output = run(&all);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("UnsafeCutoverNoAntiEntropy"));
        assert!(!directory.path().join("router").exists());
    }
    std::fs::write(
        &config,
        format!("{text}\nunsafe_measurement_override = true"),
    )
    .unwrap();
    let output = run(&[
        "router",
        "--config",
        config.to_str().unwrap(),
        "--check-config",
    ]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("UNSAFE MEASUREMENT OVERRIDE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_migration_is_refused_through_the_api_and_changes_nothing() {
    let cluster = Cluster::start(2, 1, "[anti_entropy]\nenabled = false");
    cluster.router.wait_for("a warning", |l| {
        l["message"]
            .as_str()
            .is_some_and(|m| m.contains("only safety"))
    });
    let known = preload(&cluster.http, &cluster.address, 100).await;
    cluster.add_node(2, None).await;
    let before = cluster.get("/_miroir/digest").await;
    let (status, error) = cluster
        .post(
            "/_miroir/migrations",
            json!({"to": "n2", "skip_delta_pass": true}),
        )
        .await;
    assert_eq!(
        (status.as_u16(), error["code"].as_str()),
        (422, Some("UnsafeCutoverNoAntiEntropy"))
    );
    let output = run(&[
        "ctl",
        "--url",
        &cluster.url(""),
        "migration",
        "start",
        "--to",
        "n2",
        "--skip-delta-pass",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("UnsafeCutoverNoAntiEntropy: "));
    assert_eq!(cluster.get("/_miroir/digest").await, before);
    assert!(cluster.held_by(2).await.is_empty());
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_migration_is_refused_where_anti_entropy_only_reports_and_an_override_is_recorded()
 {
    let reporting = "[anti_entropy]\nauto_repair = false\n";
    let start = json!({"to": "n2", "skip_delta_pass": true});
    let cluster = Cluster::start(2, 1, reporting);
    cluster.add_node(2, None).await;
    let (_, error) = cluster.post("/_miroir/migrations", start.clone()).await;
    assert_eq!(error["code"], "UnsafeCutoverNoAntiEntropy");
    let overridden = format!("{reporting}[migration]\nunsafe_measurement_override = true");
    let cluster = Cluster::start(2, 1, &overridden);
    cluster.add_node(2, None).await;
    let id = cluster
        .begin(Method::POST, "/_miroir/migrations", Some(start))
        .await;
    cluster.router.wait_for("a loud warning", |l| {
        l["message"]
            .as_str()
            .is_some_and(|m| m.contains("UNSAFE MEASUREMENT OVERRIDE"))
    });
    let migration = cluster.get(&format!("/_miroir/migrations/{id}")).await;
    assert_eq!(migration["unsafe_override"], true);
    let status = cluster.get("/_miroir/status").await;
    assert_eq!(status["unsafe_measurement_override"], true);
}

/// A migration to n2 without delta pass; a share of the late inserts, updates and deletes fails on NEW.
pub(crate) async fn migrate_without_delta(cluster: &Cluster) -> Known {
    let proxy = Proxy::to(&cluster.nodes[1].address).await;
    let mut known = preload(&cluster.http, &cluster.address, 600).await;
    cluster.add_node(2, Some(proxy.address)).await;
    let request = json!({"to": "n2", "auto_cutover": false, "skip_delta_pass": true});
    assert_eq!(cluster.post("/_miroir/migrations", request).await.0, 202);
    cluster.router.wait_for_event("copy_done");
    proxy.reset_share(300);
    for i in 0..200 {
        known
            .send(
                &cluster.http,
                &cluster.address,
                &format!("late-{i}"),
                Some(1),
            )
            .await;
        known
            .send(
                &cluster.http,
                &cluster.address,
                &format!("pre-{i}"),
                Some(2),
            )
            .await;
        known
            .send(
                &cluster.http,
                &cluster.address,
                &format!("pre-{}", 300 + i),
                None,
            )
            .await;
    }
    assert_eq!(known.unknown + known.refused, 0);
    proxy.reset_share(0);
    cluster
        .post("/_miroir/migrations/1/cutover", json!({}))
        .await;
    cluster.router.wait_for_phase("cutover_cleanup");
    // The proxy must outlive the rest of the migration.
    std::mem::forget(proxy);
    known
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_delta_pass_clean_up_waits_for_anti_entropy_which_repairs_everything() {
    let mut cluster = Cluster::start(2, 1, "");
    let known = migrate_without_delta(&cluster).await;
    cluster.router.wait_for_event("awaiting_anti_entropy");
    let damage = known.damage(&cluster.http, &cluster.address).await;
    assert!(
        !damage.lost.is_empty() && !damage.stale.is_empty() && !damage.resurrected.is_empty(),
        "{damage:?}"
    );
    // A crash does not make it forget that it waits.
    cluster.crash_router();
    cluster.router.wait_for_event("awaiting_anti_entropy");
    assert_eq!(
        cluster.get("/_miroir/status").await["migration"]["sub_state"],
        "awaiting anti-entropy"
    );
    let (status, report) = cluster
        .call(Method::POST, "/_miroir/anti-entropy/run", None)
        .await;
    assert_eq!(status, 200);
    let broken = damage.lost.len() + damage.stale.len() + damage.resurrected.len();
    assert_eq!(report["complete"], true, "{report}");
    assert!(
        report["repaired"].as_u64().unwrap() >= broken as u64,
        "{report}"
    );
    cluster.router.wait_for_phase("complete");
    known.assert_intact(&cluster.http, &cluster.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pass_finds_nothing_and_a_disabled_one_is_refused() {
    let cluster = Cluster::start(1, 1, "");
    preload(&cluster.http, &cluster.address, 100).await;
    let (_, report) = cluster
        .call(Method::POST, "/_miroir/anti-entropy/run", None)
        .await;
    assert_eq!(
        (&report["complete"], &report["divergent_keys"]),
        (&json!(true), &json!(0))
    );
    let off = Cluster::start(1, 1, "[anti_entropy]\nenabled = false");
    assert_eq!(
        off.call(Method::POST, "/_miroir/anti-entropy/run", None)
            .await
            .0,
        409
    );
}
