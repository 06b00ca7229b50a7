//! `shakedown-agent queue`: reads a queue of packets until SIGTERM comes or the agent ends, then lets go
//! what it still holds.

use std::io;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regex::bytes::RegexSet;
use serde::{Deserialize, Serialize};

use super::matches::mark_matches;
use super::shape::shape;
use crate::agent::attendant::Listener;
use crate::agent::error::AgentError;
use crate::effects::Effects;

/// What is to be done with the packets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub(crate) enum Work {
    /// Have effects on them.
    Shape {
        /// Which.
        effects: Effects,
        /// Of the random numbers.
        seed: u64,
        /// Where to keep account.
        totals: PathBuf,
    },
    /// Mark those whose TCP payload matches, and of these a share once more, and send them through the rules again.
    Match {
        /// Byte regexes.
        patterns: Vec<String>,
        /// That share, 0 to 1.
        probability: f64,
        /// Of the lots.
        seed: u64,
        /// Where to keep account.
        account: PathBuf,
    },
}

/// Does the work; prints the queue's number once it is ready.
///
/// # Errors
/// When the kernel has no packet queues, or no more of them.
pub fn queue_main(work: &str) -> Result<(), AgentError> {
    let work: Work = serde_json::from_str(work)
        .map_err(|error| AgentError::Refused(format!("queue: {error}")))?;
    run(&work).map_err(|error| AgentError::Refused(format!("queue of packets: {error}")))
}

fn run(work: &Work) -> io::Result<()> {
    let listener = Listener::begin(c"shakedown-queue")?;
    match work {
        Work::Shape {
            effects,
            seed,
            totals,
        } => shape(*effects, *seed, totals, &listener),
        Work::Match {
            patterns,
            probability,
            seed,
            account,
        } => {
            let patterns = RegexSet::new(patterns).map_err(io::Error::other)?;
            let mut random = ChaCha8Rng::seed_from_u64(*seed);
            let lot = || random.random_bool(*probability);
            mark_matches(&patterns, lot, account, &listener)
        }
    }
}
