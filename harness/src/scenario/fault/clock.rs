//! A service that sees a wrong wall clock, as a scenario describes it.

use std::ops::Range;

use serde::Deserialize;
use shakedown_nemesis::fault::{LONGEST_OFFSET_MS, RATES, STROBE_MS, Skew};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use crate::scenario::Names;

/// Parameters of `clock`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// How far the wall clock is off: a duration, with `-` before it if it is behind.
    pub offset: Option<Spanned<String>>,
    /// The clock is off and right by turns, each for so long.
    pub strobe: Option<Spanned<HumanDuration>>,
    /// How fast the clock runs.
    pub rate: Option<Spanned<f64>>,
    /// The clock stands still.
    #[serde(default)]
    pub freeze: bool,
}

impl ClockFault {
    /// In which way the clock is wrong.
    ///
    /// # Errors
    /// What was expected instead, and where.
    pub fn skew(&self) -> Result<Skew, (Range<usize>, String)> {
        let given = [self.offset.is_some(), self.rate.is_some(), self.freeze];
        if given.iter().filter(|given| **given).count() != 1 {
            let message = "expected exactly one of `offset`, `rate`, `freeze = true`";
            return Err((self.service.span(), message.to_owned()));
        }
        match (&self.offset, &self.rate, &self.strobe) {
            (Some(offset), _, None) => Ok(Skew::Jump {
                offset_ms: offset_ms(offset)?,
            }),
            (Some(offset), _, Some(every)) => Ok(Skew::Strobe {
                offset_ms: offset_ms(offset)?,
                every_ms: strobe_ms(every)?,
            }),
            (None, _, Some(strobe)) => Err((
                strobe.span(),
                "expected `strobe` only with `offset`, by which the clock is off and right by turns"
                    .to_owned(),
            )),
            (None, Some(rate), None) => {
                let fast = *rate.get_ref();
                if fast == 1.0 || !RATES.contains(&fast) {
                    let message = format!(
                        "expected a rate from {} to {} and other than 1, like 1.01 for a clock that gains one second in a hundred",
                        RATES.start(),
                        RATES.end()
                    );
                    return Err((rate.span(), message));
                }
                Ok(Skew::Drift { rate: fast })
            }
            (None, None, None) => Ok(Skew::Freeze),
        }
    }
}

pub(super) fn offset_ms(offset: &Spanned<String>) -> Result<i64, (Range<usize>, String)> {
    let (sign, length) = match offset.get_ref().strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, offset.get_ref().as_str()),
    };
    let length: Option<HumanDuration> = length.parse().ok();
    length
        .and_then(|length| i64::try_from(length.0.as_millis()).ok())
        .filter(|ms| (1..=LONGEST_OFFSET_MS).contains(ms))
        .map(|ms| sign * ms)
        .ok_or_else(|| {
            let message = "expected a duration other than 0, up to ten years, with `-` before it for a clock that is behind, like \"-5s\"";
            (offset.span(), message.to_owned())
        })
}

fn strobe_ms(every: &Spanned<HumanDuration>) -> Result<u32, (Range<usize>, String)> {
    u32::try_from(every.get_ref().0.as_millis())
        .ok()
        .filter(|ms| STROBE_MS.contains(ms))
        .ok_or_else(|| {
            (
                every.span(),
                "expected a duration from 1ms to 1h".to_owned(),
            )
        })
}
