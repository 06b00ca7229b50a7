//! The time axis all parts of a timeline share: seconds since the start of the run to pixels.

use crate::quantity::count;
use crate::results::ScenarioResults;

/// Left and right edge of the time axis, pixels.
pub(super) const LEFT: i32 = 180;
pub(super) const RIGHT: i32 = 968;

/// Time from 0 to the end of everything shown.
pub(super) struct TimeAxis {
    /// Seconds at the right edge; above 0.
    pub(super) end: f64,
}

impl TimeAxis {
    /// Ends with the last phase, fault, checkpoint or second with operations. The last second
    /// ends where the load did, if that is known, so that half a second fills the width.
    pub(super) fn of(scenario: &ScenarioResults) -> TimeAxis {
        let ends = (scenario.phases.iter().map(|phase| phase.end_ns))
            .chain(
                scenario
                    .faults
                    .iter()
                    .map(|fault| fault.end_ns.max(fault.start_ns)),
            )
            .chain(scenario.stages.iter().map(|stage| stage.span.end_ns))
            .chain(
                scenario
                    .checkpoints
                    .iter()
                    .map(|checkpoint| checkpoint.time_ns),
            );
        let known = seconds(ends.max().unwrap_or(0));
        let last_second = scenario
            .timeline
            .iter()
            .map(|point| f64::from(point.second))
            .max_by(f64::total_cmp);
        let end = match last_second {
            Some(second) if known > second => known,
            Some(second) => second + 1.0,
            None if known > 0.0 => known,
            None => scenario.duration_ms as f64 / 1e3,
        };
        // A scenario in which nothing has a time still gets an axis.
        TimeAxis {
            end: if end > 0.0 { end } else { 1.0 },
        }
    }

    /// The pixel column of a time; times outside the axis fall on its edges.
    pub(super) fn x(&self, seconds: f64) -> i32 {
        let share = (seconds / self.end).clamp(0.0, 1.0);
        LEFT + (share * f64::from(RIGHT - LEFT)).round() as i32
    }

    /// A tick label: milliseconds below a second, then seconds, as in the report.
    pub(super) fn label(&self, seconds: f64) -> String {
        if seconds == 0.0 {
            "0".into()
        } else if self.end <= 1.5 {
            format!("{:.0} ms", seconds * 1e3)
        } else if self.end <= 15.0 {
            let text = format!("{seconds:.2}");
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        } else {
            format!("{} s", count(seconds.round() as u64))
        }
    }
}

/// Nanoseconds to seconds.
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn half_a_second_of_load_fills_the_width() {
        let mut scenario = example::suite().scenarios.swap_remove(2);
        scenario.timeline = example::suite().scenarios[0].timeline[..1].to_vec();
        scenario.stages = example::suite().scenarios[0].stages[..1].to_vec();
        scenario.stages[0].span.end_ns = 500_000_000;
        let axis = TimeAxis::of(&scenario);
        assert_eq!(axis.x(0.0), LEFT);
        assert_eq!(axis.x(0.5), RIGHT);
        assert_eq!(axis.x(70.0), RIGHT);
    }

    #[test]
    fn without_any_times_the_axis_covers_the_duration() {
        let scenario = example::suite().scenarios.swap_remove(2);
        assert!((TimeAxis::of(&scenario).end - 0.48).abs() < 1e-9);
    }

    #[test]
    fn tick_labels_fit_the_length_of_the_run() {
        let label = |end, seconds| TimeAxis { end }.label(seconds);
        assert_eq!(label(0.5, 0.0), "0");
        assert_eq!(label(0.5, 0.2), "200 ms");
        assert_eq!(label(2.5, 0.25), "0.25 s");
        assert_eq!(label(12.0, 10.0), "10 s");
        assert_eq!(label(3_600.0, 1_500.0), "1,500 s");
    }
}
