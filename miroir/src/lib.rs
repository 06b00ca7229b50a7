//! Miroir: a sharded document store. One binary: storage node, router with coordinator, operator's tool.
//!
//! A `node` stores documents; the `router` takes clients' requests and sends them to the owners (`routing`) of each shard,
//! through `peer`. The `coordinator` in it moves shards, `anti_entropy` repairs copies, `changes` is the change feed. `ctl`
//! steers a running router; `audit` tells from its log what a migration loses.
#![forbid(unsafe_code)]

mod anti_entropy;
mod audit;
mod changes;
mod coordinator;
mod ctl;
mod log;
mod metrics;
mod node;
mod peer;
#[cfg(feature = "planted-bugs")]
mod planted;
mod router;
mod routing;
mod wire;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The version, with a mark if faults are planted in this build.
const VERSION: &str = if cfg!(feature = "planted-bugs") {
    concat!(
        env!("CARGO_PKG_VERSION"),
        " (PLANTED BUGS: for negative controls only)"
    )
} else {
    env!("CARGO_PKG_VERSION")
};

/// A sharded document store
#[derive(Parser)]
#[command(name = "miroir", version = VERSION)]
enum Command {
    /// Run a storage node
    Node(node::NodeArgs),
    /// Run the router and its migration coordinator
    Router(router::RouterArgs),
    /// Ask and steer a running router
    Ctl(ctl::CtlArgs),
    /// Print which documents an unchecked cutover loses, by the router's audit log
    Predict(audit::PredictArgs),
    /// Print the shard of each primary key on standard input
    ShardsOf(routing::ShardsOfArgs),
}

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    let command = Command::parse();
    #[cfg(feature = "planted-bugs")]
    planted::announce(matches!(command, Command::Node(_) | Command::Router(_)));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match command {
        Command::Node(args) => runtime.block_on(node::run(args)),
        Command::Router(args) => runtime.block_on(router::run(args)),
        Command::Predict(args) => audit::run(&args),
        Command::ShardsOf(args) => routing::run(&args),
        Command::Ctl(args) => return runtime.block_on(ctl::run(args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("miroir: {error:#}");
            ExitCode::FAILURE
        }
    }
}
