//! `shakedown-agent queue`: reads a queue of packets until SIGTERM comes or the agent ends, then lets go
//! what it still holds.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use regex::bytes::RegexSet;
use serde::{Deserialize, Serialize};

use super::headers::tcp_payload;
use super::packets::{Copy, Packets};
use super::shape::shape;
use crate::agent::error::AgentError;
use crate::agent::rules::MATCH_BIT;
use crate::effects::Effects;

/// How often totals are written, and how long the process waits at most.
pub(super) const TOTALS_EVERY: Duration = Duration::from_millis(100);

/// Asks the process for its totals.
pub(super) const TELL: Signal = Signal::SIGUSR1;

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
    /// Mark those whose TCP payload matches, and send them through the rules again.
    Match {
        /// Byte regexes.
        patterns: Vec<String>,
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
    let _ = nix::sys::prctl::set_name(c"shakedown-queue");
    // Fails only if this is the leader of a session already, which is what is wanted.
    let _ = nix::unistd::setsid();
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(TELL);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    match work {
        Work::Shape {
            effects,
            seed,
            totals,
        } => shape(*effects, *seed, totals, &signals),
        Work::Match { patterns } => {
            let patterns = RegexSet::new(patterns).map_err(io::Error::other)?;
            mark_matches(&patterns, &signals)
        }
    }
}

fn mark_matches(patterns: &RegexSet, signals: &SignalFd) -> io::Result<()> {
    let mut packets = Packets::open(Copy::Everything, true)?;
    say_ready(&packets)?;
    let mut judged = Vec::new();
    loop {
        let news = await_any(&packets, signals, TOTALS_EVERY)?;
        while packets.take(|packet, bytes| {
            let matches = tcp_payload(bytes).is_some_and(|payload| patterns.is_match(payload));
            judged.push((packet, matches));
        })? {
            for (packet, matches) in judged.drain(..) {
                if matches {
                    packets.mark(packet, MATCH_BIT)?;
                } else {
                    packets.accept(packet)?;
                }
            }
        }
        if news == News::End {
            return Ok(());
        }
    }
}

/// What was heard while waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Packets, perhaps.
    Nothing,
    /// The agent wants to know totals.
    Tell,
    /// The work is over.
    End,
}

/// Waits for packets, for a signal or the agent's end, or for some time.
pub(super) fn await_any(packets: &Packets, signals: &SignalFd, wait: Duration) -> io::Result<News> {
    let agent = io::stdin();
    let mut ready = [
        PollFd::new(packets.as_fd(), PollFlags::POLLIN),
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        // The other end of this pipe is the agent's; only its closing is told.
        PollFd::new(agent.as_fd(), PollFlags::empty()),
    ];
    match ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    if ready[2].any().unwrap_or(false) {
        return Ok(News::End);
    }
    Ok(match signals.read_signal()? {
        None => News::Nothing,
        Some(signal) if signal.ssi_signo == TELL as u32 => News::Tell,
        Some(_) => News::End,
    })
}

/// Prints the queue's number.
pub(super) fn say_ready(packets: &Packets) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{}", packets.number)?;
    out.flush()
}
