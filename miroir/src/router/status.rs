//! What operators see: status, placement.

use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::config::Member;
use crate::coordinator::{Migration, Phase};

/// `GET /_miroir/status`.
pub(crate) fn status(cluster: &Cluster) -> Value {
    let migration = cluster.state.read(|s| s.migrations.last().cloned());
    let config = &cluster.config;
    let nodes: Vec<Member> = cluster
        .state
        .read(|s| s.nodes.iter().map(Member::shown).collect());
    let warnings: Vec<String> = nodes.iter().filter_map(Member::warning).collect();
    json!({
        "ready": cluster.is_ready(),
        "epoch": cluster.epoch,
        "term": cluster.table.current().term,
        "recovered_phase": cluster.recovered_phase,
        "phase": migration.as_ref().map(|m| m.phase),
        "migration": migration.as_ref().map(|m| describe(cluster, m)),
        "nodes": nodes,
        "warnings": warnings,
        "shards": config.shards,
        "replication_factor": config.replication_factor,
        "write_wait": cluster.waits.summary(),
        "config": {
            "anti_entropy": config.anti_entropy.enabled,
            "auto_repair": config.anti_entropy.auto_repair,
            "skip_delta_pass": config.migration.skip_delta_pass,
            "unsafe_measurement_override": config.migration.unsafe_measurement_override,
        },
        "unsafe_measurement_override": config.migration.unsafe_measurement_override,
    })
}

/// A migration, as far as operators care.
pub(crate) fn describe(cluster: &Cluster, migration: &Migration) -> Value {
    let awaiting = migration.phase == Phase::CutoverCleanup
        && migration.awaits_anti_entropy
        && !migration.repaired;
    let progress = cluster.coordinator.progress.snapshot();
    let mut shards = Map::new();
    for step in &migration.moves {
        let mut shard = json!(progress.get(&step.shard));
        if let Some(fields) = shard.as_object_mut() {
            fields.insert("from".to_owned(), json!(step.leaving));
            fields.insert(
                "in_flight".to_owned(),
                json!(cluster.table.inflight(step.shard)),
            );
        }
        shards.insert(step.shard.to_string(), shard);
    }
    json!({
        "id": migration.id,
        "to": migration.to,
        "phase": migration.phase,
        "sub_state": awaiting.then_some("awaiting anti-entropy"),
        "auto_cutover": migration.auto_cutover,
        "cutover_requested": migration.cutover_requested,
        "skip_delta_pass": migration.skip_delta_pass,
        "unsafe_override": migration.unsafe_override,
        "given_up": migration.given_up,
        "discard_pending": migration.discard_pending,
        "shards": shards,
    })
}

/// `GET /_miroir/placement`.
pub(crate) fn placement(cluster: &Cluster) -> Value {
    let address = |name: &String| cluster.peers.get(name).address().to_string();
    let shards: Vec<Value> = cluster.state.read(|s| {
        let running = s.migrations.last().filter(|m| m.is_open());
        let rows = s.owners.iter().zip(&s.former).zip(0..);
        let row = |((owners, former), shard): ((&Vec<String>, &Vec<String>), u32)| {
            let addresses = |names: &[String]| names.iter().map(address).collect::<Vec<_>>();
            // Its copy is in the making until the routing has switched.
            let joining: Vec<String> = running
                .filter(|m| {
                    m.moves.iter().any(|step| step.shard == shard) && !owners.contains(&m.to)
                })
                .map(|m| address(&m.to))
                .into_iter()
                .collect();
            json!({
                "shard": shard,
                "owners": addresses(owners),
                "former": addresses(former),
                "joining": joining,
            })
        };
        rows.map(row).collect()
    });
    json!({"shard_field": crate::wire::document::SHARD, "shards": shards})
}
