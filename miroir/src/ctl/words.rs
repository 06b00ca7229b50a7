//! Times as one would say them.

use jiff::Timestamp;

/// A duration: `12 ms`, `3.4 s`, `4 min 5 s`, `3 h 12 min`, `2 d 3 h`.
pub(crate) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", s, ms % 1000 / 100),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A point in time (RFC 3339), seen from another: `3 h 12 min ago`, `in 4 min 5 s`. Unchanged if it is none.
pub(crate) fn relative(time: &str, now: Timestamp) -> String {
    let Ok(at) = time.parse::<Timestamp>() else {
        return time.to_owned();
    };
    let ms = at.as_millisecond() - now.as_millisecond();
    let words = duration(ms.unsigned_abs());
    if ms > 0 {
        format!("in {words}")
    } else {
        format!("{words} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_two_greatest_units() {
        let said = [12, 3_456, 245_000, 11_520_000, 183_600_000].map(duration);
        let expected = ["12 ms", "3.4 s", "4 min 5 s", "3 h 12 min", "2 d 3 h"];
        assert_eq!(said, expected);
    }

    #[test]
    fn points_in_time_are_before_or_after_now() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(relative("2026-03-01T11:55:55Z", now), "4 min 5 s ago");
        assert_eq!(relative("2026-03-01T18:00:00Z", now), "in 6 h 0 min");
        assert_eq!(relative("never", now), "never");
    }
}
