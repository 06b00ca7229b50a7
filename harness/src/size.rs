//! Sizes as people write them: a whole number and a unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Units with their bytes; what is written is the largest binary one that fits.
const UNITS: [(&str, usize); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// So many bytes: `512MiB`, `2GB`, `7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub usize);

/// What was written is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number and a unit, like 512MiB or 2GB")]
pub struct NoSize;

impl FromStr for ByteSize {
    type Err = NoSize;

    fn from_str(text: &str) -> Result<Self, NoSize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let size = UNITS.iter().find(|(name, _)| *name == unit.trim_start());
        let bytes = size
            .zip(number.parse::<usize>().ok())
            .and_then(|((_, size), number)| number.checked_mul(*size));
        bytes.map(ByteSize).ok_or(NoSize)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = NoSize;

    fn try_from(text: String) -> Result<Self, NoSize> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> String {
        size.to_string()
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bytes): &&(&str, usize)| self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS.iter().find(fits).unwrap_or(&("", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (text, bytes) in [("512MiB", 512 << 20), ("2 GB", 2_000_000_000), ("7", 7)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
        for wrong in ["", "GiB", "1.5GiB", "-1", "1TiB", "99999999999999999999"] {
            assert_eq!(wrong.parse::<ByteSize>(), Err(NoSize), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_written_as_it_can_be_read() {
        for text in ["3GiB", "512MiB", "1001"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
    }
}
