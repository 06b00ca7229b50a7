//! The router: takes clients' requests, sends them to the shards' owners, and hosts the coordinator.

mod admin;
mod admission;
mod api;
mod cluster;
mod config;
mod hlc;
mod key_locks;
mod part;
mod read;
mod status;
mod stuck;
mod table;
mod takeover;
mod underway;
mod waits;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

pub(crate) use cluster::Cluster;
pub(crate) use config::{
    Config, Group, Member, NodeKind, StuckWrites, UNSAFE_CUTOVER, address_of, check_safety,
};
pub(crate) use key_locks::KeyLocks;
pub(crate) use takeover::confirm;

use crate::wire::auth::guarded;
use crate::wire::serve;
use crate::{anti_entropy, changes, coordinator, log, metrics};

/// Options of `miroir router`.
#[derive(Debug, clap::Args)]
pub(crate) struct RouterArgs {
    /// Configuration file (TOML)
    #[arg(long)]
    config: PathBuf,
    /// Only check the configuration: print what is wrong with it and exit with 1, or exit with 0
    #[arg(long)]
    check_config: bool,
}

/// Runs a router until it is told to end.
pub(crate) async fn run(args: RouterArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    for warning in config.validate()? {
        log::warn(&warning);
    }
    if args.check_config {
        log::event(
            "config_ok",
            &[("config", json!(args.config.display().to_string()))],
        );
        return Ok(());
    }
    serve::raise_file_limit();
    let cluster = Arc::new(Cluster::open(config)?);
    let listener = serve::bind(cluster.config.listen).await?;
    let keys = (&cluster.config.data_key, &cluster.config.admin_key);
    if keys.0.is_none() || keys.1.is_none() {
        log::warn("without data_key and admin_key anybody may read, write and operate");
    }
    let admin = admin::routes(Arc::clone(&cluster))
        .merge(anti_entropy::routes(Arc::clone(&cluster)))
        .merge(changes::routes(Arc::clone(&cluster)))
        .merge(metrics::routes(Arc::clone(&cluster)));
    let (max_bytes, max_body) = (
        cluster.config.max_write_bytes,
        cluster.config.max_body_bytes,
    );
    let clients = admission::bounded(api::routes(Arc::clone(&cluster)), max_bytes, max_body);
    let admin = admission::unless_superseded(admin, Arc::clone(&cluster));
    let app = guarded(clients, keys.0.as_deref()).merge(guarded(admin, keys.1.as_deref()));
    let recovering = tokio::spawn(recover(Arc::clone(&cluster)));
    let limits = serve::Limits {
        max_body_bytes: cluster.config.max_body_bytes,
        grace: Duration::from_millis(cluster.config.shutdown_grace_ms),
    };
    let stopping = Arc::clone(&cluster);
    let served = serve::serve(listener, app, limits, move || stopping.stop_serving()).await;
    recovering.abort();
    cluster.coordinator.stop().await;
    cluster.settle_writes().await;
    cluster.audit.flush();
    served
}

/// Makes the cluster ready: routing is as persisted already; registers with the nodes, then resumes migrations.
async fn recover(cluster: Arc<Cluster>) {
    takeover::register(&cluster).await;
    let recovered = cluster.state.read(|s| {
        let open = s.migrations.iter().filter(|m| m.is_open());
        let mut recovered: Vec<_> = open.map(|m| (m.id, m.phase, true)).collect();
        if recovered.is_empty() {
            recovered.extend(s.migrations.last().map(|m| (m.id, m.phase, false)));
        }
        recovered
    });
    for (id, phase, open) in recovered {
        log::event(
            "recovered",
            &[("phase", json!(phase)), ("migration", json!(id))],
        );
        if open {
            coordinator::resume(&cluster, id).await;
        }
    }
    cluster.set_ready();
    log::event("ready", &[("epoch", json!(cluster.identity.epoch()))]);
    let maintain_hlc = async {
        loop {
            cluster.hlc.extend(&cluster.state);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let working = async {
        tokio::join!(
            maintain_hlc,
            anti_entropy::run_by_schedule(&cluster),
            anti_entropy::sweep_expired(&cluster),
            takeover::watch(&cluster)
        )
    };
    tokio::select! {
        _ = working => {}
        () = cluster.identity.superseded() => {
            cluster.table.wake();
            cluster.coordinator.stop().await;
        }
    }
}
