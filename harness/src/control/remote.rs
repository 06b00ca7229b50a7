//! What can be done on a node, however it is reached.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use super::ControlError;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// With this exit status.
    Exited(i32),
    /// Killed by this signal, named without `SIG`.
    Signalled(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Exited(status) => write!(f, "exit status {status}"),
            Status::Signalled(name) => write!(f, "signal {name}"),
        }
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: Status,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Exit status 0.
    pub fn success(&self) -> bool {
        self.status == Status::Exited(0)
    }

    /// Standard output as text, without white space at its ends.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Standard error as text, without white space at its ends.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// A node that runs commands and takes and gives files. Calls block; several threads may call at once.
pub trait Remote: Send + Sync {
    /// The node's name.
    fn node(&self) -> &str;

    /// Runs a shell command, for at most `limit`. Never runs it twice.
    ///
    /// # Errors
    /// The node cannot be reached, sudo refuses, or the command does not end in time; a command that fails is no error.
    fn exec_within(&self, command: &str, limit: Duration) -> Result<Output, ControlError>;

    /// Runs a shell command, for at most the time that is usual for this node.
    ///
    /// # Errors
    /// As [`Remote::exec_within`].
    fn exec(&self, command: &str) -> Result<Output, ControlError>;

    /// Writes `length` bytes to the file `dest` with these permissions. The file appears complete or not at all; its
    /// directory is made if missing.
    ///
    /// # Errors
    /// As [`Remote::exec_within`], or the file cannot be written, or `source` ends early.
    fn upload(
        &self,
        source: &mut dyn Read,
        length: u64,
        dest: &str,
        mode: u32,
    ) -> Result<(), ControlError>;

    /// Copies a file to `sink` as it arrives. Returns the number of bytes.
    ///
    /// # Errors
    /// As [`Remote::exec_within`], or the file cannot be read.
    fn download(&self, path: &str, sink: &mut dyn Write) -> Result<u64, ControlError>;

    /// Runs a shell command and returns its trimmed standard output.
    ///
    /// # Errors
    /// As [`Remote::exec_within`], and when the command fails.
    fn run(&self, command: &str) -> Result<String, ControlError> {
        let output = self.exec(command)?;
        if output.success() {
            return Ok(output.text());
        }
        Err(ControlError::CommandFailed {
            node: self.node().to_owned(),
            command: command.to_owned(),
            status: output.status.to_string(),
            stderr: output.error_text(),
        })
    }

    /// [`Remote::upload`] of bytes.
    ///
    /// # Errors
    /// As [`Remote::upload`].
    fn upload_bytes(&self, bytes: &[u8], dest: &str, mode: u32) -> Result<(), ControlError> {
        self.upload(&mut &*bytes, bytes.len() as u64, dest, mode)
    }

    /// [`Remote::upload`] of a file.
    ///
    /// # Errors
    /// As [`Remote::upload`], or the file cannot be read.
    fn upload_file(&self, path: &Path, dest: &str, mode: u32) -> Result<(), ControlError> {
        let opened = File::open(path).and_then(|f| f.metadata().map(|m| (f, m.len())));
        let (file, length) = opened.map_err(|source| ControlError::LocalFile {
            node: self.node().to_owned(),
            what: "read",
            path: path.to_owned(),
            source,
        })?;
        self.upload(&mut BufReader::new(file), length, dest, mode)
    }

    /// [`Remote::download`] to a file, which is replaced. A failed download leaves what arrived.
    ///
    /// # Errors
    /// As [`Remote::download`], or the local file cannot be written.
    fn download_file(&self, path: &str, local: &Path) -> Result<u64, ControlError> {
        let mut file = File::create(local).map_err(|source| ControlError::LocalFile {
            node: self.node().to_owned(),
            what: "create",
            path: local.to_owned(),
            source,
        })?;
        self.download(path, &mut file)
    }
}

/// A word as a POSIX shell takes it literally; quoted only if it must be.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A command line of words, as a POSIX shell takes them literally.
pub(crate) fn command_line(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_survives_the_shell() {
        for word in ["", "plain", "it's", "$HOME `id` \"x\" \\ \n*"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
