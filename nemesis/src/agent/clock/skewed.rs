//! A wrong wall clock, and the moment from which it is wrong.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::fault::Skew;

/// A moment on both clocks, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Since 1970.
    pub(crate) wall_ns: i64,
    /// Since the machine was started.
    pub(crate) monotonic_ns: i64,
}

/// What is wrong with a clock, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Skewed {
    pub(crate) skew: Skew,
    /// All zero if it makes no difference.
    pub(crate) since: Moment,
}

impl Skewed {
    /// From now on.
    pub(crate) fn now(skew: Skew) -> nix::Result<Self> {
        let since = match skew {
            Skew::Jump { .. } => Moment::default(),
            Skew::Drift { .. } | Skew::Strobe { .. } | Skew::Freeze => Moment {
                wall_ns: read(ClockId::CLOCK_REALTIME)?,
                monotonic_ns: read(ClockId::CLOCK_MONOTONIC)?,
            },
        };
        Ok(Self { skew, since })
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        match self.skew {
            Skew::Jump { offset_ms } => format!("shifted by {offset_ms} ms"),
            Skew::Drift { rate } => format!("runs {rate} times as fast"),
            Skew::Strobe {
                offset_ms,
                every_ms,
            } => format!("shifted by {offset_ms} ms and back, each for {every_ms} ms"),
            Skew::Freeze => "stands still".to_owned(),
        }
    }
}

fn read(clock: ClockId) -> nix::Result<i64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
