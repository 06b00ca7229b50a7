//! `miroir` with the planted bugs compiled in, under a name that nobody deploys by mistake.

use std::process::ExitCode;

fn main() -> ExitCode {
    miroir::main()
}
