//! The router killed with SIGKILL in each phase, and nodes restarted.

use std::time::Duration;

use crate::kit::cluster::Cluster;
use crate::kit::load::{Load, preload};
use crate::kit::proxy::Proxy;

const SLOW: &str = "[migration]\nphase_settle_ms = 250\nwrite_wait_ms = 20000";

async fn survives_a_crash_in(phase: &str) {
    let mut cluster = Cluster::start(3, 2, SLOW);
    let proxy = Proxy::to(&cluster.nodes[2].address).await;
    let mut known = preload(&cluster.http, &cluster.address, 1000).await;
    let load = Load::start(&cluster.http, &cluster.address, 8);
    cluster.migrate_to(3, Some(proxy.address), true).await;
    proxy.reset_share(50);
    cluster.router.wait_for_phase(phase);
    cluster.crash_router();
    let recovered = cluster.router.wait_for_event("recovered");
    assert_eq!(recovered["phase"], phase);
    cluster.router.wait_for_phase("complete");
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.reset_share(0);
    known.merge(load.end().await);
    assert!(known.unknown > 0, "the crash hit no write");
    known.assert_intact(&cluster.http, &cluster.address).await;
    let status = cluster.get("/_miroir/status").await;
    assert_eq!(status["phase"], "complete");
    assert_eq!(status["recovered_phase"], phase);
    assert_eq!(status["epoch"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_in_computing_assignments_completes_without_loss() {
    survives_a_crash_in("computing_assignments").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_in_dual_write_completes_without_loss() {
    survives_a_crash_in("dual_write_migrating").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_in_cutover_begin_completes_without_loss() {
    survives_a_crash_in("cutover_begin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_in_draining_completes_without_loss() {
    survives_a_crash_in("cutover_draining").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_in_the_delta_pass_completes_without_loss() {
    survives_a_crash_in("cutover_delta_pass").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_at_activation_completes_without_loss() {
    survives_a_crash_in("cutover_activate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_killed_in_cleanup_completes_without_loss() {
    survives_a_crash_in("cutover_cleanup").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_under_load_keeps_what_it_acknowledged() {
    let mut cluster = Cluster::start(2, 2, "");
    let mut known = preload(&cluster.http, &cluster.address, 500).await;
    let load = Load::start(&cluster.http, &cluster.address, 8);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.nodes[0].restart();
    }
    known.merge(load.end().await);
    known.assert_intact(&cluster.http, &cluster.address).await;
}
