//! The command line: parsing, dispatch and exit codes.

mod args;
mod check;
mod check_model;
mod check_scenario;
mod choose;
mod cluster;
mod compare;
mod doctor;
mod exit;
mod ground;
mod heal;
mod interrupt;
mod list;
mod plans;
mod report;
mod run;
mod table;
mod torture;
mod track_record;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cluster::ClusterError;
use args::{Cli, Command, TableCommand};
use exit::Exit;

/// Why a command ended without an outcome of its own.
enum Failure {
    /// The person's to mend: arguments, scenario, node list.
    Usage(String),
    /// Everything else.
    Harness(String),
}

impl Failure {
    fn usage(error: impl std::fmt::Display) -> Self {
        Failure::Usage(error.to_string())
    }

    /// What stands in a file is the person's to mend; the causes say what it is.
    fn chain(error: impl std::error::Error) -> Self {
        Failure::Usage(crate::run::error_chain(&error))
    }

    /// A name or number that makes no sense is the person's to mend.
    fn cluster(error: ClusterError) -> Self {
        match error {
            ClusterError::BadName(_)
            | ClusterError::BadSize { .. }
            | ClusterError::BadSubnet(_)
            | ClusterError::BadPackage(_)
            | ClusterError::NameInUse(_)
            | ClusterError::SubnetInUse { .. }
            | ClusterError::NotFound(_) => Failure::usage(error),
            other => Failure::harness(other),
        }
    }

    fn harness(error: impl std::fmt::Display) -> Self {
        Failure::Harness(error.to_string())
    }
}

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed terminal is no reason to fail differently.
            let _ = error.print();
            let asked_for = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return if asked_for {
                ExitCode::SUCCESS
            } else {
                Exit::Usage.into()
            };
        }
    };
    // What a killed run left of its local cluster goes now, whatever the command is. Only root has any.
    if nix::unistd::geteuid().is_root()
        && let Err(error) = crate::cluster::reap_stale()
    {
        eprintln!("warning: {error}");
    }
    let ended = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Torture(args) => torture::torture(args),
        Command::Report {
            run,
            to,
            release_notes,
        } => report::report(&run, to.as_deref(), release_notes.as_deref()),
        Command::Check(args) => check::check(&args),
        Command::Export { history } => check::export(&history),
        Command::Table(TableCommand::Loss { run, format }) => table::loss(&run, format),
        Command::Compare { before, after } => compare::compare(&before, &after),
        Command::List => list::list(),
        Command::TrackRecord(args) => track_record::track_record(&args),
        Command::Cluster(command) => cluster::cluster(command),
        Command::Heal(args) => heal::heal(&args),
        Command::Doctor(args) => doctor::doctor(&args),
    };
    let exit = ended.unwrap_or_else(|failure| match failure {
        Failure::Usage(message) => {
            eprintln!("error: {message}");
            Exit::Usage
        }
        Failure::Harness(message) => {
            eprintln!("error: {message}");
            Exit::HarnessError
        }
    });
    exit.into()
}

/// Prints to standard output; a reader that has seen enough (`| head`) is no error.
fn say(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::harness(error))
        }
        _ => Ok(()),
    }
}
