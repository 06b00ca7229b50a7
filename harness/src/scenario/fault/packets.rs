//! Faults on packets by rules alone, as a scenario describes them.

use serde::Deserialize;
use shakedown_nemesis::effects::Distribution;
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use crate::scenario::Names;

/// Parameters of `partition`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionFault {
    /// One side: roles or node names.
    pub from: Spanned<Names>,
    /// The other side: roles or node names.
    pub to: Spanned<Names>,
    /// Only packets that travel `from` -> `to`.
    #[serde(default)]
    pub one_way: bool,
}

/// Parameters of `reset`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetFault {
    /// The nodes that listen: roles or node names.
    pub nodes: Spanned<Names>,
    /// The port they listen on.
    pub port: u16,
    /// Only packets from these: roles or node names; from any node without it.
    pub from: Option<Spanned<Names>>,
    /// Share of data packets rejected, above 0 up to 1.
    pub probability: Spanned<f64>,
    /// Only packets whose payload matches one of these regular expressions over bytes; all without any.
    #[serde(default)]
    pub containing: Vec<Spanned<String>>,
}

/// Parameters of `delay`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayFault {
    /// The nodes that send: roles or node names.
    pub from: Spanned<Names>,
    /// The nodes at which packets are held: roles or node names.
    pub to: Spanned<Names>,
    /// Only packets for this port; all without it.
    pub port: Option<u16>,
    /// How long each is held.
    pub delay: Spanned<HumanDuration>,
    /// Held so much longer or shorter, at random.
    #[serde(default)]
    pub jitter: HumanDuration,
    /// How that varies.
    #[serde(default)]
    pub distribution: Distribution,
}
