//! Faults that must go on acting: a process of its own does the work until it is ended. It ends with the agent that
//! started it, too.

mod burn;
mod crash;
mod threads;

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::durable;
use super::error::AgentError;
use super::ledger::UndoStep;
use super::process::ProcessId;
use super::service::wait_until;
use super::state_dir::{StateDir, StateLock};

/// How long the process may take to show a first effect, and to be gone when it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub(crate) enum Work {
    /// Hold some threads of a service, then others.
    HoldThreads {
        leader: ProcessId,
        share: f64,
        hold_ms: u32,
        seed: u64,
    },
    /// Kill a service and start it again, over and over.
    CrashLoop {
        service: String,
        up_ms: u32,
        down_ms: u32,
    },
    /// Keep processors busy.
    Burn { threads: u32 },
    /// Take memory and hold it.
    HoldMemory { mib: u32 },
}

/// What was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Threads held, kills, threads that burn, or MiB taken.
    pub(crate) done: u64,
    /// Rounds begun, or starts after kills.
    pub(crate) rounds: u64,
}

impl Account {
    /// The account kept in a file; empty if there is none yet.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn write(self, path: &Path) -> io::Result<()> {
        durable::show(path, &self)
    }
}

/// A process that waits for the word to begin.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    /// What ends it.
    pub(crate) undo: UndoStep,
    account: PathBuf,
}

impl Helper {
    /// Starts the process; it does nothing yet.
    pub(crate) fn start(
        lock: &StateLock<'_>,
        run: &str,
        fault: &str,
        work: &Work,
    ) -> Result<Self, AgentError> {
        let failed =
            |error: &dyn std::fmt::Display| AgentError::Refused(format!("helper: {error}"));
        let directory = lock.state.root().join("helpers");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(AgentError::file("make", &directory))?;
        let account = directory.join(format!("{run}.{fault}.json"));
        durable::remove(&account)?;
        let child = Command::new("/proc/self/exe")
            .arg0("shakedown-agent")
            .args(["helper", "--state"])
            .arg(lock.state.root())
            .arg(&account)
            .arg(serde_json::to_string(work).map_err(|error| failed(&error))?)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(&error))?;
        let process = ProcessId::of(child.id().cast_signed());
        let process = process.ok_or_else(|| failed(&"it ended at once"))?;
        let undo = UndoStep::EndHelper {
            process,
            account: account.clone(),
        };
        Ok(Self {
            child,
            undo,
            account,
        })
    }

    /// Lets it begin, and waits for what it did first.
    pub(crate) fn begin(mut self) -> Account {
        // While this process lives it keeps the pipe open, and must collect the child.
        let mut pipe = self.child.stdin.take();
        if let Some(pipe) = &mut pipe {
            // If it has ended, its account tells.
            let _ = pipe.write_all(b"g");
        }
        thread::spawn(move || {
            let _ = self.child.wait();
            drop(pipe);
        });
        wait_until(PATIENCE, || Account::read(&self.account).done > 0);
        Account::read(&self.account)
    }
}

/// Ends the process.
pub(crate) fn end(process: &ProcessId, account: &Path) -> Result<(), AgentError> {
    process.signal(Signal::SIGKILL)?;
    if !wait_until(PATIENCE, || !process.is_alive()) {
        return Err(AgentError::StillThere(format!(
            "helper process {} survives SIGKILL",
            process.pid
        )));
    }
    durable::remove(account)
}

/// `shakedown-agent helper`: waits for the word, then does the work until it is ended.
///
/// # Errors
/// When the work can't be done.
pub fn helper_main(state: &StateDir, account: &Path, work: &str) -> Result<(), AgentError> {
    let failed = |error: io::Error| AgentError::Refused(format!("helper: {error}"));
    let work: Work = serde_json::from_str(work).map_err(|error| failed(error.into()))?;
    let _ = nix::sys::prctl::set_name(c"shakedown-help");
    // Fails only if this is the leader of a session already, which is what is wanted.
    let _ = nix::unistd::setsid();
    let mut word = [0];
    if io::stdin().read(&mut word).map_err(failed)? == 0 {
        return Ok(());
    }
    // The other end of this pipe is the agent's; it closes when the agent ends.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    match work {
        Work::HoldThreads {
            leader,
            share,
            hold_ms,
            seed,
        } => threads::hold(
            &leader,
            share,
            Duration::from_millis(hold_ms.into()),
            seed,
            account,
        )
        .map_err(failed),
        Work::CrashLoop {
            service,
            up_ms,
            down_ms,
        } => crash::crash_loop(
            state,
            &service,
            Duration::from_millis(up_ms.into()),
            Duration::from_millis(down_ms.into()),
            account,
        ),
        Work::Burn { threads } => burn::processors(threads, account).map_err(failed),
        Work::HoldMemory { mib } => burn::memory(mib, account).map_err(failed),
    }
}
