//! Which processes have their wall clock shifted, and having that changed.

use std::fs::OpenOptions;
use std::io;
use std::process::{Command, Stdio};

use std::os::unix::process::CommandExt;

use super::change::{Change, change as change_now};
use super::code::{self, PAGE, Patch};
use super::skewed::Skewed;
use super::vdso::{self, Vdso};
use crate::agent::error::AgentError;
use crate::agent::process::{self, ProcessId};
use crate::agent::state_dir::StateLock;

/// Whether this node's clocks can be shifted.
pub(crate) fn check() -> Result<(), AgentError> {
    Vdso::of_this_kernel().map_err(refused)?;
    OpenOptions::new()
        .read(true)
        .open("/proc/1/mem")
        .map_err(AgentError::file("open", "/proc/1/mem".as_ref()))?;
    Ok(())
}

/// The processes of this node that a fault shifts, and how often each has read the wall clock since.
pub(crate) fn shifted(tag: u64) -> Result<Vec<(ProcessId, u64)>, AgentError> {
    let vdso = Vdso::of_this_kernel().map_err(refused)?;
    Ok(process::everyone()
        .into_iter()
        // Fails for processes that end meanwhile and for kernel threads.
        .filter_map(|process| {
            let (found, page) = header(&vdso, process.pid).ok()??;
            (found == tag).then(|| {
                let reads = vdso::read(process.pid, page + PAGE, 8)
                    .ok()
                    .and_then(|bytes| vdso::u64_at(&bytes, 0));
                (process, reads.unwrap_or(0))
            })
        })
        .collect())
}

/// Whether a process holds, byte for byte, what makes its clock wrong in this way.
pub(crate) fn reads_back(process: &ProcessId, tag: u64, skewed: Skewed) -> bool {
    let compare = || {
        let vdso = Vdso::of_this_kernel()?;
        let Some((_, page)) = header(&vdso, process.pid)? else {
            return Ok(false);
        };
        let Some(range) = vdso::range(process.pid)? else {
            return Ok(false);
        };
        let patch = Patch { tag, skewed, page };
        let code = patch.page_code();
        if vdso::read(process.pid, page, code.len() as u64)? != code {
            return Ok(false);
        }
        for (at, bytes) in patch.writes(&vdso) {
            if vdso::read(process.pid, range.start + at as u64, bytes.len() as u64)? != bytes {
                return Ok(false);
            }
        }
        Ok::<bool, io::Error>(true)
    };
    compare().unwrap_or(false)
}

/// Makes the clock of a process wrong, or, without saying how, right again; done already is fine.
pub(crate) fn change(
    lock: &StateLock<'_>,
    process: &ProcessId,
    tag: u64,
    skewed: Option<Skewed>,
) -> Result<(), AgentError> {
    let order = Change {
        process: process.clone(),
        tag,
        skewed,
    };
    let order = serde_json::to_string(&order)
        .map_err(|error| AgentError::Refused(format!("clock: {error}")))?;
    let output = Command::new("/proc/self/exe")
        .arg0("shakedown-agent")
        .args(["clock", &order])
        .stdin(lock.for_child().map_err(refused)?)
        .stdout(Stdio::null())
        .output()
        .map_err(refused)?;
    // A process that ended meanwhile has no clock.
    if output.status.success() || !process.is_alive() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.trim().trim_start_matches("shakedown-agent: ");
    Err(AgentError::Refused(complaint.to_owned()))
}

/// `shakedown-agent clock`: does one change.
///
/// # Errors
/// When it can't be done.
pub fn change_main(order: &str) -> Result<(), AgentError> {
    let order: Change = serde_json::from_str(order)
        .map_err(|error| AgentError::Refused(format!("clock: {error}")))?;
    change_now(&order).map_err(refused)
}

/// Tag and page of a process's vDSO; noise if it isn't changed, `None` if it has none.
fn header(vdso: &Vdso, pid: i32) -> io::Result<Option<(u64, u64)>> {
    let Some(range) = vdso::range(pid)? else {
        return Ok(None);
    };
    let at = code::header_range(vdso);
    let bytes = vdso::read(pid, range.start + at.start as u64, at.len() as u64)?;
    Ok(code::parse_header(&bytes))
}

fn refused(error: io::Error) -> AgentError {
    AgentError::Refused(format!("clock: {error}"))
}
