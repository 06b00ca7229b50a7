//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use shakedown_checker::catalogue::{self, Model};
use shakedown_checker::import::edn::Reader;
use shakedown_checker::import::{Format, Value};
use shakedown_checker::isolation::{Anomaly, Workload};
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::objects::Spec;

use super::exit::EXIT_CODES;
use crate::size::ByteSize;

/// Chaos harness: deploys real nodes over SSH, breaks them, and checks what survived.
#[derive(Debug, Parser)]
#[command(name = "shakedown", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios or a suite, check the history, and write the report
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Random faults on a system, without a scenario file
    #[command(after_help = EXIT_CODES)]
    Torture(TortureArgs),
    /// Write the report of a finished run again
    #[command(after_help = EXIT_CODES)]
    Report {
        /// The run directory
        run: PathBuf,
        /// Write the report to this file instead, its plots beside it
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Write the guidance for release notes to this file, too
        #[arg(long, value_name = "FILE")]
        release_notes: Option<PathBuf>,
    },
    /// Judge a run again, or check any history against a model; without a cluster
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// Write a recorded history as JSON lines to standard output
    Export {
        /// A `history` directory
        history: PathBuf,
    },
    /// Print a table of a finished run
    #[command(subcommand)]
    Table(TableCommand),
    /// Say what changed from one run to another, and whether more was lost than chance explains
    #[command(after_help = EXIT_CODES)]
    Compare {
        /// The run directory of the first run: the last release
        before: PathBuf,
        /// The run directory of the second run: the candidate
        after: PathBuf,
    },
    /// List scenarios, suites and systems
    List,
    /// Run the scenarios that must catch the bugs planted in a system, and count how often they do
    #[command(after_help = EXIT_CODES)]
    TrackRecord(TrackRecordArgs),
    /// Local clusters: real SSH hosts in namespaces of this machine
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Undo every fault that an interrupted run left on nodes
    Heal(HealArgs),
    /// Say which faults each node can be given, by which mechanism, or why not
    Doctor(DoctorArgs),
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A run directory: judged by its scenarios' expectations; a scenario's directory in one (holds `history`):
    /// judged by "nothing is lost", or by the models of its workload; with `--model`, a file or directory with a history
    pub(super) history: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// What the history must satisfy; several, separated by commas, are checked together
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(catalogue::all().map(possible_model)))]
    pub(super) model: Vec<String>,
    #[command(flatten)]
    /// How to check against the model.
    pub(super) how: ModelArgs,
}

/// How to check a history against a model.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// What the file is, if it is not to be found out (gzip and zstd always are)
    #[arg(long, requires = "model", value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    pub(super) format: Option<String>,
    /// What a register holds at first, in EDN (default: as the file says, else 0 in EDN, else nil)
    #[arg(long, requires = "model", value_name = "VALUE", value_parser = parse_initial)]
    pub(super) initial: Option<Value>,
    /// What transactions work on: list-append or rw-register (default: as the first write shows)
    #[arg(long, requires = "model", value_name = "WORKLOAD", value_parser = parse_workload)]
    pub(super) workload: Option<Workload>,
    /// Order a register's versions by writes that follow reads within transactions
    #[arg(long, requires = "model")]
    pub(super) wfr_keys: bool,
    /// Order a register's versions as each process meets them: every key is sequentially consistent
    #[arg(long, requires = "model")]
    pub(super) sequential_keys: bool,
    /// Order a register's versions by real time: every key is linearizable
    #[arg(long, requires = "model")]
    pub(super) linearizable_keys: bool,
    /// Anomaly that must not occur even if the model allows it, e.g. G2-item; can be repeated
    #[arg(long, requires = "model", value_name = "ANOMALY", value_parser = parse_anomaly)]
    pub(super) forbid: Vec<Anomaly>,
    /// Values are `[key value]`: invariants are checked for each key
    #[arg(long, requires = "model")]
    pub(super) by_key: bool,
    /// What the balances of a bank add up to (default: what they do in the first read)
    #[arg(
        long,
        requires = "model",
        value_name = "AMOUNT",
        allow_hyphen_values = true
    )]
    pub(super) total: Option<i64>,
    /// Balances of a bank may be below zero
    #[arg(long, requires = "model")]
    pub(super) negative_balances: bool,
    /// How many keys each read has when long forks are looked for
    #[arg(long, requires = "model", value_name = "N")]
    pub(super) group_size: Option<usize>,
    /// Memory for the history and the search, e.g. `512MiB`; past it the verdict is unknown (default: 2GiB; of
    /// a run, as its plan says)
    #[arg(long, value_name = "SIZE")]
    pub(super) memory_limit: Option<ByteSize>,
    /// Time for reading and checking, e.g. `30s`; past it what holds so far is unknown (default: none; of a run,
    /// as its plan says)
    #[arg(long, value_name = "DURATION")]
    pub(super) time_limit: Option<HumanDuration>,
    /// Threads that check keys side by side (default: as many as there are processors)
    #[arg(long, requires = "model", value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
    /// Write the result to this file as an HTML page, with drawings
    #[arg(long, requires = "model", value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

