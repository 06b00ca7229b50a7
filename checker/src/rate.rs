//! Shares with exact binomial confidence intervals.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::incomplete_beta::inverse;

/// Probability that the share lies below the interval, and that it lies above it: 95 % two-sided.
const TAIL: f64 = 0.025;

/// `events` out of `trials`, with the exact (Clopper-Pearson) 95 % interval of the underlying share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// How often it happened.
    pub events: u64,
    /// How often it could have happened.
    pub trials: u64,
    /// Lower end of the interval, 0 to 1.
    pub low: f64,
    /// Upper end of the interval, 0 to 1.
    pub high: f64,
}

impl Rate {
    /// The share of `events` in `trials` with its interval.
    ///
    /// The convention is two-sided throughout, 2.5 % on either side: without events the upper end is
    /// `1 - 0.025^(1/n)` (about `3.7 / n`; the "rule of three" is the one-sided 95 % bound). Without
    /// trials the interval is all of `[0, 1]`. At most some 50 ms for a billion trials, microseconds
    /// for thousands.
    ///
    /// # Panics
    /// If there are more events than trials.
    ///
    /// Source: C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in
    /// the case of the binomial", Biometrika 26 (1934).
    pub fn new(events: u64, trials: u64) -> Self {
        assert!(events <= trials, "{events} events in {trials} trials");
        let (low, high) = interval(events as f64, trials as f64);
        Rate {
            events,
            trials,
            low,
            high,
        }
    }

    /// The share over several runs, its interval widened if runs differ by more than chance explains.
    ///
    /// Events and trials are summed. The *design effect* is the variance of the share between runs over
    /// the variance if events struck trials independently, at least 1; the interval is that of
    /// Clopper and Pearson for events and trials divided by it (the effective sample size). One run, and runs
    /// without events, keep the interval of [`new`](Rate::new). With few runs the design effect is
    /// itself uncertain. O(runs).
    ///
    /// Source: J. N. K. Rao, A. J. Scott, "A simple method for the analysis of clustered binary data",
    /// Biometrics 48 (1992); the effective sample size is L. Kish's, "Survey Sampling" (1965).
    pub fn pooled(runs: &[Rate]) -> Self {
        let events = runs.iter().map(|run| run.events).sum();
        let trials = runs.iter().map(|run| run.trials).sum();
        let effect = Self::design_effect(runs);
        let (low, high) = interval(events as f64 / effect, trials as f64 / effect);
        Rate {
            events,
            trials,
            low,
            high,
        }
    }

    /// By how much the share varies more between runs than independent events would make it; at least 1.
    pub fn design_effect(runs: &[Rate]) -> f64 {
        let clusters: Vec<(f64, f64)> = runs
            .iter()
            .filter(|run| run.trials > 0)
            .map(|run| (run.events as f64, run.trials as f64))
            .collect();
        let events: f64 = clusters.iter().map(|(k, _)| k).sum();
        let trials: f64 = clusters.iter().map(|(_, n)| n).sum();
        let count = clusters.len() as f64;
        if clusters.len() < 2 || events == 0.0 || events == trials {
            return 1.0;
        }
        let share = events / trials;
        let residuals: f64 = clusters.iter().map(|(k, n)| (k - share * n).powi(2)).sum();
        let between = count / (count - 1.0) * residuals / trials.powi(2);
        (between / (share * (1.0 - share) / trials)).max(1.0)
    }

    /// `events / trials`; `None` without trials.
    pub fn share(&self) -> Option<f64> {
        (self.trials > 0).then(|| self.events as f64 / self.trials as f64)
    }
}

/// The exact interval of the share; counts divided by a design effect need not be whole.
fn interval(k: f64, n: f64) -> (f64, f64) {
    let low = if k == 0.0 {
        0.0
    } else if k == n {
        (TAIL.ln() / n).exp()
    } else {
        inverse(k, n - k + 1.0, TAIL)
    };
    let high = if k == n {
        1.0
    } else if k == 0.0 {
        -(TAIL.ln() / n).exp_m1()
    } else {
        inverse(k + 1.0, n - k, 1.0 - TAIL)
    };
    (low, high)
}

impl Default for Rate {
    /// No trials: anything between 0 and 1.
    fn default() -> Self {
        Rate::new(0, 0)
    }
}

/// `2.013 % [1.7 %, 2.3 %] (201 of 9,985)`; per million where percentages would be mostly zeros.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rate { low, high, .. } = *self;
        match self.share() {
            None => write!(f, "unknown")?,
            Some(share) if high < 1e-4 => {
                let [share, low, high] =
                    [(share, 4), (low, 2), (high, 2)].map(|(x, n)| digits(x * 1e6, 1e6, n));
                write!(f, "{share} per million [{low}, {high}]")?;
            }
            Some(share) => {
                let [share, low, high] =
                    [(share, 4), (low, 2), (high, 2)].map(|(x, n)| digits(x * 1e2, 1e2, n));
                write!(f, "{share} % [{low} %, {high} %]")?;
            }
        }
        write!(
            f,
            " ({} of {})",
            thousands(self.events),
            thousands(self.trials)
        )
    }
}

/// `x` with `significant` digits, counted on its distance from 0 or `full`, whichever is nearer: so
/// 99.98 out of 100 does not become 100.
fn digits(x: f64, full: f64, significant: i32) -> String {
    let distance = x.min(full - x);
    if distance <= 0.0 {
        return format!("{x:.0}");
    }
    let decimals = (significant - 1 - distance.log10().floor() as i32).max(0);
    format!("{x:.*}", decimals as usize)
}

