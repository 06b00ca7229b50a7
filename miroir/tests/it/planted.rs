//! The planted bugs of router and coordinator: what the sound store survives undamaged damages each of them.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::kit::cluster::Cluster;
use crate::kit::load::{Known, preload};
use crate::kit::proxy::{ALWAYS, Proxy};

/// How many documents are not as they must be.
async fn damaged(cluster: &Cluster, known: &Known) -> usize {
    let damage = known.damage(&cluster.http, &cluster.address).await;
    damage.lost.len() + damage.stale.len() + damage.resurrected.len()
}

/// Nothing is damaged without a bug, and something with each of them.
macro_rules! controls {
    ($($sound:ident: $scenario:path { $($broken:ident: $bug:literal;)* })*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sound() {
            assert_eq!($scenario(&[]).await, 0);
        }

        $(
            #[cfg(feature = "planted-bugs")]
            #[tokio::test(flavor = "multi_thread")]
            async fn $broken() {
                assert!($scenario(&[("MIROIR_BUG", $bug)]).await > 0);
            }
        )*
    )*};
}

controls! {
    a_crash_before_the_delta_pass_loses_nothing: crash_before_the_delta_pass {
        a_delta_pass_from_memory_loses_documents_by_a_crash: "delta_from_memory";
        a_router_that_recovers_in_the_wrong_phase_loses_documents: "recovery_wrong_phase";
    }
    writes_that_are_late_at_the_cutover_are_kept: late_writes_at_the_cutover {
        without_a_drain_late_writes_are_lost: "no_drain";
        a_drain_that_counts_the_first_write_loses_the_others: "drain_counts_first";
    }
    deletes_during_the_dual_write_stay_deleted: deletes_during_the_dual_write {
        deletes_that_miss_the_new_owner_come_back: "delete_not_to_new";
    }
    writes_that_fail_on_the_new_owner_are_kept: writes_that_fail_on_new {
        cleaning_up_before_the_activation_loses_documents: "cleanup_before_activate";
        switching_before_the_delta_pass_loses_documents: "route_before_delta";
    }
    pages_that_fail_are_repeated: pages_that_fail {
        pages_that_are_not_repeated_are_lost: "page_lost_on_retry";
    }
    what_is_inserted_during_the_copy_is_copied: inserts_during_the_copy {
        a_copy_that_skips_inserts_loses_them: "copy_skips_inserts";
    }
    a_minority_of_the_copies_is_no_quorum: writes_to_a_minority {
        a_quorum_off_by_one_loses_documents: "quorum_off_by_one";
    }
}

/// The router crashes between failed dual writes and the delta pass.
async fn crash_before_the_delta_pass(environment: &[(&str, &str)]) -> usize {
    let mut cluster = Cluster::start_with(2, 1, "[migration]\nphase_settle_ms = 400", environment);
    let proxy = Proxy::to(&cluster.nodes[1].address).await;
    let mut known = preload(&cluster.http, &cluster.address, 100).await;
    cluster.migrate_to(2, Some(proxy.address), false).await;
    cluster.router.wait_for_event("copy_done");
    proxy.reset_share(500);
    for i in 0..100 {
        known
            .send(
                &cluster.http,
                &cluster.address,
                &format!("late-{i}"),
                Some(1),
            )
            .await;
    }
    proxy.reset_share(0);
    cluster
        .post("/_miroir/migrations/1/cutover", serde_json::json!({}))
        .await;
    cluster.router.wait_for_phase("cutover_draining");
    cluster.crash_router();
    cluster.router.wait_for_phase("complete");
    damaged(&cluster, &known).await
}