/// Tables.
#[derive(Debug, Subcommand)]
pub(super) enum TableCommand {
    /// Losses by scenario, repetitions pooled
    Loss {
        /// The run directory
        run: PathBuf,
        /// How to print it
        #[arg(long, value_enum, default_value_t = TableFormat::Md)]
        format: TableFormat,
    },
}

/// Forms of a table.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum TableFormat {
    /// Markdown
    Md,
    /// Comma-separated values, shares from 0 to 1
    Csv,
    /// JSON
    Json,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Scenario names, suite names, scenario files (`*.toml`) or the `plan.json` of an earlier run
    #[arg(required = true)]
    pub(super) what: Vec<String>,
    #[command(flatten)]
    /// How it is run.
    pub(super) options: RunOptions,
}

/// Arguments of `torture`.
#[derive(Debug, Args)]
pub(super) struct TortureArgs {
    /// The system
    #[arg(long)]
    pub(super) system: String,
    /// Faults by the names in the system file, each with a weight if you like: `kill,partition=3` (default: all)
    #[arg(long, value_name = "NAME[=WEIGHT],...", value_delimiter = ',', value_parser = parse_weighted)]
    pub(super) faults: Vec<(String, u32)>,
    /// One fault in each stretch of this length
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub(super) interval: HumanDuration,
    /// How long each fault lasts (default: two fifths of the interval)
    #[arg(long, value_name = "DURATION")]
    pub(super) hold: Option<HumanDuration>,
    /// How many faults may be in force at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) at_once: u32,
    /// How many nodes may be struck at a time (default: all)
    #[arg(long, value_name = "F", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) nodes_at_once: Option<u32>,
    /// What clients do to plain objects, where the system's clients can (default: as the system file says)
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Spec::kinds()))]
    pub(super) workload: Option<String>,
    /// Operations a second (default: as the system file says)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) rate: Option<u32>,
    /// Write the scenario to this file, to keep or to change
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
    #[command(flatten)]
    /// How it is run.
    pub(super) options: RunOptions,
}

/// How scenarios are run.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    /// Where the nodes are.
    pub(super) nodes: NodeArgs,
    /// A system file of your own; scenarios name it as the file does
    #[arg(long, value_name = "FILE")]
    pub(super) system_file: Vec<PathBuf>,
    /// Everything random comes from this number; chosen at random and printed if not given
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Length of storms and of loads marked `soak`, e.g. `10m`, instead of what the scenario says (torture: 1m)
    #[arg(long, value_name = "DURATION")]
    pub(super) time: Option<HumanDuration>,
    /// Memory for judging a history by models, e.g. `512MiB`, instead of what the scenario says
    #[arg(long, value_name = "SIZE")]
    pub(super) memory_limit: Option<ByteSize>,
    /// Time for judging a history by models, e.g. `30s`, instead of what the scenario says
    #[arg(long, value_name = "DURATION")]
    pub(super) time_limit: Option<HumanDuration>,
    /// Run every scenario this often, each time with a seed of its own; losses are pooled
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) repeat: u32,
    /// Directory for run directories
    #[arg(long, default_value = "runs")]
    pub(super) out: PathBuf,
    /// Print the plan and stop
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Install every fault without its effect: a run must then come out as unknown
    #[arg(long)]
    pub(super) noop_faults: bool,
    /// Let the fault `host_clock` set the clocks of nodes that have a kernel of their own
    #[arg(long)]
    pub(super) allow_host_clock: bool,
    /// Use this file for a program the system uploads, e.g. `miroir=/path/to/miroir`
    #[arg(long, value_name = "NAME=PATH", value_parser = parse_binary)]
    pub(super) binary: Vec<(String, PathBuf)>,
    /// Let nodes that lack a system's packages install them, by their own package manager
    #[arg(long)]
    pub(super) install_packages: bool,
    /// Leave the services of the last scenario running, and a local cluster up, to look around
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) leave_running: bool,
    /// Environment for every service, e.g. `RUST_LOG=debug`
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_env)]
    pub(super) env: Vec<(String, String)>,
    /// Faults are undone on a node when the harness was silent for this long, milliseconds
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(200..=600_000))]
    pub(super) lease_ms: u64,
}

