//! Packets held back, in their order, each until its time has come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Packets of type `P` and how long they are held.
#[derive(Debug)]
pub(crate) struct Held<P> {
    packets: VecDeque<(P, Instant, Instant)>,
    delay: Duration,
    jitter: Duration,
    random: ChaCha8Rng,
    pub(crate) totals: Totals,
}

/// What was held so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Packets let go.
    pub(crate) packets: u64,
    /// The shortest time one was held, microseconds.
    pub(crate) shortest_us: u64,
    /// The longest, microseconds.
    pub(crate) longest_us: u64,
    /// The sum, microseconds.
    pub(crate) sum_us: u64,
}

impl<P> Held<P> {
    /// Each packet is held for `delay`, or up to `jitter` more or less; `jitter` is at most `delay`.
    pub(crate) fn new(delay: Duration, jitter: Duration, seed: u64) -> Self {
        Self {
            packets: VecDeque::new(),
            delay,
            jitter,
            random: ChaCha8Rng::seed_from_u64(seed),
            totals: Totals::default(),
        }
    }

    /// Holds a packet; it goes no sooner than those before it.
    pub(crate) fn hold(&mut self, packet: P, now: Instant) {
        let share: f64 = self.random.random_range(0.0..=2.0);
        let held = self.delay - self.jitter + self.jitter.mul_f64(share);
        let after = self.packets.back().map(|(_, _, due)| *due);
        let due = after.map_or(now + held, |after| after.max(now + held));
        self.packets.push_back((packet, now, due));
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.packets.front().map(|(_, _, due)| *due)
    }

    /// The next packet, if its time has come.
    pub(crate) fn release(&mut self, now: Instant) -> Option<P> {
        if self.next_due()? > now {
            return None;
        }
        let (packet, came, _) = self.packets.pop_front()?;
        let held = u64::try_from((now - came).as_micros()).unwrap_or(u64::MAX);
        let totals = &mut self.totals;
        totals.shortest_us = match totals.packets {
            0 => held,
            _ => totals.shortest_us.min(held),
        };
        totals.longest_us = totals.longest_us.max(held);
        totals.sum_us += held;
        totals.packets += 1;
        Some(packet)
    }

    /// All that are still held, in their order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = P> {
        self.packets.drain(..).map(|(packet, _, _)| packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_order_and_none_goes_early_or_late() {
        let ms = Duration::from_millis;
        let mut held = Held::new(ms(100), ms(100), 1);
        let start = Instant::now();
        for number in 0..500 {
            held.hold(number, start + ms(number));
        }
        let mut released = Vec::new();
        for step in 0..=1000 {
            let now = start + ms(step);
            while let Some(number) = held.release(now) {
                released.push(number);
            }
        }
        assert_eq!(released, (0..500).collect::<Vec<_>>());
        assert_eq!(held.totals.packets, 500);
        assert!(held.totals.shortest_us < 100_000, "{:?}", held.totals);
        assert!(
            (100_000..=201_000).contains(&held.totals.longest_us),
            "{:?}",
            held.totals
        );
    }

    #[test]
    fn without_jitter_all_are_held_equally_long() {
        let mut held = Held::new(Duration::from_millis(50), Duration::ZERO, 1);
        let start = Instant::now();
        held.hold('a', start);
        let due = held.next_due().unwrap();
        assert_eq!(due, start + Duration::from_millis(50));
        assert_eq!(held.release(due - Duration::from_micros(1)), None);
        assert_eq!(held.release(due), Some('a'));
        held.hold('b', due);
        assert_eq!(held.drain().collect::<String>(), "b");
    }
}
