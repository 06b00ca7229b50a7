//! Processors whose vDSO nobody has taught this program to change: the fault is refused there.

use super::skewed::Skewed;
use crate::agent::error::AgentError;
use crate::agent::process::ProcessId;
use crate::agent::state_dir::StateLock;

/// Refuses.
pub(crate) fn check() -> Result<(), AgentError> {
    Err(AgentError::Refused(format!(
        "clock: only on x86-64, this node is {}",
        std::env::consts::ARCH
    )))
}

/// None.
pub(crate) fn shifted(_tag: u64) -> Result<Vec<(ProcessId, u64)>, AgentError> {
    Ok(Vec::new())
}

/// Never: no process is shifted.
pub(crate) fn reads_back(_process: &ProcessId, _tag: u64, _skewed: Skewed) -> bool {
    false
}

/// Refuses.
pub(crate) fn change(
    _lock: &StateLock<'_>,
    _process: &ProcessId,
    _tag: u64,
    _skewed: Option<Skewed>,
) -> Result<(), AgentError> {
    check()
}

/// Refuses.
///
/// # Errors
/// Always.
pub fn change_main(_order: &str) -> Result<(), AgentError> {
    check()
}
