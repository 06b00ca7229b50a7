//! What a fault does to packets on their way.

use std::ops::RangeInclusive;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fault::LONGEST_DELAY_MS;

/// The slowest link, bytes per second: one packet of the usual greatest size takes a second and a half.
pub const SLOWEST_RATE: u64 = 1000;

/// The fastest link, bytes per second.
pub const FASTEST_RATE: u64 = 10_000_000_000;

/// The longest a packet may wait for its turn on a slow link, milliseconds.
pub const LONGEST_BACKLOG_MS: u32 = 10_000;

/// How long a packet may wait for its turn at most, milliseconds.
pub const BACKLOG_MS: RangeInclusive<u32> = 1..=LONGEST_BACKLOG_MS;

/// How much longer packets are held that are overtaken, milliseconds.
pub const REORDER_MS: RangeInclusive<u32> = 1..=LONGEST_DELAY_MS;

/// Shares of packets.
pub const PERCENT: RangeInclusive<f64> = 0.0..=100.0;

/// Effects on packets, in the order in which a link has them: lost, damaged, doubled, sent as fast as the
/// link is, and on their way for some time. Shares are of all packets that come to the effect, drawn for
/// each packet on its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effects {
    /// Share that is lost, percent, 0 to 100.
    pub loss_percent: f64,
    /// Share in which one bit is turned over, percent, 0 to 100.
    pub corrupt_percent: f64,
    /// Only payloads are damaged, and checksums made to match: the program that receives them gets wrong
    /// bytes. Otherwise the receiving kernel notices and drops the packet.
    pub corrupt_unnoticed: bool,
    /// Share that arrives twice, percent, 0 to 100.
    pub duplicate_percent: f64,
    /// Bytes per second that get through, [`SLOWEST_RATE`] to [`FASTEST_RATE`]; 0 for any number.
    pub rate: u64,
    /// A packet that would wait longer than this for its turn is dropped, milliseconds, 1 to
    /// [`LONGEST_BACKLOG_MS`].
    pub backlog_ms: u32,
    /// How long each packet is held, milliseconds, at most [`LONGEST_DELAY_MS`].
    pub delay_ms: u32,
    /// By how much that varies, milliseconds; at most the delay.
    pub jitter_ms: u32,
    /// How it varies.
    pub distribution: Distribution,
    /// Share held longer than those behind it, which overtake, percent, 0 to 100.
    pub reorder_percent: f64,
    /// How much longer, milliseconds, 1 to [`LONGEST_DELAY_MS`].
    pub reorder_by_ms: u32,
}

impl Default for Effects {
    fn default() -> Self {
        Self {
            loss_percent: 0.0,
            corrupt_percent: 0.0,
            corrupt_unnoticed: false,
            duplicate_percent: 0.0,
            rate: 0,
            backlog_ms: 250,
            delay_ms: 0,
            jitter_ms: 0,
            distribution: Distribution::Uniform,
            reorder_percent: 0.0,
            reorder_by_ms: 10,
        }
    }
}

/// Why effects make no sense.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum EffectsError {
    /// Nothing would happen to any packet.
    #[error("no effect is asked for")]
    Nothing,
    /// Not a share.
    #[error("{effect} of {percent} % is not within 0 to 100")]
    Share {
        /// Of what.
        effect: &'static str,
        /// As given.
        percent: f64,
    },
    /// Held for too long, or for less than no time.
    #[error(
        "a delay of {delay_ms} ms with a jitter of {jitter_ms} ms: the delay must be at most {LONGEST_DELAY_MS} ms, the jitter at most the delay"
    )]
    Delay {
        /// As given.
        delay_ms: u32,
        /// As given.
        jitter_ms: u32,
    },
    /// Too slow or too fast.
    #[error("a rate of {0} bytes per second is not within {SLOWEST_RATE} to {FASTEST_RATE}")]
    Rate(u64),
    /// Nothing could ever wait, or wait too long.
    #[error("a backlog of {0} ms is not within 1 to {LONGEST_BACKLOG_MS} ms")]
    Backlog(u32),
    /// Nobody could overtake, or packets would come too late.
    #[error("packets are reordered by {0} ms, which is not within 1 to {LONGEST_DELAY_MS} ms")]
    ReorderBy(u32),
}

