//! What the example's scenarios are built from.

use shakedown_checker::availability::{FaultAvailability, Period, Quantiles};
use shakedown_checker::loss::{Anomaly, ClassCounts, KeyClass, LossReport, WindowLoss};
use shakedown_checker::rate::Rate;

use crate::results::*;

pub(super) const MS: u64 = 1_000_000;

/// The phases of a cutover after the background copy, with their lengths in milliseconds.
const CUTOVER: [(&str, u64); 6] = [
    ("cutover_begin", 2),
    ("cutover_draining", 18),
    ("cutover_delta_pass", 131),
    ("cutover_activate", 1),
    ("cutover_cleanup", 44),
    ("complete", 0),
];

pub(super) fn scenario(number: u32, name: &str, expectation: &str) -> ScenarioResults {
    ScenarioResults {
        name: name.into(),
        number: Some(number),
        description: String::new(),
        configuration: String::new(),
        expectation: expectation.into(),
        claim: None,
        repetition: None,
        command: format!("shakedown run {name} --seed 42"),
        verdict: Verdict::Valid,
        checks: vec![],
        harness_error: None,
        started_ms: u64::from(number) * 1_000,
        duration_ms: 16_300,
        nodes: ["n1", "n2", "n3", "n4"]
            .iter()
            .enumerate()
            .map(|(i, node)| NodeInfo {
                name: (*node).into(),
                address: format!("10.99.0.{}", 11 + i),
                roles: if i == 0 {
                    vec!["router".into(), "store".into()]
                } else {
                    vec!["store".into()]
                },
            })
            .collect(),
        checkpoints: vec![],
        faults: vec![],
        phases: vec![],
        stages: vec![],
        actions: vec![],
        write_pause: None,
        timeline: timeline(15),
        gauges: vec![],
        members: vec![],
        availability: vec![],
        groups: vec![],
        operations: vec![],
        workload: None,
        models: vec![],
        client_errors: vec![],
        artifacts: vec![
            format!("{name}/history.arrows"),
            format!("{name}/logs/n1-router.log"),
        ],
    }
}

/// A copy of a few seconds, then a cutover at `cutover_ms`.
pub(super) fn cutover_phases(cutover_ms: u64) -> Vec<Span> {
    let mut phases = vec![
        span("computing_assignments", 2_000, 2_040),
        span("dual_write_migrating", 2_040, cutover_ms),
    ];
    let mut start = cutover_ms;
    for (name, length) in CUTOVER {
        phases.push(span(name, start, start + length));
        start += length;
    }
    phases
}

pub(super) fn reset_new(start_ms: u64, end_ms: u64) -> FaultResult {
    FaultResult {
        name: "reset-new".into(),
        kind: "reset".into(),
        summary: "each data packet n1 -> n4:7700 reset with probability 0.02".into(),
        start_ns: start_ms * MS,
        end_ns: end_ms * MS,
        outcome: "installed".into(),
        evidence: vec![("n1".into(), "packets reset by the rule".into(), "41".into())],
    }
}

pub(super) fn stages() -> Vec<StageResult> {
    let stage = |name, from, to, ok, failed, indeterminate| StageResult {
        span: span(name, from, to),
        ok,
        failed,
        indeterminate,
        latency_us: [2_140, 14_800, 151_222],
    };
    vec![
        stage("preload", 0, 1_800, 1_000, 0, 0),
        stage("dual-write", 2_100, 15_000, 1_100, 12, 3),
    ]
}

pub(super) fn timeline(seconds: u32) -> Vec<TimelinePoint> {
    (0..seconds)
        .map(|second| TimelinePoint {
            second,
            ok: if second == 12 {
                71
            } else {
                130 + second * 7 % 23
            },
            failed: if second % 5 == 3 { 3 } else { 0 },
            indeterminate: u32::from(second == 12),
            p50_us: 2_000 + u64::from(second * 131 % 400),
            p99_us: if second == 12 {
                149_000
            } else {
                13_000 + u64::from(second * 977 % 5_000)
            },
        })
        .collect()
}

pub(super) fn clean_loss() -> LossReport {
    let none_of_acknowledged = none_of(1_980);
    let none_of_keys = none_of(2_000);
    LossReport {
        acknowledged_writes: 2_100,
        failed_writes: 12,
        indeterminate_writes: 3,
        reads: 4_300,
        keys: 2_000,
        acknowledged_keys: 1_980,
        counts: ClassCounts {
            ok: 2_000,
            ..ClassCounts::default()
        },
        indeterminate_present: 2,
        lost: none_of_acknowledged,
        stale: none_of_acknowledged,
        resurrected: none_of_acknowledged,
        corrupted: none_of_keys,
        phantom: none_of_keys,
        misplaced: none_of_keys,
        left_behind: none_of_keys,
        ..LossReport::default()
    }
}

/// Nothing out of `trials`, with the exact interval, which has a closed form here.
pub(super) fn none_of(trials: u64) -> Rate {
    let high = if trials == 0 {
        1.0
    } else {
        1.0 - 0.025_f64.powf(1.0 / trials as f64)
    };
    Rate {
        events: 0,
        trials,
        low: 0.0,
        high,
    }
}

