//! `shakedown-agent clock`: changes the vDSO of one process, or changes it back, and ends.

use std::io;

use serde::{Deserialize, Serialize};

use super::code::{self, Patch};
use super::threads::Held;
use super::vdso::{self, Vdso};
use crate::agent::process::ProcessId;

const MMAP: u64 = 9;
const MUNMAP: u64 = 11;
const PAGE: u64 = 4096;
/// PROT_READ | PROT_WRITE
const READ_WRITE: u64 = 3;
/// MAP_PRIVATE | MAP_ANONYMOUS
const PRIVATE_ANONYMOUS: u64 = 0x22;

/// What is to be done to a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Which process.
    pub(crate) process: ProcessId,
    /// Names the fault.
    pub(crate) tag: u64,
    /// The offset to be added; none to undo that.
    pub(crate) offset_ms: Option<i64>,
}

/// Does a change, unless it is done already or the process is gone.
pub(crate) fn change(order: &Change) -> io::Result<()> {
    let vdso = Vdso::of_this_kernel()?;
    let pid = order.process.pid;
    if !order.process.is_alive() {
        return Ok(());
    }
    let mut held = Held::stop(pid)?;
    // Only now can it execute no other program, which would have a vDSO elsewhere.
    let Some(range) = vdso::range(pid)? else {
        return Ok(());
    };
    held.leave(&range)?;
    let at = (pid, range.start);
    match order.offset_ms {
        Some(offset_ms) => apply(&vdso, &mut held, at, order.tag, offset_ms),
        None => restore(&vdso, &mut held, at, order.tag),
    }
}

fn apply(
    vdso: &Vdso,
    held: &mut Held,
    (pid, base): (i32, u64),
    tag: u64,
    offset_ms: i64,
) -> io::Result<()> {
    let present = vdso::read(pid, base, vdso.image.len() as u64)?;
    if present != vdso.image {
        if header(&present, vdso).is_some_and(|(found, _)| found == tag) {
            return Ok(());
        }
        return Err(io::Error::other(format!(
            "the vDSO of pid {pid} is not as the kernel made it: another fault shifts its clock, or it is no 64-bit process"
        )));
    }
    let arguments = [0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS, u64::MAX, 0];
    let counter = held.system_call(base + vdso.syscall as u64, MMAP, arguments)?;
    let patch = Patch {
        tag,
        offset_ms,
        counter,
    };
    for (at, bytes) in patch.writes(vdso) {
        held.write(base + at as u64, &bytes)?;
    }
    Ok(())
}

fn restore(vdso: &Vdso, held: &mut Held, (pid, base): (i32, u64), tag: u64) -> io::Result<()> {
    let present = vdso::read(pid, base, vdso.image.len() as u64)?;
    let Some((found, counter)) = header(&present, vdso) else {
        return Ok(());
    };
    if found != tag {
        return Ok(());
    }
    for (at, bytes) in code::originals(vdso) {
        held.write(base + at as u64, &bytes)?;
    }
    let arguments = [counter, PAGE, 0, 0, 0, 0];
    held.system_call(base + vdso.syscall as u64, MUNMAP, arguments)?;
    Ok(())
}

fn header(image: &[u8], vdso: &Vdso) -> Option<(u64, u64)> {
    code::parse_header(image.get(code::header_range(vdso))?)
}
