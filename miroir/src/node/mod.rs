//! The storage node: a durable document store behind Meilisearch's documents API.

mod api;
mod apply;
mod changes;
mod fingerprint;
mod purge;
mod read;
mod record;
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

use crate::wire::serve;

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
    /// Changes kept for the change feed
    #[arg(long, default_value_t = 1_000_000)]
    keep_changes: u64,
}

/// Runs a node until it is told to end.
pub(crate) async fn run(args: NodeArgs) -> anyhow::Result<()> {
    serve::raise_file_limit();
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot make the data directory {}", args.data.display()))?;
    let path = args.data.join("node.redb");
    let store = Arc::new(
        store::Store::open(&path).with_context(|| format!("cannot open {}", path.display()))?,
    );
    let listener = serve::bind(args.listen).await?;
    let (writer, writing) = writer::start(Arc::clone(&store), args.queue, args.keep_changes)
        .context("cannot start the writer thread")?;
    let app = api::routes(api::Node {
        store,
        writer,
        tasks: Arc::default(),
    });
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
