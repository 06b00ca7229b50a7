//! All threads of a process, held still so that its code can be changed, and made to do a system call.
//!
//! Runs in a process of its own: should that die, the kernel lets the threads go on; and the agent, parent
//! of the services it started, would find in its own waiting for them what is meant for this.

use std::fs;
use std::io;
use std::ops::Range;
use std::ptr;

use nix::libc::user_regs_struct as Registers;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use crate::agent::held_thread::{HeldThread, await_stop};

/// Instructions that reading a clock takes at most, many times over.
const LONGEST_STAY: u32 = 100_000;

/// The threads of a process, all of them stopped until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    threads: Vec<HeldThread>,
}

impl Held {
    /// Stops every thread of a process.
    pub(crate) fn stop(pid: i32) -> io::Result<Self> {
        let mut held = Self {
            threads: Vec::new(),
        };
        // A thread not yet stopped may start others: look again until there are no new ones.
        loop {
            let mut new = false;
            for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
                let Some(id) = entry?.file_name().to_str().and_then(|id| id.parse().ok()) else {
                    continue;
                };
                let id = Pid::from_raw(id);
                if held.threads.iter().any(|thread| thread.id == id) {
                    continue;
                }
                new = true;
                held.threads.extend(HeldThread::stop(id)?);
            }
            if !new {
                return Ok(held);
            }
        }
    }

    /// Lets each thread that is about to run code within a range of addresses go on until it has left it.
    pub(crate) fn leave(&mut self, range: &Range<u64>) -> io::Result<()> {
        for thread in &mut self.threads {
            for _ in 0..LONGEST_STAY {
                let at = ptrace::getregs(thread.id)?.rip;
                if !range.contains(&at) {
                    break;
                }
                step_over(thread, at)?;
            }
            if range.contains(&ptrace::getregs(thread.id)?.rip) {
                return Err(io::Error::other(format!(
                    "thread {} never leaves the code that tells the time",
                    thread.id
                )));
            }
        }
        Ok(())
    }

    /// Writes into the process's memory, where it may not write itself, too.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let thread = self.first()?.id;
        for (index, chunk) in bytes.chunks(8).enumerate() {
            let at = at + 8 * index as u64;
            let address =
                ptr::without_provenance_mut(usize::try_from(at).map_err(io::Error::other)?);
            let mut word = ptrace::read(thread, address)?.to_ne_bytes();
            word[..chunk.len()].copy_from_slice(chunk);
            ptrace::write(thread, address, i64::from_ne_bytes(word))?;
        }
        Ok(())
    }

    /// Makes one thread do a system call, by a `syscall` instruction at `instruction`; what it returns.
    pub(crate) fn system_call(
        &mut self,
        instruction: u64,
        number: u64,
        arguments: [u64; 6],
    ) -> io::Result<u64> {
        let thread = self
            .threads
            .first_mut()
            .ok_or_else(|| io::Error::other("the process is gone"))?;
        let before = ptrace::getregs(thread.id)?;
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let call = Registers {
            rip: instruction,
            rax: number,
            // Nothing to restart: the thread may have been stopped within another system call.
            orig_rax: u64::MAX,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..before
        };
        ptrace::setregs(thread.id, call)?;
        let stepped = step_over(thread, instruction);
        let after = ptrace::getregs(thread.id);
        ptrace::setregs(thread.id, before)?;
        stepped?;
        let result = after?.rax;
        // The kernel returns errors as -4095 to -1.
        match result.cast_signed() {
            error @ -4095..=-1 => {
                let number = i32::try_from(-error).unwrap_or(0);
                Err(io::Error::from_raw_os_error(number))
            }
            _ => Ok(result),
        }
    }

    fn first(&self) -> io::Result<&HeldThread> {
        self.threads
            .first()
            .ok_or_else(|| io::Error::other("the process is gone"))
    }
}

/// Lets a thread do the one instruction it is at.
fn step_over(thread: &mut HeldThread, instruction: u64) -> io::Result<()> {
    loop {
        ptrace::step(thread.id, None)?;
        let status = await_stop(thread.id)?;
        let moved = ptrace::getregs(thread.id)?.rip != instruction;
        match status {
            None => return Err(io::Error::other("the process ended")),
            Some(WaitStatus::Stopped(_, signal)) if signal != Signal::SIGTRAP => {
                // It came first, and is kept until the thread goes on.
                thread.signal.get_or_insert(signal);
            }
            Some(_) => {}
        }
        if moved {
            return Ok(());
        }
    }
}
