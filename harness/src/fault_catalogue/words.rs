//! Bounds and defaults of parameters, in words.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use shakedown_workloads::duration::HumanDuration;

pub(super) fn integer<T: Display>(bounds: &RangeInclusive<T>) -> String {
    format!("integer, {} to {}", bounds.start(), bounds.end())
}

pub(super) fn at_least(least: impl Display) -> String {
    format!("integer, at least {least}")
}

pub(super) fn number(bounds: &RangeInclusive<f64>) -> String {
    format!("number, {} to {}", bounds.start(), bounds.end())
}

/// A duration of so many milliseconds.
pub(super) fn time(bounds: &RangeInclusive<u32>) -> String {
    let (least, most) = (human(*bounds.start()), human(*bounds.end()));
    format!("duration, `{least}` to `{most}`")
}

pub(super) fn time_up_to(most_ms: u32) -> String {
    format!("duration, up to `{}`", human(most_ms))
}

/// So many milliseconds, in years of 365 days.
pub(super) fn years(ms: i64) -> String {
    format!("{} years", ms / (365 * 86_400_000))
}

/// A value as it stands in a scenario file.
pub(super) fn code(value: impl Display) -> String {
    format!("`{value}`")
}

pub(super) fn length(value: HumanDuration) -> String {
    code(format!("\"{value}\""))
}

/// So many milliseconds.
pub(super) fn span(ms: u32) -> String {
    length(human(ms))
}

fn human(ms: u32) -> HumanDuration {
    HumanDuration(Duration::from_millis(ms.into()))
}
