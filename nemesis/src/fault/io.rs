//! What a bad disk does to reads, writes and syncs.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// What a program asks of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Bytes of a file.
    Read,
    /// Bytes into a file, and all that changes names, lengths or attributes.
    Write,
    /// `fsync` and its like.
    Sync,
}

impl Operation {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Sync];
}

/// What happens to operations on a disk; at least one thing does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoEffects {
    /// Those that fail, are held and count against the speed.
    pub operations: Vec<Operation>,
    /// Share that fails with EIO, 0 to 1.
    pub fail: f64,
    /// Share of writes of which only a first part is done, though all is reported as done, 0 to 1.
    pub torn: f64,
    /// How long each is held, milliseconds, at most [`LONGEST_LATENCY_MS`].
    pub latency_ms: u32,
    /// Together no faster than this, within [`SPEEDS`].
    pub bytes_per_second: Option<u64>,
    /// Whatever would change something fails with EROFS.
    pub read_only: bool,
    /// Decides which.
    pub seed: u64,
}

/// The longest time an operation is held, milliseconds.
pub const LONGEST_LATENCY_MS: u32 = 60_000;

/// Shares of operations.
pub const FRACTIONS: RangeInclusive<f64> = 0.0..=1.0;

/// Bytes a second.
pub const SPEEDS: RangeInclusive<u64> = 1024..=1 << 40;

impl IoEffects {
    /// Whether its numbers are within their bounds, and it does anything.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn check(&self) -> Result<(), String> {
        for (what, share) in [("fail", self.fail), ("torn", self.torn)] {
            if !FRACTIONS.contains(&share) {
                let (low, high) = (FRACTIONS.start(), FRACTIONS.end());
                return Err(format!("expected `{what}` from {low} to {high}"));
            }
        }
        if self.latency_ms > LONGEST_LATENCY_MS {
            return Err(format!("expected `latency` up to {LONGEST_LATENCY_MS} ms"));
        }
        if let Some(speed) = self.bytes_per_second
            && !SPEEDS.contains(&speed)
        {
            let (low, high) = (SPEEDS.start(), SPEEDS.end());
            return Err(format!("expected `bytes_per_second` from {low} to {high}"));
        }
        if self.operations.is_empty() {
            return Err(
                "expected at least one of `read`, `write`, `sync` in `operations`".to_owned(),
            );
        }
        if self.text().is_empty() {
            return Err("expected at least one of `fail`, `torn`, `latency`, `bytes_per_second`, `read_only`".to_owned());
        }
        Ok(())
    }

    /// What it does, in words.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.read_only {
            parts.push("read-only".to_owned());
        }
        if self.fail > 0.0 {
            parts.push(format!("fails with probability {}", self.fail));
        }
        if self.torn > 0.0 {
            parts.push(format!("tears writes with probability {}", self.torn));
        }
        if self.latency_ms > 0 {
            parts.push(format!("takes {} ms longer", self.latency_ms));
        }
        if let Some(speed) = self.bytes_per_second {
            parts.push(format!("does {speed} bytes a second"));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_that_do_nothing_or_too_much_are_refused() {
        let good = IoEffects {
            operations: Operation::ALL.into(),
            fail: 0.1,
            torn: 0.0,
            latency_ms: 5,
            bytes_per_second: Some(1 << 20),
            read_only: false,
            seed: 0,
        };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(
            good.text(),
            "fails with probability 0.1, takes 5 ms longer, does 1048576 bytes a second"
        );
        let with = |change: fn(&mut IoEffects)| {
            let mut effects = good.clone();
            change(&mut effects);
            effects.check().unwrap_err()
        };
        assert!(with(|e| e.fail = 1.5).contains("`fail` from 0 to 1"));
        assert!(with(|e| e.latency_ms = 60_001).contains("`latency` up to"));
        assert!(with(|e| e.bytes_per_second = Some(1)).contains("from 1024"));
        assert!(with(|e| e.operations.clear()).contains("at least one of `read`"));
        let nothing = with(|e| {
            e.fail = 0.0;
            e.latency_ms = 0;
            e.bytes_per_second = None;
        });
        assert!(nothing.contains("at least one of `fail`"));
    }
}
