//! A node's own clock that is wrong, as a scenario describes it.

use serde::Deserialize;
use shakedown_nemesis::fault::local::LocalFault;
use toml::Spanned;

use super::Local;
use crate::scenario::Names;
use crate::scenario::fault::clock::offset_ms;

/// Parameters of `host_clock`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostClockFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// How far the node's own clock is set off: a duration, with `-` before it to set it back.
    pub offset: Spanned<String>,
}

impl Local for HostClockFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn act(&self, _seed: u64, _disk: &str) -> Result<LocalFault, String> {
        let offset_ms = offset_ms(&self.offset).map_err(|(_, message)| message)?;
        Ok(LocalFault::HostClock { offset_ms })
    }
}
