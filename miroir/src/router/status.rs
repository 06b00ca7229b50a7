//! What operators see: status, migrations, shards, routing, placement.

use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::config::Member;
use crate::coordinator::{Intent, Migration, Phase, State};
use crate::routing::shard_of;

/// `GET /_miroir/status`.
pub(crate) fn status(cluster: &Cluster) -> Value {
    let last = cluster.state.read(|s| s.migrations.last().cloned());
    let config = &cluster.config;
    let nodes: Vec<Member> = cluster
        .state
        .read(|s| s.nodes.iter().map(Member::shown).collect());
    let warnings: Vec<String> = nodes.iter().filter_map(Member::warning).collect();
    json!({
        "ready": cluster.is_ready(),
        "superseded": cluster.identity.is_superseded(),
        "epoch": cluster.identity.epoch(),
        "term": cluster.table.current().term,
        "recovered_phase": cluster.recovered_phase,
        "phase": last.as_ref().map(|m| m.phase),
        "migration": last.as_ref().map(|m| describe(cluster, m)),
        "open_migrations": open(cluster),
        "nodes": nodes,
        "warnings": warnings,
        "groups": cluster.state.read(|s| s.groups.clone()),
        "shards": config.shards,
        "replication_factor": config.replication_factor,
        "write_wait": cluster.waits.summary(),
        "config": {
            "anti_entropy": config.anti_entropy.enabled,
            "auto_repair": config.anti_entropy.auto_repair,
            "skip_delta_pass": config.migration.skip_delta_pass,
            "stuck_writes": config.migration.stuck_writes,
            "unsafe_measurement_override": config.migration.unsafe_measurement_override,
        },
        "unsafe_measurement_override": config.migration.unsafe_measurement_override,
    })
}

fn open(cluster: &Cluster) -> Vec<Value> {
    cluster.state.read(|s| {
        let open = s.migrations.iter().filter(|m| m.is_open());
        open.map(summary).collect()
    })
}

/// `GET /_miroir/migrations`.
pub(crate) fn migrations(cluster: &Cluster) -> Value {
    let all: Vec<Value> = cluster
        .state
        .read(|s| s.migrations.iter().map(summary).collect());
    json!({ "migrations": all })
}

fn summary(migration: &Migration) -> Value {
    json!({
        "id": migration.id,
        "kind": kind(&migration.intent),
        "to": subject(&migration.intent),
        "phase": migration.phase,
        "open": migration.is_open(),
        "shards": migration.moves.len(),
    })
}

fn kind(intent: &Intent) -> &'static str {
    match intent {
        Intent::Join(_) => "join",
        Intent::RemoveNode(_) => "remove_node",
        Intent::AddGroup(_) => "add_group",
        Intent::RemoveGroup(_) => "remove_group",
        Intent::Rollback(_) => "rollback",
    }
}

/// The node or group a migration is about, or the migration it takes back.
fn subject(intent: &Intent) -> Value {
    match intent {
        Intent::Join(name)
        | Intent::RemoveNode(name)
        | Intent::AddGroup(name)
        | Intent::RemoveGroup(name) => json!(name),
        Intent::Rollback(id) => json!(id),
    }
}