/// One window per phase, the cutover's without writes, and one each for fault and load.
pub(super) fn windows(phases: &[Span]) -> Vec<WindowLoss> {
    let window = |lane: &str, span: &Span, acknowledged_writes, keys| WindowLoss {
        lane: lane.into(),
        name: span.name.clone(),
        start_ns: span.start_ns,
        end_ns: span.end_ns,
        acknowledged_writes,
        counts: ClassCounts {
            ok: keys,
            ..ClassCounts::default()
        },
        lost: none_of(keys),
    };
    let mut windows: Vec<WindowLoss> = phases
        .iter()
        .map(|phase| match phase.name.as_str() {
            "dual_write_migrating" => window("phase", phase, 940, 880),
            _ => window("phase", phase, 0, 0),
        })
        .collect();
    windows.push(window("fault", &span("reset-new", 2_000, 12_100), 960, 880));
    windows.push(window("load", &span("preload", 0, 1_800), 1_000, 1_000));
    windows
}

pub(super) fn lost_key(key: i64, written_ms: u64) -> Anomaly {
    Anomaly {
        key,
        class: KeyClass::Lost,
        acknowledged_version: Some(4),
        acknowledged_delete: false,
        written_ns: Some(written_ms * MS),
        found: vec![],
        explanation: "acknowledged by n2, failed on n4, no copy left".into(),
    }
}

pub(super) fn checkpoint(name: &str, time_ms: u64, loss: LossReport) -> CheckpointResult {
    CheckpointResult {
        name: name.into(),
        time_ns: time_ms * MS,
        loss,
        explained: None,
    }
}

pub(super) fn check(name: &str, detail: &str) -> CheckResult {
    CheckResult {
        name: name.into(),
        verdict: Verdict::Valid,
        detail: detail.into(),
    }
}

pub(super) fn span(name: &str, start_ms: u64, end_ms: u64) -> Span {
    Span {
        name: name.into(),
        start_ns: start_ms * MS,
        end_ns: end_ms * MS,
    }
}

/// Memory that grows a little, sampled every 500 ms.
pub(super) fn memory(name: &str, from_kib: f64) -> GaugeSeries {
    GaugeSeries {
        name: format!("memory {name}"),
        unit: "KiB".into(),
        points: (0..30)
            .map(|i| (i * 500 * MS, from_kib + (i * 37 % 11) as f64 * 40.0))
            .collect(),
    }
}

/// Repairs of an anti-entropy pass at the end of the run.
pub(super) fn repairs_over_time() -> GaugeSeries {
    GaugeSeries {
        name: "repairs".into(),
        unit: "documents".into(),
        points: (0..30)
            .map(|i: u64| (i * 500 * MS, (i.saturating_sub(25) * 15).min(58) as f64))
            .collect(),
    }
}

/// Shards that are copied one after the other and then move at once.
pub(super) fn shards(cutover_ms: u64) -> Vec<MemberSpan> {
    let member = |shard: u64, name: &str, from: u64, to: u64| MemberSpan {
        lane: "shard".into(),
        of: shard.to_string(),
        name: name.into(),
        start_ns: from * MS,
        end_ns: to * MS,
    };
    (0..4)
        .flat_map(|i| {
            let shard = 3 + i * 5;
            [
                member(shard, "migrating", 2_040 + i * 900, 2_900 + i * 900),
                member(shard, "migration_complete", 2_900 + i * 900, cutover_ms),
                member(shard, "draining", cutover_ms, cutover_ms + 400),
                member(shard, "delta_pass", cutover_ms + 400, cutover_ms + 700),
                member(shard, "active", cutover_ms + 700, 15_000),
            ]
        })
        .collect()
}

pub(super) fn period(ok: u64, errors: u64, p99_us: u64) -> Period {
    Period {
        ok,
        errors: Rate::new(errors, ok + errors),
        latency: Quantiles {
            p50_us: 2_140,
            p90_us: 4_700,
            p99_us,
            max_us: p99_us * 3,
        },
    }
}

pub(super) fn availability(fault: &FaultResult) -> FaultAvailability {
    FaultAvailability {
        fault: fault.name.clone(),
        start_ns: fault.start_ns,
        end_ns: fault.end_ns,
        first_success_after_start_us: Some(1_900),
        first_success_after_end_us: Some(2_300),
        sustained_success_after_start_us: None,
        sustained_success_after_end_us: Some(310_000),
        longest_gap_us: 151_000,
        before: period(240, 0, 12_000),
        during: period(1_130, 12, 41_000),
        after: period(320, 0, 13_000),
    }
}

pub(super) fn group(group: u64, keys: u64, lost: u64) -> GroupLoss {
    GroupLoss {
        group: group.to_string(),
        acknowledged_writes: keys + keys / 10,
        keys,
        lost: Rate::new(lost, keys),
        otherwise_wrong: lost / 10,
        failed_at_second_owner: Some(Rate::new(lost + 2, keys)),
        endangered: Some(lost + 1),
    }
}

pub(super) fn operation(key: i64, version: i64, at_ms: u64, outcome: &str) -> KeyOperation {
    KeyOperation {
        key,
        process: (key % 8) as i32,
        function: "put".into(),
        version: Some(version),
        invoked_ns: at_ms * MS,
        completed_ns: Some((at_ms + 2) * MS),
        outcome: outcome.into(),
        detail: if outcome == "ok" { "" } else { "timed out" }.into(),
    }
}
