//! The storage node: a durable document store behind Meilisearch's documents API.

mod api;
mod apply;
mod changes;
mod fingerprint;
mod homes;
mod purge;
mod read;
mod record;
mod redo;
mod redo_batch;
mod store;
mod tasks;
mod translate;
mod writer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

pub(crate) use record::{Body, Record, bucket};

use crate::log;
use crate::metrics::NodeMetrics;
use crate::wire::{auth, serve};

/// How long open requests may go on after a signal to end.
const GRACE: Duration = Duration::from_secs(10);

/// Options of `miroir node`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// Address to listen on (an IP address and a port)
    #[arg(long)]
    listen: SocketAddr,
    /// Directory for the data; made if missing
    #[arg(long)]
    data: PathBuf,
    /// Largest request body accepted, in bytes
    #[arg(long, default_value_t = 100 << 20)]
    max_body_bytes: usize,
    /// Requests that may wait for the writer; more are refused with 503
    #[arg(long, default_value_t = 8192)]
    queue: usize,
    /// Bytes of requests that may wait for the writer; more are refused with 503
    #[arg(long, default_value_t = 64 << 20)]
    queue_bytes: usize,
    /// Bytes of the database kept in memory
    #[arg(long, default_value_t = 256 << 20)]
    cache_bytes: usize,
    /// Key that the router and other clients must send; without, anybody may read and write
    #[arg(long, env = "MIROIR_NODE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Changes kept for the change feed
    #[arg(long, default_value_t = 1_000_000)]
    keep_changes: u64,
}

/// Runs a node until it is told to end.
pub(crate) async fn run(args: NodeArgs) -> anyhow::Result<()> {
    auth::check_key("the key", args.key.as_deref()).map_err(anyhow::Error::msg)?;
    if args.key.is_none() {
        log::warn("without a key anybody may read and write");
    }
    serve::raise_file_limit();
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot make the data directory {}", args.data.display()))?;
    let path = args.data.join("node.redb");
    let log = args.data.join("redo.log");
    let log = redo::Redo::open(&log).with_context(|| format!("cannot open {}", log.display()))?;
    let ready = |database: &redb::Database| writer::catch_up(database, &log, args.keep_changes);
    let store = Arc::new(
        store::Store::open(&path, args.cache_bytes, ready)
            .with_context(|| format!("cannot open {}", path.display()))?,
    );
    let listener = serve::bind(args.listen).await?;
    let metrics = Arc::new(NodeMetrics::new());
    let limits = writer::Limits {
        queue: args.queue,
        queue_bytes: args.queue_bytes,
        keep_changes: args.keep_changes,
    };
    let (writer, writing) = writer::start(Arc::clone(&store), log, limits, Arc::clone(&metrics))
        .context("cannot start the writer thread")?;
    let app = api::routes(api::Node {
        store,
        writer,
        tasks: Arc::default(),
        metrics,
    });
    let app = auth::guarded(app, args.key.as_deref());
    let limits = serve::Limits {
        max_body_bytes: args.max_body_bytes,
        grace: GRACE,
    };
    let served = serve::serve(listener, app, limits, || ()).await;
    // With the last sender gone the writer commits what it still holds and ends.
    finish(&writing).await;
    served
}

/// Waits for the writer to commit what it holds; not for ever, since a client that will not leave keeps it open.
/// What it has not committed by then was not acknowledged.
async fn finish(writing: &std::thread::JoinHandle<()>) {
    for _ in 0..500 {
        if writing.is_finished() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
