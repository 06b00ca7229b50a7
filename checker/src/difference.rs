//! Whether two shares differ by more than chance explains.

use statrs::function::gamma::ln_gamma;

use crate::rate::Rate;

/// Relative slack when probabilities of tables are compared: equal ones must count as equal.
const EQUAL: f64 = 1e-7;

/// The two-sided p value of Fisher's exact test: the probability, if both shares are the same, of a table
/// with these margins at most as probable as the one seen. 1 without trials on either side.
///
/// O(events). Source: R. A. Fisher, "The logic of inductive inference", J. R. Stat. Soc. 98 (1935).
pub fn fisher(a: &Rate, b: &Rate) -> f64 {
    if a.trials == 0 || b.trials == 0 {
        return 1.0;
    }
    let events = a.events + b.events;
    let all = ln_choose(a.trials + b.trials, events);
    let ln_probability =
        |in_a: u64| ln_choose(a.trials, in_a) + ln_choose(b.trials, events - in_a) - all;
    let seen = ln_probability(a.events) + EQUAL;
    let possible = events.saturating_sub(b.trials)..=events.min(a.trials);
    let as_extreme = possible.map(ln_probability).filter(|ln_p| *ln_p <= seen);
    as_extreme.map(f64::exp).sum::<f64>().min(1.0)
}

/// P values corrected for the number of tests, in the order given: rejecting those at most `alpha` errs in
/// any of them with probability at most `alpha`, however the tests depend on each other.
///
/// Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|i, j| p_values[*i].total_cmp(&p_values[*j]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        let factor = (p_values.len() - rank) as f64;
        largest = largest.max((p_values[index] * factor).min(1.0));
        corrected[index] = largest;
    }
    corrected
}

fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |n: u64| ln_gamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the sums in whole numbers; the first two are the textbook examples of the test.
    #[test]
    fn p_values_agree_with_published_ones() {
        let p = |a, n, b, m| fisher(&Rate::new(a, n), &Rate::new(b, m));
        // The lady tasting tea: 3 of 4 and 1 of 4.
        assert!((p(3, 4, 1, 4) - 0.485_714_285_714).abs() < 1e-9);
        // 1 of 12 men and 9 of 12 women who study.
        assert!((p(1, 12, 9, 12) - 0.002_759_456_185).abs() < 1e-9);
        assert!((p(0, 10, 0, 10) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_measured_is_no_difference() {
        assert_eq!(fisher(&Rate::default(), &Rate::new(5, 5)), 1.0);
    }

    #[test]
    fn large_counts_neither_overflow_nor_take_long() {
        let p = fisher(&Rate::new(0, 1_000_000), &Rate::new(40, 1_000_000));
        assert!((p / 1.818_280_122e-12 - 1.0).abs() < 1e-3, "{p}");
    }

    #[test]
    fn holm_multiplies_the_smallest_most_and_keeps_the_order() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn a_p_value_is_a_probability_and_symmetric(
            (a, n) in (0..40u64).prop_flat_map(|n| (0..=n, Just(n))),
            (b, m) in (0..40u64).prop_flat_map(|m| (0..=m, Just(m))),
        ) {
            let (one, two) = (Rate::new(a, n), Rate::new(b, m));
            let p = fisher(&one, &two);
            prop_assert!(p > 0.0 && p <= 1.0);
            prop_assert!((p - fisher(&two, &one)).abs() < 1e-9);
        }
    }
}
