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
#[allow(
    unreachable_pub,
    reason = "tests compile this where nothing re-exports it"
)]
pub fn change_main(_order: &str) -> Result<(), AgentError> {
    check()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::clock::skewed::Moment;
    use crate::agent::state_dir::StateDir;
    use crate::fault::Skew;

    #[test]
    fn clocks_are_refused_and_nothing_is_looked_for() {
        let me = ProcessId::of(std::process::id().cast_signed()).unwrap();
        let skewed = Skewed {
            skew: Skew::Freeze,
            since: Moment::default(),
        };
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let lock = state.lock().unwrap();
        for refused in [
            check(),
            change(&lock, &me, 1, Some(skewed)),
            change_main("{}"),
        ] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("only on x86-64"), "{refused}");
        }
        assert_eq!(shifted(1).unwrap(), []);
        assert!(!reads_back(&me, 1, skewed));
    }
}
