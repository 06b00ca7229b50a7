//! What becomes of packets on a bad link: lost, damaged, doubled, slowed, held, overtaken.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::packets::MOST_HELD;
use super::totals::Totals;
use crate::effects::Effects;

/// A link with packets of type `P` on it.
#[derive(Debug)]
pub(crate) struct Shaper<P> {
    effects: Effects,
    random: ChaCha8Rng,
    held: BinaryHeap<Held<P>>,
    /// Packets held so far, which numbers them.
    came: u64,
    /// The highest number let go.
    foremost: Option<u64>,
    /// When the last of those goes that keep their order.
    last_due: Option<Instant>,
    /// When a slow link has sent all that came.
    idle_at: Option<Instant>,
    pub(crate) totals: Totals,
}

#[derive(Debug)]
struct Held<P> {
    due: Instant,
    number: u64,
    came_at: Instant,
    length: usize,
    packet: P,
}

impl<P> Shaper<P> {
    /// A link with these effects; the seed is that of all lots drawn.
    pub(crate) fn new(effects: Effects, seed: u64) -> Self {
        Self {
            effects,
            random: ChaCha8Rng::seed_from_u64(seed),
            held: BinaryHeap::new(),
            came: 0,
            foremost: None,
            last_due: None,
            idle_at: None,
            totals: Totals::default(),
        }
    }

    /// A packet came: whether it is lost.
    pub(crate) fn loses(&mut self) -> bool {
        self.totals.packets += 1;
        let lost = self.draw(self.effects.loss_percent);
        self.totals.lost += u64::from(lost);
        lost
    }

    /// Whether the packet is to be damaged.
    pub(crate) fn damages(&mut self) -> bool {
        self.draw(self.effects.corrupt_percent)
    }

    /// Whether the packet is to be doubled.
    pub(crate) fn doubles(&mut self) -> bool {
        self.draw(self.effects.duplicate_percent)
    }

    /// A number below `end`, for the place of a damage.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// Holds a packet of `length` bytes until its time has come; gives it back if the link or this host has no room.
    pub(crate) fn hold(&mut self, packet: P, length: usize, now: Instant) -> Result<(), P> {
        if self.held.len() >= MOST_HELD {
            self.totals.crowded += 1;
            return Err(packet);
        }
        let Some(sent) = self.sent(length, now) else {
            self.totals.overflowed += 1;
            return Err(packet);
        };
        let mut due = sent + self.on_its_way();
        if let Some(before) = self.last_due {
            due = due.max(before);
        }
        self.last_due = Some(due);
        if self.draw(self.effects.reorder_percent) {
            due += millis(self.effects.reorder_by_ms);
        }
        self.held.push(Held {
            due,
            number: self.came,
            came_at: now,
            length,
            packet,
        });
        self.came += 1;
        Ok(())
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.held.peek().map(|held| held.due)
    }

    /// The next packet, if its time has come.
    pub(crate) fn release(&mut self, now: Instant) -> Option<P> {
        if self.next_due()? > now {
            return None;
        }
        let held = self.held.pop()?;
        let overtaken = self.foremost.is_some_and(|number| number > held.number);
        self.foremost = self.foremost.max(Some(held.number));
        let time = now - held.came_at;
        self.totals.let_go(held.length, time, overtaken, now);
        Some(held.packet)
    }

    /// All that are still held, in the order in which they would have gone.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = P> {
        std::iter::from_fn(|| self.held.pop().map(|held| held.packet))
    }

    /// When a packet has left the slow end of the link; `None` if too many wait there.
    fn sent(&mut self, length: usize, now: Instant) -> Option<Instant> {
        if self.effects.rate == 0 {
            return Some(now);
        }
        let begins = self.idle_at.map_or(now, |idle| idle.max(now));
        if begins - now > millis(self.effects.backlog_ms) {
            return None;
        }
        self.totals.slowed += u64::from(begins > now);
        let takes = Duration::from_secs_f64(length as f64 / self.effects.rate as f64);
        self.idle_at = Some(begins + takes);
        self.idle_at
    }

    fn on_its_way(&mut self) -> Duration {
        let Effects {
            delay_ms,
            jitter_ms,
            distribution,
            ..
        } = self.effects;
        if jitter_ms == 0 {
            return millis(delay_ms);
        }
        let jitter = f64::from(jitter_ms) * distribution.draw(&mut self.random);
        Duration::from_secs_f64((f64::from(delay_ms) + jitter).max(0.0) / 1e3)
    }

    fn draw(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.random.random_range(0.0..100.0) < percent
    }
}

