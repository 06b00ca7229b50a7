//! Numbers for people: counts, durations, shares and their intervals.

use shakedown_checker::rate::Rate;

/// With thousands separators: `1,234,567`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 key`, `2,000 keys`.
#[must_use]
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A length of time from nanoseconds, to three digits or so: `412 µs`, `83.4 ms`, `12.3 s`,
/// `1 min 43 s`, `2 h 03 min`.
#[must_use]
pub fn duration(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    // Each bound is where rounding would carry into the next unit.
    if ns == 0 {
        "0 s".into()
    } else if ns < 1_000 {
        format!("{ns} ns")
    } else if seconds < 0.999_5e-3 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 0.999_5 {
        format!("{} ms", three_digits(seconds * 1e3))
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else if seconds < 3599.5 {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        let minutes = (seconds / 60.0).round() as u64;
        format!("{} h {:02} min", count(minutes / 60), minutes % 60)
    }
}

/// A point in time as seconds since the start of the scenario, to the millisecond: `1,234.567 s`.
#[must_use]
pub fn offset(ns: u64) -> String {
    let ms = ns.saturating_add(500_000) / 1_000_000;
    format!("{}.{:03} s", count(ms / 1000), ms % 1000)
}

/// How many of `n` fall on each second between two moments in nanoseconds, `3,210`; `-` for no time at all.
pub fn per_second(n: u64, start_ns: u64, end_ns: u64) -> String {
    let length = u128::from(end_ns.saturating_sub(start_ns));
    (u128::from(n) * 1_000_000_000)
        .checked_div(length)
        .map_or_else(
            || "-".to_owned(),
            |rate| count(u64::try_from(rate).unwrap_or(u64::MAX)),
        )
}

/// A share in per cent, to three significant digits: `0 %`, `0.000369 %`, `2.05 %`, `100 %`.
/// Only a share of exactly 0 or 1 is ever shown as 0 % or 100 %.
#[must_use]
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value == 0.0 || value == 100.0 {
        format!("{value:.0} %")
    } else if value > 99.95 {
        ">99.9 %".into()
    } else {
        format!("{} %", three_digits(value))
    }
}

/// The measured share of `rate`; `not measured` without trials.
#[must_use]
pub fn share(rate: &Rate) -> String {
    if rate.trials == 0 {
        return "not measured".into();
    }
    percent(rate.events as f64 / rate.trials as f64)
}

/// The 95 % interval of `rate`: `0 % to 0.349 %`; `not measured` without trials.
#[must_use]
pub fn interval(rate: &Rate) -> String {
    if rate.trials == 0 {
        return "not measured".into();
    }
    format!("{} to {}", percent(rate.low), percent(rate.high))
}

/// `41 of 2,000`; `none counted` without trials.
#[must_use]
pub fn events_of_trials(rate: &Rate) -> String {
    if rate.trials == 0 {
        return "none counted".into();
    }
    format!("{} of {}", count(rate.events), count(rate.trials))
}

/// Three significant digits, never in exponent form; more before the point if there are more.
fn three_digits(value: f64) -> String {
    // The exponent after rounding, so that 0.9996 becomes 1.00, not 1.000.
    let scientific = format!("{value:.2e}");
    let exponent = scientific
        .rsplit('e')
        .next()
        .and_then(|e| e.parse::<i32>().ok());
    let decimals = (2 - exponent.unwrap_or(0)).clamp(0, 12) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_thousands_separators() {
        let shown = [0, 7, 999, 1_000, 12_345, 1_000_000, u64::MAX].map(count);
        let expected = [
            "0",
            "7",
            "999",
            "1,000",
            "12,345",
            "1,000,000",
            "18,446,744,073,709,551,615",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn durations_choose_their_unit() {
        let cases = [
            (0, "0 s"),
            (730, "730 ns"),
            (412_400, "412 µs"),
            (999_600, "1.00 ms"),
            (83_440_000, "83.4 ms"),
            (999_700_000, "1.0 s"),
            (12_340_000_000, "12.3 s"),
            (59_960_000_000, "1 min 00 s"),
            (103_000_000_000, "1 min 43 s"),
            (7_380_000_000_000, "2 h 03 min"),
        ];
        for (ns, expected) in cases {
            assert_eq!(duration(ns), expected);
        }
    }

    #[test]
    fn offsets_keep_milliseconds_however_late() {
        assert_eq!(offset(0), "0.000 s");
        assert_eq!(offset(1_234_567_890_123), "1,234.568 s");
    }

    #[test]
    fn a_rate_needs_time_to_have_passed() {
        assert_eq!(per_second(179_475, 4_000_000, 20_004_000_000), "8,973");
        assert_eq!(per_second(5, 7, 7), "-");
    }

    #[test]
    fn small_shares_are_never_rounded_to_nothing_nor_large_ones_to_everything() {
        let cases = [
            (0.0, "0 %"),
            (3.69e-6, "0.000369 %"),
            (0.0205, "2.05 %"),
            (0.5, "50.0 %"),
            (0.99999, ">99.9 %"),
            (1.0, "100 %"),
        ];
        for (value, expected) in cases {
            assert_eq!(percent(value), expected);
        }
    }

    #[test]
    fn nothing_counted_is_not_a_rate_of_zero() {
        let rate = Rate {
            events: 0,
            trials: 0,
            low: 0.0,
            high: 1.0,
        };
        assert_eq!(share(&rate), "not measured");
        assert_eq!(interval(&rate), "not measured");
        assert_eq!(events_of_trials(&rate), "none counted");
    }
}
