//! The `shakedown` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A cluster's nodes are started from this same binary.
    shakedown::cluster::node_init::run_if_requested();
    shakedown::cli::main()
}
