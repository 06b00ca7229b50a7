//! A process beside the agent that does the lasting work of a fault: reads a queue of packets, or answers
//! connections that are led to it.
//!
//! It is told its work on its command line, prints a number once it is ready, and ends when its standard
//! input closes, which it does with the agent, or on SIGTERM.

use std::fmt::Display;
use std::fs::DirBuilder;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use serde::Serialize;

use super::account::TELL;
use super::durable;
use super::error::AgentError;
use super::ledger::UndoStep;
use super::process::ProcessId;
use super::service::wait_until;
use super::state_dir::StateLock;

/// How long the process may take to let go of what it holds.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How often it writes its account, and how long it waits at most.
pub(crate) const ACCOUNT_EVERY: Duration = Duration::from_millis(100);

/// A process that is ready.
#[derive(Debug)]
pub(crate) struct Attendant {
    /// The number it printed: of its queue, or its port.
    pub(crate) number: u16,
    /// What ends it.
    pub(crate) undo: UndoStep,
}

/// Where the attendant of a fault keeps account.
pub(crate) fn account(lock: &StateLock<'_>, run: &str, fault: &str) -> Result<PathBuf, AgentError> {
    let directory = lock.state.root().join("accounts");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(AgentError::file("make", &directory))?;
    Ok(directory.join(format!("{run}.{fault}.json")))
}

/// Starts `shakedown-agent COMMAND WORK`. `purpose` completes "... can't be ...".
pub(crate) fn start(
    command: &str,
    work: &impl Serialize,
    totals: PathBuf,
    purpose: &str,
) -> Result<Attendant, AgentError> {
    let failed = |error: &dyn Display| AgentError::Refused(format!("{purpose}: {error}"));
    let work = serde_json::to_string(work).map_err(|error| failed(&error))?;
    let mut child = Command::new("/proc/self/exe")
        .arg0("shakedown-agent")
        .args([command, &work])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut number = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output)
            .read_line(&mut number)
            .map_err(|error| failed(&error))?;
    }
    let Ok(number) = number.trim().parse() else {
        let output = child.wait_with_output().map_err(|error| failed(&error))?;
        return Err(failed(&String::from_utf8_lossy(&output.stderr).trim()));
    };
    let process = ProcessId::of(child.id().cast_signed());
    let process = process.ok_or_else(|| failed(&"its process ended"))?;
    // While this process lives it keeps the pipe open, and must collect the child.
    let pipe = child.stdin.take();
    thread::spawn(move || {
        let _ = child.wait();
        drop(pipe);
    });
    Ok(Attendant {
        number,
        undo: UndoStep::EndAttendant { process, totals },
    })
}

/// Ends the process, kindly at first: it lets go of what it holds.
pub(crate) fn end(process: &ProcessId, totals: &Path) -> Result<(), AgentError> {
    process.signal(Signal::SIGTERM)?;
    if !wait_until(END_PATIENCE, || !process.is_alive()) {
        process.signal(Signal::SIGKILL)?;
    }
    if !wait_until(END_PATIENCE, || !process.is_alive()) {
        return Err(AgentError::StillThere(format!(
            "process {} survives SIGKILL",
            process.pid
        )));
    }
    durable::remove(totals)
}

/// What an attendant heard while waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing but, perhaps, what it waits for.
    Nothing,
    /// The agent wants its account.
    Tell,
    /// The work is over.
    End,
}

/// An attendant's ear.
#[derive(Debug)]
pub(crate) struct Listener {
    signals: SignalFd,
}

impl Listener {
    /// Names this process, and hears signals instead of dying of them. To be called before it has a
    /// second thread.
    pub(crate) fn begin(name: &'static std::ffi::CStr) -> io::Result<Self> {
        let _ = nix::sys::prctl::set_name(name);
        // Fails only if this is the leader of a session already, which is what is wanted.
        let _ = nix::unistd::setsid();
        let mut heard = SigSet::empty();
        heard.add(Signal::SIGTERM);
        heard.add(TELL);
        heard.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self {
            signals: SignalFd::with_flags(&heard, flags)?,
        })
    }

    /// Waits until something can be read from `other`, for the agent, or for some time.
    pub(crate) fn wait(&self, other: Option<BorrowedFd<'_>>, wait: Duration) -> io::Result<News> {
        let agent = io::stdin();
        let mut ready = vec![
            // The other end of this pipe is the agent's; only its closing is told.
            PollFd::new(agent.as_fd(), PollFlags::empty()),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        ready.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
        match ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if ready[0].any().unwrap_or(false) {
            return Ok(News::End);
        }
        Ok(match self.signals.read_signal()? {
            None => News::Nothing,
            Some(signal) if signal.ssi_signo == TELL as u32 => News::Tell,
            Some(_) => News::End,
        })
    }
}

/// Tells the agent that all is ready, and the number.
pub(crate) fn say_ready(number: u16) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{number}")?;
    out.flush()
}
