//! One thread of another process, stopped by ptrace until it is let go or this process ends.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How long a thread may take to stop: one that waits for a disk stops when the disk has answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stopped thread; it goes on when this is dropped.
#[derive(Debug)]
pub(crate) struct HeldThread {
    pub(crate) id: Pid,
    /// A signal that came as it was stopped; it is delivered when the thread goes on.
    pub(crate) signal: Option<Signal>,
}

impl HeldThread {
    /// Stops a thread; `None` if it is gone.
    pub(crate) fn stop(id: Pid) -> io::Result<Option<Self>> {
        match ptrace::seize(id, Options::empty()) {
            Ok(()) => {}
            Err(nix::Error::ESRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        match ptrace::interrupt(id) {
            Ok(()) | Err(nix::Error::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
        let signal = match await_stop(id)? {
            None => return Ok(None),
            Some(WaitStatus::Stopped(_, signal)) => Some(signal),
            Some(_) => None,
        };
        Ok(Some(Self { id, signal }))
    }
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        // Fails only if the thread is gone.
        let _ = ptrace::detach(self.id, self.signal);
    }
}

/// Waits for a thread to stop; `None` if it ended.
pub(crate) fn await_stop(id: Pid) -> io::Result<Option<WaitStatus>> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match waitpid(id, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if Instant::now() >= give_up => {
                return Err(io::Error::other(format!("thread {id} can't be stopped")));
            }
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_micros(100)),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(nix::Error::ECHILD) => {
                return Ok(None);
            }
            Ok(status) => return Ok(Some(status)),
            Err(error) => return Err(error.into()),
        }
    }
}
