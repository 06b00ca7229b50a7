//! What was measured of the system itself: memory that stays flat, gauges that reach a value.

use shakedown_reports::results::{CheckResult, GaugeSeries, Verdict};

use super::check;
use crate::scenario::Expect;

/// Memory is sampled by the harness itself, under names that begin so.
const MEMORY: &str = "memory ";
/// Samples each of the quarters compared must have.
const SAMPLES: usize = 3;

/// Memory against its bound, and every gauge that is to reach a value.
pub(super) fn measured(expect: &Expect, gauges: &[GaugeSeries], checks: &mut Vec<CheckResult>) {
    if let Some(bound) = expect.memory_growth_percent_at_most {
        let name = format!("memory grew by at most {bound} %");
        let memory: Vec<&GaugeSeries> = gauges
            .iter()
            .filter(|gauge| gauge.name.starts_with(MEMORY))
            .collect();
        if memory.is_empty() {
            checks.push(check(&name, Verdict::Unknown, "memory was not measured"));
        }
        for gauge in memory {
            checks.push(growth(&name, gauge, bound));
        }
    }
    for (gauge, bound) in &expect.gauges_at_least {
        let name = format!("gauge `{gauge}` reached {bound}");
        let values = gauges
            .iter()
            .filter(|series| series.name == *gauge)
            .flat_map(|series| series.points.iter().map(|(_, value)| *value));
        checks.push(match values.max_by(f64::total_cmp) {
            Some(highest) if highest >= *bound => {
                check(name, Verdict::Valid, format!("highest value {highest}"))
            }
            // What it stands for did not happen, so nothing was put to the test.
            Some(highest) => check(name, Verdict::Unknown, format!("highest value {highest}")),
            None => check(name, Verdict::Unknown, "it was not measured"),
        });
    }
}

/// The mean of the last quarter of the run over that of the second: the first is warming up.
fn growth(name: &str, gauge: &GaugeSeries, bound: f64) -> CheckResult {
    let end = gauge.points.last().map_or(0, |(at, _)| *at);
    let mean = |from: u64, to: u64| {
        let within = gauge
            .points
            .iter()
            .filter(|(at, _)| (from..=to).contains(at));
        let values: Vec<f64> = within.map(|(_, value)| *value).collect();
        (values.len() >= SAMPLES).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let (Some(before), Some(after)) = (mean(end / 4, end / 2), mean(end / 4 * 3, end)) else {
        let detail = format!("{}: too few samples", gauge.name);
        return check(name, Verdict::Unknown, detail);
    };
    let grown = (after / before.max(f64::MIN_POSITIVE) - 1.0) * 100.0;
    let verdict = if grown <= bound {
        Verdict::Valid
    } else {
        Verdict::Invalid
    };
    let detail = format!(
        "{}: {before:.0} {unit} in the second quarter, {after:.0} {unit} in the last: {grown:+.1} %",
        gauge.name,
        unit = gauge.unit
    );
    check(name, verdict, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Catalogue;

    fn judged(change: impl FnOnce(&mut Expect), values: impl Fn(u64) -> f64) -> Verdict {
        let (mut scenario, _) = Catalogue::embedded().unwrap().scenarios.remove(0);
        change(&mut scenario.expect);
        let points = (0..100).map(|i| (i, values(i))).collect();
        let gauge = GaugeSeries {
            name: "memory n1/router".to_owned(),
            unit: "KiB".to_owned(),
            points,
        };
        let mut checks = Vec::new();
        measured(&scenario.expect, &[gauge], &mut checks);
        assert_eq!(checks.len(), 1);
        checks[0].verdict
    }

    fn at_most(bound: f64) -> impl FnOnce(&mut Expect) {
        move |expect| expect.memory_growth_percent_at_most = Some(bound)
    }

    #[test]
    fn memory_that_levels_off_is_valid_and_memory_that_grows_is_invalid() {
        assert_eq!(
            judged(at_most(10.0), |i| 100.0 + i.min(20) as f64),
            Verdict::Valid
        );
        assert_eq!(
            judged(at_most(10.0), |i| 100.0 + i as f64),
            Verdict::Invalid
        );
    }

    #[test]
    fn a_gauge_that_stays_below_its_value_makes_a_run_unknown() {
        let reach = |name: &str, bound| {
            let name = name.to_owned();
            move |expect: &mut Expect| {
                expect.gauges_at_least.insert(name, bound);
            }
        };
        assert_eq!(
            judged(reach("memory n1/router", 99.0), |i| i as f64),
            Verdict::Valid
        );
        assert_eq!(
            judged(reach("memory n1/router", 99.5), |i| i as f64),
            Verdict::Unknown
        );
        assert_eq!(
            judged(reach("repairs", 1.0), |i| i as f64),
            Verdict::Unknown
        );
    }

    #[test]
    fn memory_that_was_not_measured_is_unknown() {
        let (mut scenario, _) = Catalogue::embedded().unwrap().scenarios.remove(0);
        scenario.expect.memory_growth_percent_at_most = Some(10.0);
        let mut checks = Vec::new();
        measured(&scenario.expect, &[], &mut checks);
        assert_eq!(checks[0].verdict, Verdict::Unknown);
    }
}
