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
    pub offset: Option<Spanned<String>>,
    /// So many times as fast as before do its clocks run.
    pub rate: Option<f64>,
}

impl Local for HostClockFault {
    fn nodes(&self) -> &Spanned<Names> {
        &self.nodes
    }

    fn act(&self, _seed: u64, _disk: &str) -> Result<LocalFault, String> {
        match (&self.offset, self.rate) {
            (Some(offset), None) => {
                let offset_ms = offset_ms(offset).map_err(|(_, message)| message)?;
                Ok(LocalFault::HostClock { offset_ms })
            }
            // What is no number of millionths becomes one that is out of bounds.
            (None, Some(rate)) => Ok(LocalFault::HostClockRate {
                ppm: ((rate - 1.0) * 1e6).round() as i32,
            }),
            _ => Err("expected exactly one of `offset`, `rate`".to_owned()),
        }
    }
}
