//! How often an attendant answered in another's place, and how.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::agent::evidence::evidence;
use crate::fault::NodeFault;
use crate::outcome::Evidence;
use crate::ports::StreamMode;

/// Counts that threads share.
#[derive(Debug, Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    affected: AtomicU64,
    bytes: AtomicU64,
    unreachable: AtomicU64,
}

/// Counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Connections accepted, or questions heard.
    pub(crate) connections: u64,
    /// What the fault did: connections left without a word or cut, pieces, late closes, false answers.
    pub(crate) affected: u64,
    /// Bytes passed on, both ways.
    pub(crate) bytes: u64,
    /// Connections for which the service could not be reached.
    pub(crate) unreachable: u64,
}

impl Counters {
    pub(super) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn affected(&self) {
        self.affected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn unreachable(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            connections: self.connections.load(Ordering::Relaxed),
            affected: self.affected.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            unreachable: self.unreachable.load(Ordering::Relaxed),
        }
    }
}

impl Counts {
    /// What they say of an order.
    pub(crate) fn evidence(&self, order: &NodeFault) -> Vec<Evidence> {
        let (came, happened) = match order {
            NodeFault::Stream { mode, .. } => {
                let happened = match mode {
                    StreamMode::Hang => "connections left without a word",
                    StreamMode::Cut { .. } => "connections cut",
                    StreamMode::Slice { .. } => "pieces passed on",
                    StreamMode::SlowClose { .. } => "closes held back",
                };
                ("connections led astray", happened)
            }
            _ => ("questions for names", "false answers"),
        };
        let mut found = vec![
            evidence(came, self.connections.to_string()),
            evidence(happened, self.affected.to_string()),
        ];
        if self.bytes > 0 {
            found.push(evidence("bytes passed on", self.bytes.to_string()));
        }
        if self.unreachable > 0 {
            let what = "connections the service did not take";
            found.push(evidence(what, self.unreachable.to_string()));
        }
        found
    }
}
