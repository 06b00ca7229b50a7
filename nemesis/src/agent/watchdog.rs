//! The watchdog: a process of its own that heals the node when the agent dies or hangs.
//!
//! Agent and watchdog share one pipe. Each request to the agent puts a byte into it (the lease goes
//! on), a farewell byte dismisses the watchdog, and the kernel closes it when the agent dies, however
//! it dies. The watchdog is in a session of its own, so it outlives the SSH connection.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::error::AgentError;
use super::process::ProcessId;
use super::state_dir::{StateDir, StateLock};
use super::undo::heal_patiently;

const BEAT: u8 = b'.';
const FAREWELL: u8 = b'q';

/// The agent heals at the end of the lease; the watchdog this much later, if the agent didn't.
const GRACE: Duration = Duration::from_millis(250);

/// How long a live agent may keep the lock after its lease before it is taken for hung and killed.
const HUNG_AFTER: Duration = Duration::from_secs(5);

/// The agent's end.
#[derive(Debug)]
pub(crate) struct Watchdog {
    agent: ProcessId,
    lease: Duration,
    /// Locked for a moment only, so that a beat waits for nothing.
    pipe: Mutex<Option<File>>,
}

impl Watchdog {
    pub(crate) fn new(agent: ProcessId, lease: Duration) -> Self {
        Self {
            agent,
            lease,
            pipe: Mutex::new(None),
        }
    }

    /// Tells the watchdog, if there is one, that the lease goes on.
    pub(crate) fn beat(&self) {
        tell(&mut self.pipe(), BEAT);
    }

    /// Makes sure that a watchdog watches. Called with the lock held: one that is about to heal and
    /// exit has closed its end of the pipe before it lets the lock go.
    pub(crate) fn ensure(&self, lock: &StateLock<'_>) -> Result<(), AgentError> {
        let mut pipe = self.pipe();
        if !tell(&mut pipe, BEAT) {
            *pipe = Some(self.start(lock.state).map_err(AgentError::Watchdog)?);
        }
        Ok(())
    }

    /// Sends the watchdog home: there is nothing to heal.
    pub(crate) fn dismiss(&self) {
        let mut pipe = self.pipe();
        tell(&mut pipe, FAREWELL);
        *pipe = None;
    }

    fn pipe(&self) -> MutexGuard<'_, Option<File>> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, state: &StateDir) -> io::Result<File> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(state.root().join("watchdog.log"))?;
        let mut child = Command::new("/proc/self/exe")
            .arg0("shakedown-agent")
            .args(["watchdog", "--state"])
            .arg(state.root())
            .arg("--lease-ms")
            .arg(self.lease.as_millis().to_string())
            .arg("--agent")
            .arg(serde_json::to_string(&self.agent)?)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let pipe = child
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("no pipe to it"))?;
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        thread::spawn(move || child.wait());
        Ok(pipe)
    }
}

/// False if nobody listens; the pipe is closed then.
fn tell(pipe: &mut Option<File>, what: u8) -> bool {
    let Some(file) = pipe else {
        return false;
    };
    let heard = match file.write_all(&[what]) {
        // A full pipe: the watchdog hasn't had the processor for 65,536 requests, but is there.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        Ok(()) => true,
    };
    if !heard {
        *pipe = None;
    }
    heard
}

/// `shakedown-agent watchdog`: watches until dismissed, or heals what the agent left and returns.
///
/// # Errors
/// When something could not be undone in several attempts; it stays in the ledger.
pub fn watchdog_main(
    state: &StateDir,
    lease: Duration,
    agent: &ProcessId,
) -> Result<(), AgentError> {
    // What `ps` and `top` show; started through /proc/self/exe it would be `exe`.
    let _ = nix::sys::prctl::set_name(c"shakedown-watch");
    // Fails only if this is the leader of a session already, which is what is wanted.
    let _ = nix::unistd::setsid();
    let mut input = io::stdin().lock();
    let mut due = Instant::now() + lease + GRACE;
    let mut buffer = [0; 4096];
    loop {
        if readable(&input, due)? {
            match input.read(&mut buffer) {
                Ok(0) => return heal_patiently(&state.lock()?, agent)?.check(),
                Ok(n) if buffer[..n].contains(&FAREWELL) => return Ok(()),
                Ok(_) => due = Instant::now() + lease + GRACE,
                Err(error) => return Err(AgentError::Watchdog(error)),
            }
            continue;
        }
        let Some(lock) = state.lock_within(HUNG_AFTER)? else {
            // Its death closes the pipe, and the next round heals.
            agent.signal(Signal::SIGKILL)?;
            due = Instant::now() + HUNG_AFTER;
            continue;
        };
        // A request may have come while we waited for the lock.
        if readable(&input, Instant::now())? {
            continue;
        }
        let report = heal_patiently(&lock, agent)?;
        let null = File::open("/dev/null").map_err(AgentError::Watchdog)?;
        nix::unistd::dup2_stdin(null).map_err(|error| AgentError::Watchdog(error.into()))?;
        return report.check();
    }
}

/// Waits until there is something to read, or the other end is closed; false if `due` came first.
fn readable(input: &impl AsFd, due: Instant) -> Result<bool, AgentError> {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, timeout) {
            Ok(0) if Instant::now() >= due => return Ok(false),
            Ok(0) | Err(nix::Error::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(AgentError::Watchdog(error.into())),
        }
    }
}