fn millis(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

/// The first to go is the greatest, as the heap wants it.
impl<P> Ord for Held<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl<P> PartialOrd for Held<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Held<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<P> Eq for Held<P> {}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Sends so many packets, one a millisecond, and takes what comes, with when it came.
    fn through(shaper: &mut Shaper<u32>, packets: u32, length: usize) -> Vec<(u32, Duration)> {
        let start = Instant::now();
        let mut came = Vec::new();
        for step in 0..packets + 3000 {
            let now = start + MS * step;
            if step < packets && !shaper.loses() {
                let _ = shaper.hold(step, length, now);
            }
            while let Some(number) = shaper.release(now) {
                came.push((number, now - start));
            }
        }
        came
    }

    fn numbers(came: &[(u32, Duration)]) -> Vec<u32> {
        came.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn held_packets_keep_their_order_and_none_goes_early_or_late() {
        let effects = Effects {
            delay_ms: 100,
            jitter_ms: 100,
            ..Effects::default()
        };
        let mut shaper = Shaper::new(effects, 1);
        let came = through(&mut shaper, 500, 100);
        assert_eq!(numbers(&came), (0..500).collect::<Vec<_>>());
        let totals = shaper.totals;
        assert_eq!((totals.let_go, totals.overtaken), (500, 0));
        // Those behind one that is held long go no sooner than it does.
        assert!(totals.shortest_us < totals.longest_us, "{totals:?}");
        assert!(
            (100_000..=201_000).contains(&totals.longest_us),
            "{totals:?}"
        );
    }

    #[test]
    fn without_jitter_all_are_held_equally_long() {
        let effects = Effects {
            delay_ms: 50,
            ..Effects::default()
        };
        let mut shaper = Shaper::new(effects, 1);
        let start = Instant::now();
        shaper.hold('a', 1, start).unwrap();
        let due = shaper.next_due().unwrap();
        assert_eq!(due, start + 50 * MS);
        assert_eq!(shaper.release(due - Duration::from_micros(1)), None);
        assert_eq!(shaper.release(due), Some('a'));
        shaper.hold('b', 1, due).unwrap();
        assert_eq!(shaper.drain().collect::<String>(), "b");
    }

    #[test]
    fn the_share_asked_for_is_lost_and_the_rest_is_not_touched() {
        let effects = Effects {
            loss_percent: 2.0,
            ..Effects::default()
        };
        let mut shaper = Shaper::new(effects, 1);
        let came = through(&mut shaper, 50_000, 100).len();
        // 1000 expected, standard deviation 31: six of them either way.
        let lost = 50_000 - came;
        assert!((812..=1188).contains(&lost), "{lost}");
        assert_eq!(shaper.totals.lost, lost as u64);
        assert_eq!(shaper.totals.longest_us, 0);
    }

    #[test]
    fn the_share_asked_for_is_overtaken_by_those_sent_within_the_time_named() {
        let effects = Effects {
            reorder_percent: 10.0,
            reorder_by_ms: 5,
            ..Effects::default()
        };
        let mut shaper = Shaper::new(effects, 1);
        let came = through(&mut shaper, 10_000, 100);
        let mut foremost = 0;
        let overtaken = came.iter().filter(|(number, _)| {
            foremost = foremost.max(*number);
            foremost > *number
        });
        let overtaken = overtaken.count();
        assert_eq!(shaper.totals.overtaken, overtaken as u64);
        // 1000 expected, standard deviation 30: six of them either way.
        assert!((820..=1180).contains(&overtaken), "{overtaken}");
        assert_eq!(shaper.totals.longest_us, 5000);
        assert_eq!(came.len(), 10_000);
    }

    #[test]
    fn what_this_host_has_no_room_for_is_lost_and_counted() {
        let effects = Effects {
            delay_ms: 1000,
            ..Effects::default()
        };
        let mut shaper = Shaper::new(effects, 1);
        let now = Instant::now();
        for number in 0..MOST_HELD {
            assert_eq!(shaper.hold(number, 100, now), Ok(()));
        }
        assert_eq!(shaper.hold(MOST_HELD, 100, now), Err(MOST_HELD));
        let evidence = shaper.totals.evidence(&effects);
        let lost = evidence
            .iter()
            .find(|e| e.what == "lost beyond what was asked");
        assert!(lost.unwrap().seen.starts_with("1 packets"), "{evidence:?}");
        // As soon as one has gone, there is room again.
        assert_eq!(shaper.release(now + 1000 * MS), Some(0));
        assert_eq!(shaper.hold(MOST_HELD, 100, now), Ok(()));
    }

    #[test]
    fn a_slow_link_sends_at_its_rate_and_drops_what_would_wait_too_long() {
        // Ten packets of 100 bytes a second may pass, a thousand come.
        let effects = Effects {
            rate: 1000,
            backlog_ms: 500,
            ..Effects::default()
        };
        let mut shaper = Shaper::new(effects, 1);
        let came = through(&mut shaper, 1000, 100);
        let sent: Vec<Duration> = came.iter().map(|(_, at)| *at).collect();
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] == 100 * MS));
        assert_eq!(sent[0], 100 * MS);
        let totals = shaper.totals;
        assert_eq!(totals.overflowed + came.len() as u64, 1000);
        // One is sent, five wait, and as many go as come free.
        assert!((14..=17).contains(&came.len()), "{}", came.len());
        assert!(totals.longest_us <= 601_000, "{totals:?}");
        assert!(totals.slowed > 0);
    }
}