impl Effects {
    /// Whether they make sense.
    ///
    /// # Errors
    /// When a number is out of its range, or nothing is asked for.
    pub fn check(&self) -> Result<(), EffectsError> {
        let shares = [
            ("loss", self.loss_percent),
            ("corruption", self.corrupt_percent),
            ("duplication", self.duplicate_percent),
            ("reordering", self.reorder_percent),
        ];
        for (effect, percent) in shares {
            if !PERCENT.contains(&percent) {
                return Err(EffectsError::Share { effect, percent });
            }
        }
        if self.delay_ms > LONGEST_DELAY_MS || self.jitter_ms > self.delay_ms {
            return Err(EffectsError::Delay {
                delay_ms: self.delay_ms,
                jitter_ms: self.jitter_ms,
            });
        }
        if self.rate != 0 && !(SLOWEST_RATE..=FASTEST_RATE).contains(&self.rate) {
            return Err(EffectsError::Rate(self.rate));
        }
        if !BACKLOG_MS.contains(&self.backlog_ms) {
            return Err(EffectsError::Backlog(self.backlog_ms));
        }
        if !REORDER_MS.contains(&self.reorder_by_ms) {
            return Err(EffectsError::ReorderBy(self.reorder_by_ms));
        }
        let nothing = shares.iter().all(|(_, percent)| *percent == 0.0);
        if nothing && self.delay_ms == 0 && self.rate == 0 {
            return Err(EffectsError::Nothing);
        }
        Ok(())
    }

    /// True if packets are held and nothing else happens to them.
    pub(crate) fn only_delay(&self) -> bool {
        let shares = [
            self.loss_percent,
            self.corrupt_percent,
            self.duplicate_percent,
            self.reorder_percent,
        ];
        self.rate == 0 && shares.iter().all(|percent| *percent == 0.0)
    }

    /// The effects in words, for people.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        let mut share = |percent: f64, what: &str| {
            if percent > 0.0 {
                words.push(format!("{percent} % {what}"));
            }
        };
        share(self.loss_percent, "lost");
        let damage = if self.corrupt_unnoticed {
            "damaged with matching checksums"
        } else {
            "damaged"
        };
        share(self.corrupt_percent, damage);
        share(self.duplicate_percent, "doubled");
        let late = format!("held {} ms longer and overtaken", self.reorder_by_ms);
        share(self.reorder_percent, &late);
        if self.rate > 0 {
            words.push(format!("limited to {} bytes/s", self.rate));
        }
        if self.delay_ms > 0 {
            let jitter = match (self.jitter_ms, self.distribution) {
                (0, _) => String::new(),
                (jitter, Distribution::Uniform) => format!(" ± {jitter} ms"),
                (jitter, Distribution::Normal) => format!(" ± {jitter} ms (normal)"),
                (jitter, Distribution::Pareto) => format!(" ± {jitter} ms (pareto)"),
            };
            words.push(format!("held for {} ms{jitter}", self.delay_ms));
        }
        words.join(", ")
    }
}

/// How the time varies for which packets are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Evenly between delay - jitter and delay + jitter.
    #[default]
    Uniform,
    /// Normal: the delay is the mean, the jitter the standard deviation; never below 0.
    Normal,
    /// Pareto of shape 3, a long tail: the delay is the mean, the jitter the standard deviation; never
    /// below 0.
    Pareto,
}

/// No packet is held longer than the delay and so many times the jitter.
const FARTHEST: f64 = 20.0;