/// Two writes reach OLD only after the drain had to wait for them; both fail on NEW.
async fn late_writes_at_the_cutover(environment: &[(&str, &str)]) -> usize {
    let options = "[migration]\nphase_settle_ms = 200\nnode_timeout_ms = 60000";
    let cluster = Cluster::start_with(3, 1, options, environment);
    // Node 1 is reached directly: everything moves behind a proxy first.
    let (old, new) = (
        Proxy::to(&cluster.nodes[1].address).await,
        Proxy::to(&cluster.nodes[2].address).await,
    );
    cluster.add_node(2, Some(old.address)).await;
    let all: Vec<u32> = (0..64).collect();
    let everything = json!({"to": "n2", "shards": all});
    cluster
        .begin(Method::POST, "/_miroir/migrations", Some(everything))
        .await;
    cluster.router.wait_for_phase_of(1, "complete");
    cluster.add_node(3, Some(new.address)).await;
    let to_new = json!({"to": "n3", "shards": all, "auto_cutover": false});
    cluster
        .begin(Method::POST, "/_miroir/migrations", Some(to_new))
        .await;
    cluster.router.wait_for("the second copy", |l| {
        l["event"] == "copy_done" && l["migration"] == 2
    });
    let (first_hold, second_hold) = (old.hold("late-first"), old.hold("late-second"));
    new.reset_share(ALWAYS);
    let mut sent = Vec::new();
    for id in ["late-first", "late-second"] {
        let (http, address) = (cluster.http.clone(), cluster.address.clone());
        sent.push(tokio::spawn(async move {
            let mut known = Known::default();
            known.send(&http, &address, id, Some(1)).await;
            known
        }));
        while cluster.get("/_miroir/writes").await["writes"]
            .as_array()
            .unwrap()
            .len()
            < sent.len()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    new.reset_share(0);
    cluster
        .begin(Method::POST, "/_miroir/migrations/2/cutover", None)
        .await;
    cluster.router.wait_for_phase_of(2, "cutover_draining");
    drop(first_hold);
    // Long enough for a router that does not wait to be past its delta pass.
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(second_hold);
    let mut known = Known::default();
    for write in sent {
        known.merge(write.await.unwrap());
    }
    cluster.router.wait_for_phase_of(2, "complete");
    assert_eq!(known.acknowledged, 2);
    damaged(&cluster, &known).await
}

async fn deletes_during_the_dual_write(environment: &[(&str, &str)]) -> usize {
    let cluster = Cluster::start_with(2, 1, "", environment);
    let mut known = preload(&cluster.http, &cluster.address, 200).await;
    cluster.migrate_to(2, None, false).await;
    cluster.router.wait_for_event("copy_done");
    for i in 0..100 {
        let id = format!("pre-{i}");
        known.send(&cluster.http, &cluster.address, &id, None).await;
    }
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/cutover", None)
        .await;
    cluster.router.wait_for_phase("complete");
    damaged(&cluster, &known).await
}

async fn writes_that_fail_on_new(environment: &[(&str, &str)]) -> usize {
    let cluster = Cluster::start_with(2, 1, "", environment);
    let proxy = Proxy::to(&cluster.nodes[1].address).await;
    let mut known = preload(&cluster.http, &cluster.address, 100).await;
    cluster.migrate_to(2, Some(proxy.address), false).await;
    cluster.router.wait_for_event("copy_done");
    proxy.reset_share(ALWAYS);
    for i in 0..50 {
        let id = format!("late-{i}");
        known
            .send(&cluster.http, &cluster.address, &id, Some(1))
            .await;
    }
    proxy.reset_share(0);
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/cutover", None)
        .await;
    cluster.router.wait_for_phase("complete");
    damaged(&cluster, &known).await
}

/// Without delta pass: what the copy alone brings.
async fn pages_that_fail(environment: &[(&str, &str)]) -> usize {
    let cluster = Cluster::start_with(2, 1, "[migration]\npage_size = 4", environment);
    let proxy = Proxy::to(&cluster.nodes[1].address).await;
    let known = preload(&cluster.http, &cluster.address, 1000).await;
    cluster.add_node(2, Some(proxy.address)).await;
    let start = json!({"to": "n2", "skip_delta_pass": true, "auto_cutover": false});
    cluster
        .begin(Method::POST, "/_miroir/migrations", Some(start))
        .await;
    cluster.router.wait_for_phase("dual_write_migrating");
    proxy.reset_share(300);
    cluster.router.wait_for_event("copy_done");
    assert!(proxy.resets() > 0);
    proxy.reset_share(0);
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/cutover", None)
        .await;
    cluster.router.wait_for_event("awaiting_anti_entropy");
    damaged(&cluster, &known).await
}

/// Without delta pass: inserts that fail on NEW while the copy, which goes past them later, is held up.
async fn inserts_during_the_copy(environment: &[(&str, &str)]) -> usize {
    let cluster = Cluster::start_with(2, 1, "", environment);
    let proxy = Proxy::to(&cluster.nodes[1].address).await;
    let mut known = preload(&cluster.http, &cluster.address, 100).await;
    cluster.add_node(2, Some(proxy.address)).await;
    let copying = proxy.hold("pre-");
    let start = json!({"to": "n2", "skip_delta_pass": true, "auto_cutover": false});
    cluster
        .begin(Method::POST, "/_miroir/migrations", Some(start))
        .await;
    cluster.router.wait_for("a shard", |l| {
        l["event"] == "shard" && l["phase"] == "migrating"
    });
    // The first page has been read by the time it is held up.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    proxy.reset_share(ALWAYS);
    for i in 0..100 {
        let id = format!("late-{i}");
        known
            .send(&cluster.http, &cluster.address, &id, Some(1))
            .await;
    }
    proxy.reset_share(0);
    drop(copying);
    cluster.router.wait_for_event("copy_done");
    let first = cluster.router.wait_for("a shard", |l| {
        l["event"] == "shard" && l["phase"] == "migrating"
    });
    cluster
        .begin(Method::POST, "/_miroir/migrations/1/cutover", None)
        .await;
    cluster.router.wait_for_event("awaiting_anti_entropy");
    // The page that was held up was read before the inserts into its shard.
    let held_up = first["shard"].as_u64().unwrap();
    let mut others = Known::default();
    for (id, states) in &known.documents {
        let route = cluster.get(&format!("/_miroir/routing/{id}")).await;
        if route["shard"] != held_up {
            others.documents.insert(id.clone(), states.clone());
        }
    }
    damaged(&cluster, &others).await
}

async fn writes_to_a_minority(environment: &[(&str, &str)]) -> usize {
    let options = "replication_factor = 3\n[migration]\nnode_timeout_ms = 1000";
    let mut cluster = Cluster::start_with(3, 3, options, environment);
    let mut known = preload(&cluster.http, &cluster.address, 50).await;
    for n in [1, 2] {
        cluster.nodes[n].process.kill();
    }
    for i in 0..50 {
        let id = format!("late-{i}");
        known
            .send(&cluster.http, &cluster.address, &id, Some(1))
            .await;
    }
    for n in [1, 2] {
        cluster.nodes[n].restart();
    }
    cluster.nodes[0].process.kill();
    damaged(&cluster, &known).await
}
