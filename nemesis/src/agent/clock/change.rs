//! `shakedown-agent clock`: changes the vDSO of one process, or changes it back, and ends.

use std::io;

use serde::{Deserialize, Serialize};

use super::code::{self, PAGE, Patch};
use super::skewed::Skewed;
use super::threads::Held;
use super::vdso::{self, Vdso};
use crate::agent::process::ProcessId;

const MMAP: u64 = 9;
const MPROTECT: u64 = 10;
/// PROT_READ | PROT_WRITE
const READ_WRITE: u64 = 3;
/// PROT_READ | PROT_EXEC
const READ_EXECUTE: u64 = 5;
/// MAP_PRIVATE | MAP_ANONYMOUS
const PRIVATE_ANONYMOUS: u64 = 0x22;

/// What is to be done to a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Which process.
    pub(crate) process: ProcessId,
    /// Names the fault.
    pub(crate) tag: u64,
    /// What its clock is to be; none to undo that.
    pub(crate) skewed: Option<Skewed>,
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
    match order.skewed {
        Some(skewed) => apply(&vdso, &mut held, at, order.tag, skewed),
        None => restore(&vdso, &mut held, at, order.tag),
    }
}

fn apply(
    vdso: &Vdso,
    held: &mut Held,
    (pid, base): (i32, u64),
    tag: u64,
    skewed: Skewed,
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
    let arguments = [0, 2 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS, u64::MAX, 0];
    let instruction = base + vdso.syscall as u64;
    let page = held.system_call(instruction, MMAP, arguments)?;
    let patch = Patch { tag, skewed, page };
    held.write(page, &patch.page_code())?;
    held.system_call(instruction, MPROTECT, [page, PAGE, READ_EXECUTE, 0, 0, 0])?;
    for (at, bytes) in patch.writes(vdso) {
        held.write(base + at as u64, &bytes)?;
    }
    Ok(())
}

fn restore(vdso: &Vdso, held: &mut Held, (pid, base): (i32, u64), tag: u64) -> io::Result<()> {
    let present = vdso::read(pid, base, vdso.image.len() as u64)?;
    let Some((found, page)) = header(&present, vdso) else {
        return Ok(());
    };
    if found != tag {
        return Ok(());
    }
    held.leave(&(page..page + PAGE))?;
    for (at, bytes) in code::originals(vdso) {
        held.write(base + at as u64, &bytes)?;
    }
    // The pages stay: a signal may have interrupted a thread in them, and its handler returns there.
    Ok(())
}

fn header(image: &[u8], vdso: &Vdso) -> Option<(u64, u64)> {
    code::parse_header(image.get(code::header_range(vdso))?)
}
