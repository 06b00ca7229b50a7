//! `shakedown-agent queue`: reads a queue of packets until SIGTERM comes or the agent ends, then lets go
//! what it still holds.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use regex::bytes::RegexSet;
use serde::{Deserialize, Serialize};

use super::held::Held;
use super::packets::{Copy, Packet, Packets};
use super::payload::tcp_payload;
use crate::agent::error::AgentError;
use crate::agent::rules::MATCH_BIT;

/// How often totals are written, and how long the process waits at most.
const TOTALS_EVERY: Duration = Duration::from_millis(100);

/// What is to be done with the packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub(crate) enum Work {
    /// Hold each for a while.
    Hold {
        /// How long, milliseconds.
        delay_ms: u32,
        /// Up to this much more or less, milliseconds.
        jitter_ms: u32,
        /// Of the random numbers.
        seed: u64,
        /// Where to keep account of what was held.
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
    let mut terminate = SigSet::empty();
    terminate.add(Signal::SIGTERM);
    terminate.thread_block()?;
    let end = SignalFd::with_flags(&terminate, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    match work {
        Work::Hold {
            delay_ms,
            jitter_ms,
            seed,
            totals,
        } => {
            let delay = Duration::from_millis((*delay_ms).into());
            let jitter = Duration::from_millis((*jitter_ms).into());
            hold(Held::new(delay, jitter, *seed), totals, &end)
        }
        Work::Match { patterns } => {
            let patterns = RegexSet::new(patterns).map_err(io::Error::other)?;
            mark_matches(&patterns, &end)
        }
    }
}

fn hold(mut held: Held<Packet>, totals: &Path, end: &SignalFd) -> io::Result<()> {
    let mut packets = Packets::open(Copy::Nothing)?;
    say_ready(&packets)?;
    let mut written = Instant::now();
    loop {
        let wait = held.next_due().map_or(TOTALS_EVERY, |due| {
            due.saturating_duration_since(Instant::now())
                .min(TOTALS_EVERY)
        });
        let ended = await_either(&packets, end, wait)?;
        while packets.take(|packet, _| held.hold(packet, Instant::now()))? {}
        while let Some(packet) = held.release(Instant::now()) {
            packets.accept(packet)?;
        }
        if ended {
            for packet in held.drain() {
                packets.accept(packet)?;
            }
        }
        if ended || written.elapsed() >= TOTALS_EVERY {
            write_totals(totals, &held)?;
            written = Instant::now();
        }
        if ended {
            return Ok(());
        }
    }
}

fn mark_matches(patterns: &RegexSet, end: &SignalFd) -> io::Result<()> {
    let mut packets = Packets::open(Copy::Everything)?;
    say_ready(&packets)?;
    let mut judged = Vec::new();
    loop {
        let ended = await_either(&packets, end, TOTALS_EVERY)?;
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
        if ended {
            return Ok(());
        }
    }
}

/// Waits for packets, for the end (true), or for some time.
fn await_either(packets: &Packets, end: &SignalFd, wait: Duration) -> io::Result<bool> {
    let agent = io::stdin();
    let mut ready = [
        PollFd::new(packets.as_fd(), PollFlags::POLLIN),
        PollFd::new(end.as_fd(), PollFlags::POLLIN),
        // The other end of this pipe is the agent's; only its closing is told.
        PollFd::new(agent.as_fd(), PollFlags::empty()),
    ];
    match ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(ready[1..].iter().any(|fd| fd.any().unwrap_or(false))),
        Err(error) => Err(error.into()),
    }
}

fn say_ready(packets: &Packets) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{}", packets.number)?;
    out.flush()
}

fn write_totals<P>(path: &Path, held: &Held<P>) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    fs::write(&unfinished, serde_json::to_vec(&held.totals)?)?;
    fs::rename(&unfinished, path)
}
