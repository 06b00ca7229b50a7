//! Spans of time as people write them: `250ms`, `5s`, `2m`, `1h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time, written as a whole number and one unit: `us`, `ms`, `s`, `m` or `h`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct HumanDuration(pub Duration);

/// Text that is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a duration: expected a whole number and a unit (us, ms, s, m, h), like \"250ms\", \"5s\" or \"2m\""
)]
pub struct InvalidDuration {
    /// What was given.
    pub text: String,
}

/// Units with their length in microseconds, longest first.
const UNITS: [(&str, u64); 5] = [
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

impl HumanDuration {
    /// A span of `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        HumanDuration(Duration::from_secs(seconds))
    }

    /// Its length in nanoseconds; spans beyond 584 years count as that.
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl FromStr for HumanDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let length = UNITS.iter().find(|(name, _)| *name == unit);
        let micros = length
            .zip(number.parse::<u64>().ok())
            .and_then(|((_, length), number)| number.checked_mul(*length));
        match micros {
            Some(micros) => Ok(HumanDuration(Duration::from_micros(micros))),
            None => Err(InvalidDuration {
                text: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for HumanDuration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        text.parse()
    }
}

impl fmt::Display for HumanDuration {
    /// In the longest unit that leaves no rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros == 0 {
            return f.write_str("0s");
        }
        let (unit, length) = UNITS
            .iter()
            .find(|(_, length)| micros.is_multiple_of(u128::from(*length)))
            .expect("the last unit is one microsecond");
        write!(f, "{}{unit}", micros / u128::from(*length))
    }
}

impl From<HumanDuration> for String {
    fn from(duration: HumanDuration) -> String {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_written_back() {
        for text in ["7us", "250ms", "5s", "2m", "1h", "90s", "0s"] {
            assert_eq!(text.parse::<HumanDuration>().unwrap().to_string(), text);
        }
        assert_eq!(
            "2m".parse::<HumanDuration>().unwrap().0,
            Duration::from_secs(120)
        );
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5sec",
            "18446744073709551615h",
        ] {
            let error = text.parse::<HumanDuration>().unwrap_err().to_string();
            assert!(error.contains("like \"250ms\""), "{error}");
        }
    }
}
