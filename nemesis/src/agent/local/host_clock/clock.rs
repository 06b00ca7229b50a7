//! The clocks of a host, how fast they run, and what two readings of them say.

use std::io;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use serde::{Deserialize, Serialize};

use super::adjtimex;

pub(super) const SECOND: i64 = 1_000_000_000;

/// The clocks of a host.
pub(super) trait Clock {
    /// The wall clock, nanoseconds since 1970.
    fn wall_ns(&self) -> io::Result<i64>;
    /// Time since the host's start, nanoseconds; nobody can set it, but it runs as fast as the wall clock.
    fn since_start_ns(&self) -> io::Result<i64>;
    /// What the hardware counts, nanoseconds; nobody can set it or make it run faster.
    fn raw_ns(&self) -> io::Result<i64>;
    /// Sets the wall clock.
    fn set_wall_ns(&mut self, ns: i64) -> io::Result<()>;
    /// How fast all but the hardware's run.
    fn frequency(&self) -> io::Result<Frequency>;
    /// Lets them run so fast, and adds so many microseconds to the wall clock in the same moment.
    fn set_frequency(&mut self, frequency: Frequency, add_us: i64) -> io::Result<()>;
}

/// Those of this host.
pub(super) struct OfThisHost;

impl Clock for OfThisHost {
    fn wall_ns(&self) -> io::Result<i64> {
        read(ClockId::CLOCK_REALTIME)
    }

    fn since_start_ns(&self) -> io::Result<i64> {
        read(ClockId::CLOCK_BOOTTIME)
    }

    fn raw_ns(&self) -> io::Result<i64> {
        read(ClockId::CLOCK_MONOTONIC_RAW)
    }

    fn set_wall_ns(&mut self, ns: i64) -> io::Result<()> {
        let time = TimeSpec::new(ns.div_euclid(SECOND), ns.rem_euclid(SECOND));
        Ok(clock_settime(ClockId::CLOCK_REALTIME, time)?)
    }

    fn frequency(&self) -> io::Result<Frequency> {
        adjtimex::frequency()
    }

    fn set_frequency(&mut self, frequency: Frequency, add_us: i64) -> io::Result<()> {
        adjtimex::set_frequency(frequency, add_us)
    }
}

fn read(clock: ClockId) -> io::Result<i64> {
    Ok(Duration::from(clock_gettime(clock)?).as_nanos() as i64)
}

/// How fast a host's clocks run, in the kernel's units; adjtimex(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frequency {
    /// What a hundredth of a second counts as, microseconds: 9000 to 11000.
    pub(super) tick_us: i64,
    /// On top of that, millionths times 65,536: up to 500 millionths either way.
    pub(super) scaled_ppm: i64,
}

impl Frequency {
    /// How much faster than what the hardware counts, millionths.
    pub(super) fn ppm(self) -> f64 {
        (self.tick_us - 10_000) as f64 * 100.0 + self.scaled_ppm as f64 / 65_536.0
    }

    /// So many millionths faster than this.
    pub(super) fn faster_by(self, ppm: i32) -> Self {
        let ticks = (i64::from(ppm) + 50).div_euclid(100);
        let rest = i64::from(ppm) - ticks * 100;
        Self {
            tick_us: self.tick_us + ticks,
            scaled_ppm: self.scaled_ppm + rest * 65_536,
        }
    }

    /// Whether the kernel, which rounds, says this of what it was told to do.
    pub(super) fn is(self, asked: Self) -> bool {
        self.tick_us == asked.tick_us && (self.scaled_ppm - asked.scaled_ppm).abs() <= 2
    }
}

/// Three clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(super) wall_ns: i64,
    pub(super) since_start_ns: i64,
    raw_ns: i64,
}

/// Three clocks read within so many nanoseconds count as read together.
const TOGETHER_NS: i64 = 20_000;

/// How often to try for that; then the best reading is taken.
const ATTEMPTS: u32 = 20;

impl Reading {
    pub(super) fn of(clock: &dyn Clock) -> io::Result<Self> {
        let mut best: Option<(i64, Self)> = None;
        for _ in 0..ATTEMPTS {
            let since_start_ns = clock.since_start_ns()?;
            let reading = Self {
                wall_ns: clock.wall_ns()?,
                since_start_ns,
                raw_ns: clock.raw_ns()?,
            };
            let took = clock.since_start_ns()? - since_start_ns;
            if best.is_none_or(|(shortest, _)| took < shortest) {
                best = Some((took, reading));
            }
            if took < TOGETHER_NS {
                break;
            }
        }
        best.map(|(_, reading)| reading)
            .ok_or_else(|| io::Error::other("no clock could be read"))
    }

