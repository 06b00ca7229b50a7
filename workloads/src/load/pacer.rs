//! The clock of an open loop: a thread that gives each request its start.
//!
//! A thread, since the runtime's timers have a resolution of a millisecond and would add as much to
//! every latency that is measured from the intended start.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::RunClock;

/// Longest sleep, so that a stage that ends early is noticed.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// When the requests of a stage are meant to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Start of the stage, nanoseconds since the start of the run.
    pub(super) start_ns: u64,
    /// Requests per second.
    pub(super) rate: NonZeroU32,
    /// Requests meant to start this long after `start_ns` or later are not made.
    pub(super) length_ns: Option<u64>,
}

impl Schedule {
    /// Intended start of request `i`, nanoseconds since the start of the run; `None` after the end.
    fn intended_ns(&self, i: u64) -> Option<u64> {
        let offset = u128::from(i) * 1_000_000_000 / u128::from(self.rate.get());
        let offset = u64::try_from(offset).ok()?;
        match self.length_ns {
            Some(length) if offset >= length => None,
            _ => self.start_ns.checked_add(offset),
        }
    }
}

/// Starts the thread; process `i mod processes` receives the intended start of request `i` when it
/// is due. The thread ends with the schedule, or when no process listens any more.
pub(super) fn spawn(
    schedule: Schedule,
    processes: u32,
    clock: RunClock,
) -> std::io::Result<Vec<UnboundedReceiver<u64>>> {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..processes).map(|_| unbounded_channel()).unzip();
    std::thread::Builder::new()
        .name("load pacer".to_owned())
        .spawn(move || run(schedule, &senders, clock))?;
    Ok(receivers)
}

fn run(schedule: Schedule, senders: &[UnboundedSender<u64>], clock: RunClock) {
    for (i, sender) in (0..).zip(senders.iter().cycle()) {
        let Some(intended_ns) = schedule.intended_ns(i) else {
            return;
        };
        let due = clock.instant(intended_ns);
        while let Some(wait) = remaining(due) {
            if senders.iter().all(UnboundedSender::is_closed) {
                return;
            }
            std::thread::sleep(wait.min(LONGEST_SLEEP));
        }
        // A process that reached its count no longer listens; the others' starts stay as they are.
        let closed = sender.send(intended_ns).is_err();
        if closed && senders.iter().all(UnboundedSender::is_closed) {
            return;
        }
    }
}

fn remaining(due: Instant) -> Option<Duration> {
    due.checked_duration_since(Instant::now())
        .filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_dealt_round_with_the_starts_of_the_rate() {
        let schedule = Schedule {
            start_ns: 1_000,
            rate: NonZeroU32::new(10_000).unwrap(),
            length_ns: Some(500_000),
        };
        let mut receivers = spawn(schedule, 2, RunClock::start()).unwrap();
        let mut all = |i: usize| -> Vec<u64> {
            std::iter::from_fn(|| receivers[i].blocking_recv()).collect()
        };
        assert_eq!(all(0), [1_000, 201_000, 401_000]);
        assert_eq!(all(1), [101_000, 301_000]);
    }
}
