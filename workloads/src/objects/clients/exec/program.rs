//! A program that runs, and its lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::ExecConfig;

/// The longest line that a program may write, in bytes.
pub const LONGEST_LINE: usize = 16 << 20;

/// Bytes of what a program last said on its standard error that are told.
const TAIL: u64 = 600;

/// Why no line came.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLine {
    /// It has ended, or closed its output.
    #[error("it has ended")]
    Ended,
    /// Nobody can keep that.
    #[error("it wrote a line of more than {LONGEST_LINE} bytes")]
    TooLong,
    /// The pipe broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A program at work. Dropping it kills it, and whatever it has started in its process group.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    /// Process group; the program leads it.
    group: Option<Pid>,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it, with what it says on its standard error appended to a file.
    pub(super) fn start(config: &ExecConfig) -> io::Result<Program> {
        let [program, arguments @ ..] = config.argv.as_slice() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "argv is empty: name a program",
            ));
        };
        let stderr = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&config.stderr)?;
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(&config.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // Neither is it ended by an interrupt from the terminal, which is for the harness to handle.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let pipe = || io::Error::other("a pipe is missing");
        Ok(Program {
            group: group.map(Pid::from_raw),
            stdin: child.stdin.take().ok_or_else(pipe)?,
            stdout: BufReader::new(child.stdout.take().ok_or_else(pipe)?),
            child,
        })
    }

    /// Whether it has not ended, as far as is known.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Writes a line.
    pub(super) async fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        self.stdin.write_all(&line).await?;
        self.stdin.flush().await
    }

    /// Reads a line. Not to be called again if this did not return.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, NoLine> {
        let mut line = Vec::new();
        loop {
            let bytes = self.stdout.fill_buf().await?;
            if bytes.is_empty() {
                return Err(NoLine::Ended);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            line.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.stdout.consume(used);
            if line.len() > LONGEST_LINE {
                return Err(NoLine::TooLong);
            }
            if end.is_some() {
                return Ok(line);
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended; then there is nothing to do.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// The last that was said on standard error, to be put at the end of a message.
pub(super) fn last_words(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    match read() {
        Ok(text) if !text.is_empty() => format!("; its standard error ends with: {text}"),
        _ => String::new(),
    }
}