    /// By how much the wall clock has been set since an earlier reading.
    pub(super) fn set_since(self, earlier: Self) -> i64 {
        (self.wall_ns - earlier.wall_ns) - (self.since_start_ns - earlier.since_start_ns)
    }

    /// What the hardware has counted since an earlier reading.
    pub(super) fn passed_since(self, earlier: Self) -> i64 {
        self.raw_ns - earlier.raw_ns
    }

    /// By how much the clocks have run ahead since an earlier reading of what they would show at this frequency.
    pub(super) fn gained_since(self, earlier: Self, natural: Frequency) -> i64 {
        let passed = self.passed_since(earlier);
        let due = passed + (passed as f64 * natural.ppm() / 1e6) as i64;
        (self.since_start_ns - earlier.since_start_ns) - due
    }
}

#[cfg(test)]
pub(super) mod fake {
    use super::*;

    /// A host's clocks in memory.
    pub(in super::super) struct Fake {
        pub(in super::super) wall_ns: i64,
        pub(in super::super) since_start_ns: i64,
        pub(in super::super) raw_ns: i64,
        pub(in super::super) frequency: Frequency,
        /// How often the wall clock was set.
        pub(in super::super) set: u32,
    }

    impl Fake {
        pub(in super::super) fn new() -> Self {
            Fake {
                wall_ns: 1_800_000_000 * SECOND,
                since_start_ns: 500 * SECOND,
                raw_ns: 501 * SECOND,
                // As a time service left it: 12.5 millionths slow.
                frequency: Frequency {
                    tick_us: 10_000,
                    scaled_ppm: -819_200,
                },
                set: 0,
            }
        }

        /// Lets so many seconds pass by the hardware.
        pub(in super::super) fn pass(&mut self, seconds: i64) {
            let ns = seconds * SECOND;
            let shown = ns + (ns as f64 * self.frequency.ppm() / 1e6) as i64;
            self.wall_ns += shown;
            self.since_start_ns += shown;
            self.raw_ns += ns;
        }
    }

    impl Clock for Fake {
        fn wall_ns(&self) -> io::Result<i64> {
            Ok(self.wall_ns)
        }

        fn since_start_ns(&self) -> io::Result<i64> {
            Ok(self.since_start_ns)
        }

        fn raw_ns(&self) -> io::Result<i64> {
            Ok(self.raw_ns)
        }

        fn set_wall_ns(&mut self, ns: i64) -> io::Result<()> {
            self.wall_ns = ns;
            self.set += 1;
            Ok(())
        }

        fn frequency(&self) -> io::Result<Frequency> {
            Ok(self.frequency)
        }

        fn set_frequency(&mut self, frequency: Frequency, add_us: i64) -> io::Result<()> {
            if !(9000..=11_000).contains(&frequency.tick_us)
                || frequency.scaled_ppm.abs() > 500 * 65_536
            {
                return Err(io::Error::from_raw_os_error(22));
            }
            self.frequency = frequency;
            self.wall_ns += add_us * 1000;
            self.set += u32::from(add_us != 0);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Fake;
    use super::*;

    #[test]
    fn a_frequency_is_what_it_is_made_of() {
        let natural = Fake::new().frequency;
        assert_eq!(natural.ppm(), -12.5);
        for ppm in [100, -100, 12_345, -12_345, 90_000, -90_000] {
            let faster = natural.faster_by(ppm);
            assert_eq!(faster.ppm() - natural.ppm(), f64::from(ppm));
            assert!((9000..=11_000).contains(&faster.tick_us));
            assert!(faster.scaled_ppm.abs() <= 500 * 65_536);
        }
    }

    #[test]
    fn what_was_set_and_what_was_gained_are_told_apart() {
        let mut clock = Fake::new();
        let natural = clock.frequency;
        let before = Reading::of(&clock).unwrap();
        clock.pass(7);
        let later = Reading::of(&clock).unwrap();
        assert_eq!(
            (later.set_since(before), later.gained_since(before, natural)),
            (0, 0)
        );
        clock.wall_ns += 3 * SECOND;
        clock.frequency = natural.faster_by(1000);
        clock.pass(10);
        let later = Reading::of(&clock).unwrap();
        assert_eq!(later.set_since(before), 3 * SECOND);
        assert_eq!(later.gained_since(before, natural), SECOND / 100);
        assert_eq!(later.passed_since(before), 17 * SECOND);
    }
}