/// Digits in groups of three.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events, trials and interval from scipy 1.17: `beta.ppf(0.025, k, n-k+1)`, `beta.ppf(0.975, k+1, n-k)`.
    const PUBLISHED: [(u64, u64, f64, f64); 13] = [
        (0, 10, 0.0, 0.3084971078187607),
        (1, 10, 0.0025285785444617848, 0.4450161170281954),
        (5, 10, 0.18708602844739855, 0.8129139715526015),
        (50, 1_000, 0.03733539760466178, 0.06539048791549364),
        (0, 1_000_000, 0.0, 3.688872650206488e-6),
        (3, 1_000_000, 6.186725501906401e-7, 8.767247788067677e-6),
        (201, 9_985, 0.017466026733306113, 0.023079158006643122),
        (999, 1_000, 0.9944410757201734, 0.9999746825125088),
        (
            1,
            1_000_000_000,
            2.531780798396938e-11,
            5.571643429123389e-9,
        ),
        (10, 1_000_000_000, 4.795388706213807e-9, 1.83903558812333e-8),
        (
            1_000_000,
            1_000_000_000,
            0.0009980419606762322,
            0.001001960928819794,
        ),
        (
            500_000_000,
            1_000_000_000,
            0.4999690097484223,
            0.5000309902515777,
        ),
        (
            999_999_999,
            1_000_000_000,
            0.9999999944283565,
            0.9999999999746821,
        ),
    ];

    #[test]
    fn intervals_agree_with_published_values() {
        for (events, trials, low, high) in PUBLISHED {
            let rate = Rate::new(events, trials);
            for (ours, theirs) in [(rate.low, low), (rate.high, high)] {
                let error = (ours - theirs).abs();
                assert!(
                    error <= 1e-5 * (high - low),
                    "{events} of {trials}: {ours} instead of {theirs}"
                );
            }
        }
    }

    #[test]
    fn without_trials_anything_is_possible() {
        let rate = Rate::new(0, 0);
        assert_eq!((rate.low, rate.high, rate.share()), (0.0, 1.0, None));
        assert_eq!(rate.to_string(), "unknown (0 of 0)");
    }

    #[test]
    fn an_interval_contains_its_share_and_mirrors_its_complement() {
        for trials in [1, 2, 3, 10, 97, 1000, 12_345] {
            for events in (0..=trials).step_by(1 + trials as usize / 23) {
                let rate = Rate::new(events, trials);
                let share = rate.share().unwrap();
                assert!(
                    0.0 <= rate.low && rate.low <= share && share <= rate.high && rate.high <= 1.0
                );
                let complement = Rate::new(trials - events, trials);
                assert!(
                    (rate.low - (1.0 - complement.high)).abs() < 1e-9,
                    "{rate:?} {complement:?}"
                );
            }
        }
    }

    #[test]
    fn rates_read_well_at_every_size() {
        let shown = |events, trials| Rate::new(events, trials).to_string();
        assert_eq!(shown(201, 9_985), "2.013 % [1.7 %, 2.3 %] (201 of 9,985)");
        assert_eq!(shown(0, 1_000), "0 % [0 %, 0.37 %] (0 of 1,000)");
        assert_eq!(
            shown(0, 1_000_000),
            "0 per million [0, 3.7] (0 of 1,000,000)"
        );
        assert_eq!(
            shown(3, 938_112),
            "3.198 per million [0.66, 9.3] (3 of 938,112)"
        );
        assert_eq!(
            shown(1_000, 1_000),
            "100 % [99.63 %, 100 %] (1,000 of 1,000)"
        );
        assert_eq!(
            shown(9_999, 10_000),
            "99.99000 % [99.944 %, 99.99975 %] (9,999 of 10,000)"
        );
    }

    #[test]
    fn one_run_keeps_its_interval_and_so_do_runs_without_events() {
        assert_eq!(Rate::pooled(&[Rate::new(3, 100)]), Rate::new(3, 100));
        let clean = [Rate::new(0, 40), Rate::new(0, 60), Rate::default()];
        assert_eq!(Rate::pooled(&clean), Rate::new(0, 100));
        assert_eq!(Rate::pooled(&[]), Rate::default());
    }

    #[test]
    fn runs_alike_are_pooled_as_one_and_runs_that_differ_widen_the_interval() {
        let alike = Rate::pooled(&[Rate::new(10, 500), Rate::new(10, 500)]);
        assert_eq!(alike, Rate::new(20, 1_000));
        let runs = [Rate::new(20, 500), Rate::new(0, 500)];
        // By hand: residuals 2 * 10^2, between 2 * 200 / 1000^2 = 0.0004, binomial 0.02 * 0.98 / 1000.
        assert!((Rate::design_effect(&runs) - 0.0004 / 0.000_019_6).abs() < 1e-9);
        let apart = Rate::pooled(&runs);
        assert_eq!((apart.events, apart.trials), (20, 1_000));
        assert!(apart.low < alike.low && apart.high > alike.high);
    }

    #[test]
    #[should_panic(expected = "2 events in 1 trials")]
    fn more_events_than_trials_are_refused() {
        Rate::new(2, 1);
    }
}
