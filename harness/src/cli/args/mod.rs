//! The command line.

mod check;
mod nodes;
mod run;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::check::{CheckArgs, ModelArgs};
pub(super) use self::nodes::{ClusterCommand, DoctorArgs, HealArgs, NodeArgs};
pub(super) use self::run::{RunArgs, RunOptions, TortureArgs};
use super::exit::EXIT_CODES;

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
