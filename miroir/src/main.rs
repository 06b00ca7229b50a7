//! The `miroir` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    miroir::main()
}
