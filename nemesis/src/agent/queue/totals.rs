//! What happened to packets so far.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::agent::evidence::evidence;
use crate::effects::Effects;
use crate::outcome::Evidence;

/// Counts of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Packets that came.
    pub(crate) packets: u64,
    /// Those of them lost.
    pub(crate) lost: u64,
    /// Damaged.
    pub(crate) damaged: u64,
    /// Sent a second time.
    pub(crate) doubled: u64,
    /// Had to wait for those before them on a slow link.
    pub(crate) slowed: u64,
    /// Dropped because too many waited.
    pub(crate) overflowed: u64,
    /// Lost because they came faster than they were read.
    pub(crate) unread: u64,
    /// Lost because more were held than a host may hold.
    pub(crate) crowded: u64,
    /// Let go.
    pub(crate) let_go: u64,
    /// Those of them let go after one that came later.
    pub(crate) overtaken: u64,
    /// Bytes let go.
    pub(crate) bytes: u64,
    /// From the first that came to the last let go, microseconds.
    pub(crate) span_us: u64,
    /// The shortest time one was held, microseconds.
    pub(crate) shortest_us: u64,
    /// The longest, microseconds.
    pub(crate) longest_us: u64,
    /// The sum, microseconds.
    pub(crate) sum_us: u64,
    /// The sum of squares, square microseconds.
    pub(crate) squares_us: f64,
    #[serde(skip)]
    begun: Option<Instant>,
}

impl Totals {
    /// Counts a packet let go.
    pub(crate) fn let_go(&mut self, length: usize, held: Duration, overtaken: bool, now: Instant) {
        let begun = *self.begun.get_or_insert(now - held);
        self.span_us = micros(now - begun);
        let held = micros(held);
        self.shortest_us = match self.let_go {
            0 => held,
            _ => self.shortest_us.min(held),
        };
        self.longest_us = self.longest_us.max(held);
        self.sum_us += held;
        self.squares_us += (held as f64).powi(2);
        self.bytes += length as u64;
        self.let_go += 1;
        self.overtaken += u64::from(overtaken);
    }

    /// True if each effect asked for happened to some packet.
    pub(crate) fn show(&self, effects: &Effects) -> bool {
        let asked_and_seen = [
            (effects.loss_percent > 0.0, self.lost),
            (effects.corrupt_percent > 0.0, self.damaged),
            (effects.duplicate_percent > 0.0, self.doubled),
            (effects.reorder_percent > 0.0, self.overtaken),
            (effects.rate > 0, self.slowed + self.overflowed),
            (effects.delay_ms > 0, self.let_go),
        ];
        (asked_and_seen.iter()).all(|(asked, seen)| !asked || *seen > 0)
    }

    /// What they say of the effects asked for.
    pub(crate) fn evidence(&self, effects: &Effects) -> Vec<Evidence> {
        let mut found = Vec::new();
        let mut share = |percent: f64, what: &str, count: u64, of: u64| {
            if percent > 0.0 {
                let got = count as f64 * 100.0 / of.max(1) as f64;
                let seen = format!("{count} of {of} packets, {got:.3} % (asked: {percent} %)");
                found.push(evidence(what, seen));
            }
        };
        let kept = self.packets - self.lost;
        share(effects.loss_percent, "lost", self.lost, self.packets);
        share(effects.corrupt_percent, "damaged", self.damaged, kept);
        share(effects.duplicate_percent, "doubled", self.doubled, kept);
        let reordered = (self.overtaken, self.let_go);
        share(
            effects.reorder_percent,
            "overtaken",
            reordered.0,
            reordered.1,
        );
        if effects.rate > 0 {
            let seconds = self.span_us as f64 / 1e6;
            let seen = format!(
                "{} bytes in {seconds:.3} s, {} packets waited, {} found no room (asked: {} bytes/s)",
                self.bytes, self.slowed, self.overflowed, effects.rate
            );
            found.push(evidence("passed the slow link", seen));
        }
        let lost = self.unread + self.crowded;
        if lost > 0 {
            let seen =
                format!("{lost} packets: they came faster than this host can have effects on them");
            found.push(evidence("lost beyond what was asked", seen));
        }
        if effects.delay_ms > 0 && self.let_go > 0 {
            let milliseconds = |us: u64| us as f64 / 1e3;
            let count = self.let_go as f64;
            let mean = self.sum_us as f64 / count;
            let deviation = (self.squares_us / count - mean * mean).max(0.0).sqrt();
            let seen = format!(
                "{} packets, {:.3} to {:.3} ms, {:.3} ms on average, standard deviation {:.3} ms",
                self.let_go,
                milliseconds(self.shortest_us),
                milliseconds(self.longest_us),
                mean / 1e3,
                deviation / 1e3
            );
            found.push(evidence("held until now", seen));
        }
        found
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_that_was_asked_for_and_happened_to_no_packet_is_not_shown() {
        let effects = Effects {
            loss_percent: 1.0,
            rate: 1000,
            ..Effects::default()
        };
        let mut totals = Totals {
            packets: 10,
            lost: 1,
            ..Totals::default()
        };
        assert!(!totals.show(&effects));
        totals.slowed = 1;
        assert!(totals.show(&effects));
        totals.lost = 0;
        assert!(!totals.show(&effects));
    }
}
