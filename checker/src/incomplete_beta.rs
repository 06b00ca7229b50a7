//! The inverse of the regularised incomplete beta function, for parameters up to billions.
//!
//! statrs has both directions, but stops its continued fraction after 140 terms; near the mean it
//! takes about the square root of the larger parameter, some 30,000 terms for a billion trials.

use statrs::function::beta::ln_beta;

/// More terms than any parameters up to 10^12 need.
const MAX_TERMS: u32 = 10_000_000;

/// Replaces a zero denominator in Lentz's method.
const TINY: f64 = 1e-300;

/// The `x` at which `I_x(a, b)` is `probability`, by bisection to a relative width of 10^-13.
///
/// For `a`, `b` > 0 and 0 < `probability` < 1; O(sqrt(max(a, b))) per step, at most some 80 steps.
pub(crate) fn inverse(a: f64, b: f64, probability: f64) -> f64 {
    let ln_beta = ln_beta(a, b);
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > 1e-13 * high {
        let middle = f64::midpoint(low, high);
        if regularised(a, b, middle, ln_beta) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// `I_x(a, b)` for 0 < `x` < 1, where `ln_beta` is the logarithm of the complete beta function.
fn regularised(a: f64, b: f64, x: f64, ln_beta: f64) -> f64 {
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp();
    // The fraction converges fast only on this side of the mean; the other follows by symmetry.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(a, b, x) / a
    } else {
        1.0 - front * continued_fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction of the incomplete beta function by the modified Lentz method.
///
/// Source: NIST Digital Library of Mathematical Functions, 8.17.22; W. H. Press et al., "Numerical
/// Recipes", 3rd edition, section 6.4.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..MAX_TERMS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut last_factor = 1.0;
        for term in [even, odd] {
            d = 1.0 / guard(1.0 + term * d);
            c = guard(1.0 + term / c);
            last_factor = c * d;
            fraction *= last_factor;
        }
        if (last_factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}
