//! What `shakedown run` and `torture` are told.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::objects::Spec;

use super::nodes::NodeArgs;
use crate::size::ByteSize;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RunArgs {
    /// Scenario names, suite names, scenario files (`*.toml`) or the `plan.json` of an earlier run
    #[arg(required = true)]
    pub(in crate::cli) what: Vec<String>,
    #[command(flatten)]
    /// How it is run.
    pub(in crate::cli) options: RunOptions,
}

/// Arguments of `torture`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TortureArgs {
    /// The system
    #[arg(long)]
    pub(in crate::cli) system: String,
    /// Faults by the names in the system file, each with a weight if you like: `kill,partition=3` (default: all)
    #[arg(long, value_name = "NAME[=WEIGHT],...", value_delimiter = ',', value_parser = parse_weighted)]
    pub(in crate::cli) faults: Vec<(String, u32)>,
    /// One fault in each stretch of this length
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub(in crate::cli) interval: HumanDuration,
    /// How long each fault lasts (default: two fifths of the interval)
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) hold: Option<HumanDuration>,
    /// How many faults may be in force at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(in crate::cli) at_once: u32,
    /// How many nodes may be struck at a time (default: all)
    #[arg(long, value_name = "F", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) nodes_at_once: Option<u32>,
    /// What clients do to plain objects, where the system's clients can (default: as the system file says)
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Spec::kinds()))]
    pub(in crate::cli) workload: Option<String>,
    /// Operations a second (default: as the system file says)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(in crate::cli) rate: Option<u32>,
    /// Write the scenario to this file, to keep or to change
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) save: Option<PathBuf>,
    #[command(flatten)]
    /// How it is run.
    pub(in crate::cli) options: RunOptions,
}

/// How scenarios are run.
#[derive(Debug, Args)]
pub(in crate::cli) struct RunOptions {
    #[command(flatten)]
    /// Where the nodes are.
    pub(in crate::cli) nodes: NodeArgs,
    /// A system file of your own; scenarios name it as the file does
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) system_file: Vec<PathBuf>,
    /// Everything random comes from this number; chosen at random and printed if not given
    #[arg(long)]
    pub(in crate::cli) seed: Option<u64>,
    /// Length of storms and of loads marked `soak`, e.g. `10m`, instead of what the scenario says (torture: 1m)
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) time: Option<HumanDuration>,
    /// Memory for judging a history by models, e.g. `512MiB`, instead of what the scenario says
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) memory_limit: Option<ByteSize>,
    /// Time for judging a history by models, e.g. `30s`, instead of what the scenario says
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) time_limit: Option<HumanDuration>,
    /// Run every scenario this often, each time with a seed of its own; losses are pooled
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) repeat: u32,
    /// Directory for run directories
    #[arg(long, default_value = "runs")]
    pub(in crate::cli) out: PathBuf,
    /// Print the plan and stop
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Install every fault without its effect: a run must then come out as unknown
    #[arg(long)]
    pub(in crate::cli) noop_faults: bool,
    /// Let the fault `host_clock` set the clocks of nodes that have a kernel of their own
    #[arg(long)]
    pub(in crate::cli) allow_host_clock: bool,
    /// Use this file for a program the system uploads, e.g. `miroir=/path/to/miroir`
    #[arg(long, value_name = "NAME=PATH", value_parser = parse_binary)]
    pub(in crate::cli) binary: Vec<(String, PathBuf)>,
    /// Let nodes that lack a system's packages install them, by their own package manager
    #[arg(long)]
    pub(in crate::cli) install_packages: bool,
    /// Leave the services of the last scenario running, and a local cluster up, to look around
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) leave_running: bool,
    /// Environment for every service, e.g. `RUST_LOG=debug`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_env)]
    pub(in crate::cli) env: Vec<(String, String)>,
    /// Faults are undone on a node when the harness was silent for this long, milliseconds
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(200..=600_000))]
    pub(in crate::cli) lease_ms: u64,
}

fn split_pair(text: &str) -> Result<(&str, &str), String> {
    text.split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or_else(|| "expected NAME=VALUE".to_owned())
}

fn parse_binary(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = split_pair(text)?;
    let path = PathBuf::from(path);
    if path.is_file() {
        Ok((name.to_owned(), path))
    } else {
        Err(format!("{} is not a file", path.display()))
    }
}

fn parse_weighted(text: &str) -> Result<(String, u32), String> {
    let (name, weight) = text.split_once('=').unwrap_or((text, "1"));
    match weight.parse() {
        Ok(weight @ 1..=1_000_000) if !name.is_empty() => Ok((name.to_owned(), weight)),
        _ => Err("expected NAME or NAME=WEIGHT with a weight from 1 to 1000000".to_owned()),
    }
}

fn parse_env(text: &str) -> Result<(String, String), String> {
    split_pair(text).map(|(name, value)| (name.to_owned(), value.to_owned()))
}
