//! A bad link, as a scenario describes it.

use serde::Deserialize;
use shakedown_nemesis::effects::{Distribution, Effects};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use crate::scenario::Names;

/// Parameters of `shape`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeFault {
    /// Those that send: roles or node names, or `clients`.
    pub from: Spanned<Names>,
    /// The nodes at which packets are caught: roles or node names.
    pub to: Spanned<Names>,
    /// The other direction, too.
    #[serde(default)]
    pub both: bool,
    /// Only packets for this port (and answers from it); all without it.
    pub port: Option<u16>,
    /// Share of packets lost.
    pub loss_percent: Option<f64>,
    /// Share of packets damaged.
    pub corrupt_percent: Option<f64>,
    /// Checksums match the damage.
    #[serde(default)]
    pub corrupt_unnoticed: bool,
    /// Share of packets that arrive twice.
    pub duplicate_percent: Option<f64>,
    /// Share of packets that are overtaken.
    pub reorder_percent: Option<f64>,
    /// How much longer those are held.
    pub reorder_by: Option<HumanDuration>,
    /// How long packets are held.
    pub delay: Option<HumanDuration>,
    /// By how much that varies.
    pub jitter: Option<HumanDuration>,
    /// How it varies.
    #[serde(default)]
    pub distribution: Distribution,
    /// Bytes that pass in a second.
    pub bytes_per_second: Option<u64>,
    /// Packets that would wait longer for their turn are dropped.
    pub backlog: Option<HumanDuration>,
}

impl ShapeFault {
    /// The effects; what isn't given has its default.
    pub(crate) fn effects(&self) -> Effects {
        let default = Effects::default();
        Effects {
            loss_percent: self.loss_percent.unwrap_or_default(),
            corrupt_percent: self.corrupt_percent.unwrap_or_default(),
            corrupt_unnoticed: self.corrupt_unnoticed,
            duplicate_percent: self.duplicate_percent.unwrap_or_default(),
            rate: self.bytes_per_second.unwrap_or_default(),
            backlog_ms: self.backlog.map_or(default.backlog_ms, millis),
            delay_ms: self.delay.map_or(default.delay_ms, millis),
            jitter_ms: self.jitter.map_or(default.jitter_ms, millis),
            distribution: self.distribution,
            reorder_percent: self.reorder_percent.unwrap_or_default(),
            reorder_by_ms: self.reorder_by.map_or(default.reorder_by_ms, millis),
        }
    }
}

/// Whole milliseconds; as many as fit, which is more than any fault accepts, if there are more.
pub(crate) fn millis(length: HumanDuration) -> u32 {
    u32::try_from(length.0.as_millis()).unwrap_or(u32::MAX)
}