/// A migration, as far as operators care.
pub(crate) fn describe(cluster: &Cluster, migration: &Migration) -> Value {
    let awaiting = migration.phase == Phase::CutoverCleanup
        && migration.awaits_anti_entropy
        && !migration.repaired;
    let (progress, underway) = (&cluster.coordinator.progress, &cluster.table.underway);
    let stuck = progress.is_stuck(migration.id);
    let mut shards = Map::new();
    for step in &migration.moves {
        let mut shard = progress.describe(migration.id, step.shard);
        if let Some(fields) = shard.as_object_mut() {
            fields.insert("from".to_owned(), json!(step.leaving.join(",")));
            fields.insert("to".to_owned(), json!(step.joining.join(",")));
            fields.insert("in_flight".to_owned(), json!(underway.of(step.shard)));
        }
        shards.insert(step.shard.to_string(), shard);
    }
    let sub_state = if awaiting {
        Some("awaiting anti-entropy")
    } else if stuck {
        Some("DrainTimeout: waiting for stuck writes")
    } else {
        None
    };
    let draining = matches!(
        migration.phase,
        Phase::DualWriteMigrating | Phase::CutoverDraining
    );
    let pending = underway.pending(migration.phase_term, &migration.shards());
    json!({
        "id": migration.id,
        "kind": kind(&migration.intent),
        "to": subject(&migration.intent),
        "phase": migration.phase,
        "sub_state": sub_state,
        "drain": draining.then(|| json!({"timed_out": stuck, "pending": pending.len()})),
        "auto_cutover": migration.auto_cutover,
        "cutover_requested": migration.cutover_requested,
        "skip_delta_pass": migration.skip_delta_pass,
        "unsafe_override": migration.unsafe_override,
        "given_up": migration.given_up,
        "discard_pending": migration.discard_pending,
        "rolled_back_by": migration.rolled_back_by,
        "shards": shards,
    })
}

/// `GET /_miroir/groups`.
pub(crate) fn groups(cluster: &Cluster) -> Value {
    let groups: Vec<Value> = cluster.state.read(|s| {
        let serving = s.serving_groups();
        let describe = |g: &super::config::Group| {
            let members = s.nodes.iter().filter(|n| n.group == g.name);
            let names: Vec<&String> = members.map(|n| &n.name).collect();
            json!({
                "name": g.name,
                "replication_factor": g.replication_factor,
                "nodes": names,
                "serving": serving.contains(&g.name),
            })
        };
        s.groups.iter().map(describe).collect()
    });
    json!({ "groups": groups })
}

/// `GET /_miroir/shards`.
pub(crate) fn shards(cluster: &Cluster) -> Value {
    let rows: Vec<Value> = cluster.state.read(|s| {
        let shards = 0..cluster.config.shards;
        shards.map(|shard| shard_row(cluster, s, shard)).collect()
    });
    json!({ "shards": rows })
}

/// `GET /_miroir/routing/{key}`.
pub(crate) fn routing(cluster: &Cluster, key: &str) -> Value {
    let shard = shard_of(key, cluster.config.shards);
    let mut row = cluster.state.read(|s| shard_row(cluster, s, shard));
    if let Some(fields) = row.as_object_mut() {
        fields.insert("key".to_owned(), json!(key));
    }
    row
}

fn shard_row(cluster: &Cluster, state: &State, shard: u32) -> Value {
    let named = |n: &String| format!("{}/{n}", state.group_of(n));
    let names = |nodes: &[String]| nodes.iter().map(named).collect::<Vec<_>>();
    let mover = state.mover(shard);
    let step = mover.and_then(|m| m.moves.iter().find(|step| step.shard == shard));
    json!({
        "shard": shard,
        "owners": names(&state.owners[shard as usize]),
        "moving": mover.map(|m| m.id),
        "phase": mover.map(|m| m.phase),
        "joining": step.map(|s| names(&s.joining)),
        "leaving": step.map(|s| names(&s.leaving)),
        "in_flight": cluster.table.underway.of(shard),
    })
}

/// `GET /_miroir/placement`.
pub(crate) fn placement(cluster: &Cluster) -> Value {
    let address = |name: &String| cluster.peers.get(name).address().to_string();
    let shards: Vec<Value> = cluster.state.read(|s| {
        let rows = s.owners.iter().zip(&s.former).zip(0..);
        let row = |((owners, former), shard): ((&Vec<String>, &Vec<String>), u32)| {
            let addresses = |names: &[String]| names.iter().map(address).collect::<Vec<_>>();
            // A copy is in the making until the routing has switched, and until it is removed if it was given up.
            let open = s.migrations.iter().filter(|m| m.is_open());
            let mut joining: Vec<String> = open
                .flat_map(|m| m.moves.iter().filter(|step| step.shard == shard))
                .flat_map(|step| step.joining.iter().filter(|n| !owners.contains(n)))
                .map(address)
                .collect();
            joining.sort();
            joining.dedup();
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