/// Arguments of `track-record`.
#[derive(Debug, Args)]
pub(super) struct TrackRecordArgs {
    /// The system
    #[arg(long)]
    pub(super) system: String,
    /// Runs of each scenario with each bug
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: u32,
    /// Seed of the first run of each
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Only these bugs; `none` is the system as it is
    #[arg(long, value_name = "NAME")]
    pub(super) bug: Vec<String>,
    /// The program with the bugs (default: the one beside this program)
    #[arg(long, value_name = "PATH")]
    pub(super) planted: Option<PathBuf>,
    /// Directory for the runs and for the record, which later invocations complete
    #[arg(long, default_value = "runs/track-record")]
    pub(super) out: PathBuf,
    /// Run what the record already has again
    #[arg(long)]
    pub(super) again: bool,
    /// Write the record to this file as Markdown
    #[arg(long, value_name = "FILE")]
    pub(super) to: Option<PathBuf>,
}

/// Where the nodes are.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// Use a local cluster of this many nodes (default: as many as the scenarios need)
    #[arg(long, value_name = "N", conflicts_with_all = ["nodes", "nodes_file", "cluster"])]
    pub(super) local: Option<usize>,
    /// Use the nodes of a running local cluster (see `shakedown cluster up`)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["nodes", "nodes_file"])]
    pub(super) cluster: Option<String>,
    /// Nodes, `[user@]host[:port]`, separated by commas
    #[arg(long, value_name = "LIST", conflicts_with = "nodes_file")]
    pub(super) nodes: Option<String>,
    /// File with one node per line; `#` starts a comment
    #[arg(long, value_name = "FILE")]
    pub(super) nodes_file: Option<PathBuf>,
    /// User on the nodes (default: as in ~/.ssh/config, else your own)
    #[arg(long)]
    pub(super) user: Option<String>,
    /// SSH port (default: as in ~/.ssh/config, else 22)
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// Private key file
    #[arg(long)]
    pub(super) key: Option<PathBuf>,
    /// Use keys of the running ssh-agent
    #[arg(long)]
    pub(super) agent: bool,
    /// Become root on the nodes with `sudo -n`
    #[arg(long)]
    pub(super) sudo: bool,
    /// Known hosts file; a node that is not in it is refused
    #[arg(long)]
    pub(super) known_hosts: Option<PathBuf>,
    /// Add the key of a node that is not in the known hosts file yet (a changed key is still refused)
    #[arg(long)]
    pub(super) accept_new_host_keys: bool,
    /// SSH client configuration; `none` for none (default: ~/.ssh/config)
    #[arg(long, value_name = "FILE")]
    pub(super) ssh_config: Option<PathBuf>,
}

/// Arguments of `heal`.
#[derive(Debug, Args)]
pub(super) struct HealArgs {
    #[command(flatten)]
    /// Where the nodes are.
    pub(super) nodes: NodeArgs,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    /// Where the nodes are; a local cluster of one node if none are named.
    pub(super) nodes: NodeArgs,
    /// List instead what is left of faults on each node, and undo nothing; also while a run has the node
    #[arg(long)]
    pub(super) leftovers: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Commands on local clusters.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Start a cluster that stays until `down`
    Up {
        /// Number of nodes
        #[arg(default_value_t = 5)]
        nodes: usize,
        /// Its name
        #[arg(long, default_value = "default")]
        name: String,
        /// Its network, a /24 of private addresses (default: the first that is free)
        #[arg(long)]
        subnet: Option<String>,
        /// Debian packages that its nodes get, separated by commas; the machine itself is left as it is
        #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
        packages: Vec<String>,
        /// A system whose packages its nodes get
        #[arg(long, value_name = "NAME")]
        system: Vec<String>,
        /// A system file of your own, for `--system`
        #[arg(long, value_name = "FILE")]
        system_file: Vec<PathBuf>,
    },
    /// Take a cluster down and remove everything it made
    Down {
        /// Its name
        #[arg(default_value = "default")]
        name: String,
    },
    /// List running clusters
    List,
    /// List the layers of packages kept for local clusters: hash, bytes, packages
    Packages {
        /// Remove them all; they are made again when they are needed
        #[arg(long)]
        remove: bool,
    },
    /// Open a shell on a node, or run a command there
    Ssh {
        /// The node, e.g. `n2`
        node: String,
        /// The cluster
        #[arg(long, default_value = "default")]
        cluster: String,
        /// The command; a shell without one
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

fn possible_model(model: &Model) -> PossibleValue {
    PossibleValue::new(model.name)
        .help(format!("{}: {}", model.about, model.functions))
        .aliases(model.other_names())
}

fn parse_workload(name: &str) -> Result<Workload, String> {
    match name {
        "list-append" => Ok(Workload::ListAppend),
        "rw-register" => Ok(Workload::RwRegister),
        _ => Err("expected list-append or rw-register".to_owned()),
    }
}

fn parse_anomaly(name: &str) -> Result<Anomaly, String> {
    Anomaly::named(name).ok_or_else(|| {
        let names: Vec<_> = Anomaly::all().map(Anomaly::name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn parse_initial(text: &str) -> Result<Value, String> {
    match Reader::new(text).value() {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err("expected a value".to_owned()),
        Err(error) => Err(error.reason),
    }
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
