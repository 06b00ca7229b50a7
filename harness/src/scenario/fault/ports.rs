//! Faults on ports, connections and names, as a scenario describes them.

use serde::Deserialize;
use shakedown_nemesis::ports::{BlockMode, DnsMode, Side, StreamMode};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use super::shape::millis;
use crate::scenario::Names;

/// Parameters of `block`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockFault {
    /// The nodes that listen: roles or node names.
    pub nodes: Spanned<Names>,
    /// The port they listen on.
    pub port: Spanned<u16>,
    /// Only for these: roles or node names, or `clients`; for everyone without it.
    pub from: Option<Spanned<Names>>,
    /// How.
    pub mode: BlockMode,
}

/// Parameters of `stream`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamFault {
    /// The nodes that listen: roles or node names.
    pub nodes: Spanned<Names>,
    /// The port they listen on.
    pub port: Spanned<u16>,
    /// Only connections from these: roles or node names, or `clients`; from everyone without it.
    pub from: Option<Spanned<Names>>,
    /// Connections are accepted and never answered.
    #[serde(default)]
    pub hang: bool,
    /// Connections end after so many bytes.
    pub cut_after: Option<u64>,
    /// Which way those are counted.
    pub cut_of: Option<Side>,
    /// Bytes pass in pieces of so many at most.
    pub slice: Option<u32>,
    /// With a pause after each.
    pub pause: Option<HumanDuration>,
    /// The end of a connection is told so much later.
    pub close_late: Option<HumanDuration>,
}

/// Parameters of `dns`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsFault {
    /// The nodes whose questions fail: roles or node names.
    pub nodes: Spanned<Names>,
    /// How.
    pub mode: DnsMode,
}

impl StreamFault {
    /// What happens to connections.
    ///
    /// # Errors
    /// What was expected, unless exactly one thing happens, with the keys that belong to it.
    pub fn mode(&self) -> Result<StreamMode, String> {
        let hang = self.hang.then_some(StreamMode::Hang);
        let cut = self.cut_after.map(|after_bytes| StreamMode::Cut {
            after_bytes,
            of: self.cut_of.unwrap_or_default(),
        });
        let slice = self.slice.map(|bytes| StreamMode::Slice {
            bytes,
            pause_ms: self.pause.map_or(0, millis),
        });
        let late = self.close_late.map(|hold| StreamMode::SlowClose {
            hold_ms: millis(hold),
        });
        let asked: Vec<StreamMode> = [hang, cut, slice, late].into_iter().flatten().collect();
        let [mode] = asked[..] else {
            return Err(
                "expected exactly one of `hang`, `cut_after`, `slice`, `close_late`".to_owned(),
            );
        };
        if self.cut_of.is_some() && self.cut_after.is_none() {
            return Err("`cut_of` belongs to `cut_after`".to_owned());
        }
        if self.pause.is_some() && self.slice.is_none() {
            return Err("`pause` belongs to `slice`".to_owned());
        }
        mode.problem().map_or(Ok(mode), Err)
    }
}