impl Distribution {
    /// How far from the delay, in units of the jitter.
    pub(crate) fn draw(self, random: &mut impl Rng) -> f64 {
        // Above 0, so that logarithm and power are finite.
        let mut share = || 1.0 - random.random_range(0.0..1.0_f64);
        let drawn = match self {
            Self::Uniform => share() * 2.0 - 1.0,
            // Box and Muller (1958).
            Self::Normal => {
                let radius = (-2.0 * share().ln()).sqrt();
                radius * (std::f64::consts::TAU * share()).cos()
            }
            // Shape 3 and scale 1 have the mean 3/2 and the variance 3/4.
            Self::Pareto => (share().powf(-1.0 / 3.0) - 1.5) / 0.75_f64.sqrt(),
        };
        drawn.min(FARTHEST)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn each_distribution_has_the_mean_and_deviation_it_says() {
        const DRAWS: usize = 200_000;
        let uniform = 1.0 / 3.0_f64.sqrt();
        for (distribution, deviation, least) in [
            (Distribution::Uniform, uniform, -1.0),
            (Distribution::Normal, 1.0, -6.0),
            // The tail is so long that the estimate of the deviation scatters.
            (Distribution::Pareto, 1.0, -0.58),
        ] {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            let drawn: Vec<f64> = (0..DRAWS).map(|_| distribution.draw(&mut random)).collect();
            let mean = drawn.iter().sum::<f64>() / DRAWS as f64;
            let squares = drawn.iter().map(|d| (d - mean).powi(2)).sum::<f64>();
            let found = (squares / DRAWS as f64).sqrt();
            assert!(mean.abs() < 0.02, "{distribution:?}: mean {mean}");
            assert!(
                (found - deviation).abs() < 0.15,
                "{distribution:?}: deviation {found}"
            );
            assert!(drawn.iter().all(|d| (least..=FARTHEST).contains(d)));
        }
    }

    #[test]
    fn effects_out_of_range_and_none_at_all_are_refused() {
        let good = Effects {
            loss_percent: 1.0,
            ..Effects::default()
        };
        assert_eq!(good.check(), Ok(()));
        let refused: Vec<String> = [
            Effects::default(),
            Effects {
                loss_percent: -1.0,
                ..good
            },
            Effects {
                reorder_percent: 101.0,
                ..good
            },
            Effects {
                duplicate_percent: f64::NAN,
                ..good
            },
            Effects {
                delay_ms: 5,
                jitter_ms: 6,
                ..good
            },
            Effects { rate: 999, ..good },
            Effects {
                backlog_ms: 0,
                ..good
            },
            Effects {
                reorder_by_ms: 0,
                ..good
            },
        ]
        .iter()
        .map(|effects| effects.check().unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(refused.join("\n"), @r"
        no effect is asked for
        loss of -1 % is not within 0 to 100
        reordering of 101 % is not within 0 to 100
        duplication of NaN % is not within 0 to 100
        a delay of 5 ms with a jitter of 6 ms: the delay must be at most 10000 ms, the jitter at most the delay
        a rate of 999 bytes per second is not within 1000 to 10000000000
        a backlog of 0 ms is not within 1 to 10000 ms
        packets are reordered by 0 ms, which is not within 1 to 10000 ms
        ");
    }

    #[test]
    fn effects_in_words_name_each_that_is_asked_for() {
        let effects = Effects {
            loss_percent: 2.0,
            corrupt_percent: 0.5,
            corrupt_unnoticed: true,
            duplicate_percent: 1.0,
            rate: 50_000,
            delay_ms: 50,
            jitter_ms: 5,
            distribution: Distribution::Normal,
            reorder_percent: 10.0,
            ..Effects::default()
        };
        assert_eq!(
            effects.words(),
            "2 % lost, 0.5 % damaged with matching checksums, 1 % doubled, 10 % held 10 ms longer and \
             overtaken, limited to 50000 bytes/s, held for 50 ms ± 5 ms (normal)"
        );
    }
}
