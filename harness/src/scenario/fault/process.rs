//! Faults on the processes of a service, as a scenario describes them.

use serde::Deserialize;
use shakedown_nemesis::fault::KillSignal;
use shakedown_nemesis::fault::local::LocalFault;
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use crate::scenario::{Names, millis};

/// Parameters of `kill`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// Start it again when the fault ends.
    #[serde(default = "yes")]
    pub restart: bool,
    /// What ends it: `kill` (SIGKILL) or `terminate` (SIGTERM).
    #[serde(default)]
    pub signal: KillSignal,
}

fn yes() -> bool {
    true
}

/// Parameters of `pause`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// What stops it.
    #[serde(default)]
    pub by: PauseBy,
    /// With `by = "threads"`: the share of its threads held at a time.
    pub share: Option<f64>,
    /// With `by = "threads"`: how long the same ones are held.
    pub hold: Option<HumanDuration>,
}

/// By what a service is paused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseBy {
    /// SIGSTOP and SIGCONT.
    #[default]
    Signal,
    /// The kernel's freezer.
    Freezer,
    /// Some of its threads at a time, drawn anew again and again.
    Threads,
}

impl PauseFault {
    /// Share of threads held, unless another is given.
    pub(crate) const SHARE: f64 = 0.5;
    /// How long they are held, milliseconds, unless something else is given.
    pub(crate) const HOLD_MS: u32 = 100;

    /// What each node is ordered, unless signals do.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn act(&self) -> Result<Option<LocalFault>, String> {
        let service = self.service.get_ref().clone();
        match (self.by, self.share, self.hold) {
            (PauseBy::Threads, share, hold) => Ok(Some(LocalFault::HoldThreads {
                service,
                share: share.unwrap_or(Self::SHARE),
                hold_ms: hold.map_or(Self::HOLD_MS, millis),
            })),
            (_, Some(_), _) | (_, _, Some(_)) => {
                Err("expected `share` and `hold` only with `by = \"threads\"`".to_owned())
            }
            (PauseBy::Freezer, ..) => Ok(Some(LocalFault::Freeze { service })),
            (PauseBy::Signal, ..) => Ok(None),
        }
    }
}
