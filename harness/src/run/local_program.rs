//! Programs of a system on the machine that runs the harness.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use crate::system::{TemplateContext, TemplateError};

/// Why a program printed nothing that counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("cannot run {program}: {source}")]
    Run {
        program: String,
        source: std::io::Error,
    },
    #[error("{program} ended with {status}: {stderr}")]
    Failed {
        program: String,
        status: ExitStatus,
        stderr: String,
    },
}

/// What the program of `argv` prints, given these lines; `local_bin` says where the system's programs are.
///
/// # Errors
/// If `argv` cannot be filled in, or the program cannot be run or does not succeed.
pub(super) fn output<L: Display>(
    argv: &[String],
    context: &TemplateContext,
    local_bin: &BTreeMap<String, PathBuf>,
    lines: impl Iterator<Item = L> + Send,
) -> Result<Vec<u8>, ProgramError> {
    let bin = local_bin.iter();
    let context = TemplateContext {
        bin: bin
            .map(|(name, path)| (name.clone(), path.display().to_string()))
            .collect(),
        ..context.clone()
    };
    let argv = context.fill_argv(argv)?;
    let program = argv.first().cloned().unwrap_or_default();
    let failed = |source| ProgramError::Run {
        program: program.clone(),
        source,
    };
    let mut child = Command::new(&program)
        .args(argv.iter().skip(1))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take().expect("its standard input is a pipe");
    let output = std::thread::scope(|scope| {
        // Apart from reading, or both sides could wait for each other. If the program stops reading, what it
        // printed is short, and that is told.
        scope.spawn(move || {
            let mut stdin = BufWriter::new(stdin);
            for line in lines {
                if writeln!(stdin, "{line}").is_err() {
                    break;
                }
            }
        });
        child.wait_with_output()
    })
    .map_err(failed)?;
    if !output.status.success() {
        return Err(ProgramError::Failed {
            program,
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(output.stdout)
}
