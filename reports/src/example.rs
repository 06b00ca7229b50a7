//! A realistic, fully populated run for the tests: one scenario each that holds, repairs its
//! losses, refuses, loses as expected, cannot tell, fails, and one in which models judge.

mod parts;

use shakedown_checker::loss::{Anomaly, ClassCounts, KeyClass, WindowLoss};
use shakedown_checker::rate::Rate;

use crate::results::*;
use parts::*;

/// Seven scenarios, every field filled somewhere.
pub(crate) fn suite() -> SuiteResults {
    let scenarios = vec![
        holds(),
        repairs(),
        refuses(),
        loses(),
        cannot_tell(),
        fails(),
        loses_elements(),
    ];
    SuiteResults {
        schema_version: SCHEMA_VERSION,
        shakedown_version: "0.1.0".into(),
        suite: "demo".into(),
        command: "shakedown run demo --local 5 --seed 42".into(),
        seed: 42,
        started_at: "2026-03-14T09:26:53Z".into(),
        duration_ms: 103_200,
        environment: vec![
            ("kernel".into(), "Linux 6.18.5".into()),
            ("CPUs".into(), "2".into()),
            ("memory".into(), "7.8 GiB".into()),
        ],
        verdict: Verdict::worst(scenarios.iter().map(|s| s.verdict)),
        interrupted: false,
        systems: vec![notes()],
        scenarios,
    }
}

fn notes() -> SystemNotes {
    let recommend = |audience, configuration: &str, advice: &str| Recommendation {
        audience,
        configuration: configuration.into(),
        advice: advice.into(),
    };
    SystemNotes {
        name: "store".into(),
        description: "a sharded store".into(),
        danger: "A document that reached only the old owner is lost at clean-up.".into(),
        safety: vec![(
            "delta pass".into(),
            "reads the old owner again <before> routing switches".into(),
        )],
        recommendations: vec![
            recommend(
                Audience::Production,
                "anti-entropy on, delta pass on",
                "Keep both on.",
            ),
            recommend(Audience::Development, "", "Run the demo on each change."),
            recommend(
                Audience::ReleaseNotes,
                "anti-entropy on, delta pass skipped",
                "Run a pass right after the cutover.",
            ),
        ],
        runbook: "docs/migration_runbook.md".into(),
    }
}

fn holds() -> ScenarioResults {
    let phases = cutover_phases(12_000);
    let mut scenario = scenario(1, "cutover_chaos_with_anti_entropy", "0 loss");
    scenario.configuration = "anti-entropy on, delta pass on".into();
    scenario.description = "Shards move to n4 while 2 % of the writes fail on the new node".into();
    scenario.checks = vec![
        check("fault happened: reset-new", "41 resets counted on n1"),
        check("load at least 1000 writes", "2,100 writes acknowledged"),
        check("no acknowledged write lost", "0 of 1,980 keys lost"),
    ];
    scenario.faults = vec![reset_new(2_000, 12_100)];
    scenario.stages = stages();
    scenario.write_pause = Some(WritePause {
        writes: 23,
        p50_us: 74_100,
        p99_us: 149_000,
        max_us: 151_222,
    });
    let mut loss = clean_loss();
    loss.windows = windows(&phases);
    scenario.checkpoints = vec![checkpoint("final", 15_400, loss)];
    scenario.phases = phases;
    scenario.claim = Some(Claim {
        text: "fewer than 1 lost per 1,000,000 acknowledged writes".into(),
        rate_percent: None,
        max_per_million: Some(1.0),
        of: ClaimOf::AcknowledgedWrites,
    });
    scenario.gauges = vec![memory("n1/router", 21_000.0), memory("n2/node", 18_000.0)];
    scenario.members = shards(12_000);
    scenario.availability = scenario.faults.iter().map(availability).collect();
    scenario.groups = vec![group(3, 31, 0), group(8, 29, 0)];
    scenario
}

fn repairs() -> ScenarioResults {
    let mut scenario = scenario(
        2,
        "cutover_chaos_skip_delta_with_ae",
        "loss after the cutover, 0 after one anti-entropy pass",
    );
    scenario.configuration = "anti-entropy on, delta pass skipped".into();
    scenario.description =
        "Without a delta pass, anti-entropy repairs what the cutover lost".into();
    scenario.checks = vec![check(
        "loss repaired",
        "58 keys lost after the cutover, 0 at the end",
    )];
    scenario.phases = cutover_phases(11_000);
    scenario.faults = vec![reset_new(2_000, 11_100)];
    scenario.stages = stages();
    scenario.actions = vec![ActionResult {
        span: span("anti-entropy-pass", 13_000, 13_800),
        command: "miroir ctl anti-entropy run | tee pass.log".into(),
        exit_status: 0,
        output: "shard 0: 31 repaired\nshard 1: 27 repaired\n".into(),
        as_expected: true,
    }];
    let mut after_cutover = clean_loss();
    after_cutover.counts.lost = 58;
    after_cutover.counts.ok = 1_942;
    after_cutover.lost = Rate {
        events: 58,
        trials: 1_980,
        low: 0.022_32,
        high: 0.037_67,
    };
    after_cutover.anomalies = (0..58)
        .map(|i| lost_key(i * 17, 10_000 + i as u64 * 15))
        .collect();
    scenario.gauges = vec![repairs_over_time()];
    scenario.checkpoints = vec![
        checkpoint("after-cutover", 12_600, after_cutover),
        checkpoint("final", 15_400, clean_loss()),
    ];
    scenario
}

fn refuses() -> ScenarioResults {
    let mut scenario = scenario(
        4,
        "cutover_chaos_no_ae_no_delta_blocked",
        "refused, nothing changed",
    );
    scenario.configuration = "anti-entropy off, delta pass skipped".into();
    scenario.description = "The unsafe configuration is refused when a migration is begun".into();
    scenario.duration_ms = 480;
    scenario.checks = vec![check(
        "refused: begin",
        "UnsafeCutoverNoAntiEntropy, state unchanged",
    )];
    scenario.actions = vec![ActionResult {
        span: span("begin", 210, 223),
        command: "miroir ctl migrate begin --to n4".into(),
        exit_status: 2,
        output: "error: UnsafeCutoverNoAntiEntropy\n".into(),
        as_expected: true,
    }];
    scenario.timeline.clear();
    scenario
}

fn loses() -> ScenarioResults {
    let phases = cutover_phases(12_000);
    let mut scenario = scenario(
        11,
        "cutover_chaos_loss_rate_no_ae_no_delta",
        "refused; with the measurement-only override, loss is quantified (claimed about 2 %)",
    );
    scenario.configuration = "anti-entropy off, delta pass skipped (override)".into();
    scenario.description = "What the refused configuration would have cost".into();
    scenario.checks = vec![
        check("fault happened: reset-new", "41 resets counted on n1"),
        check("loss measured", "41 of 1,980 keys lost"),
        check(
            "every loss explained",
            "41 predicted by the records, 41 found lost",
        ),
    ];
    scenario.faults = vec![reset_new(2_000, 12_100)];
    scenario.stages = stages();
    let mut loss = clean_loss();
    loss.counts = ClassCounts {
        ok: 1_958,
        lost: 41,
        stale: 1,
        ..ClassCounts::default()
    };
    loss.lost = Rate {
        events: 41,
        trials: 1_980,
        low: 0.014_9,
        high: 0.027_98,
    };
    loss.stale = Rate {
        events: 1,
        trials: 1_980,
        low: 0.000_012_8,
        high: 0.002_81,
    };
    loss.windows = windows(&phases);
    for window in loss
        .windows
        .iter_mut()
        .filter(|window| window.lost.trials == 880)
    {
        window.counts.ok = 839;
        window.counts.lost = 41;
        window.lost = Rate {
            events: 41,
            trials: 880,
            low: 0.033_7,
            high: 0.062_7,
        };
    }
    loss.anomalies = (0..30)
        .map(|i| lost_key(i * 23, 10_000 + i as u64 * 40))
        .collect();
    loss.anomalies[2].class = KeyClass::Stale;
    loss.anomalies[2].found = vec![
        ("router".into(), Some(3)),
        ("n4".into(), Some(3)),
        ("n2".into(), None),
    ];
    loss.anomalies[2].explanation = "n4 has version 3 | n2's copy fails its checksum".into();
    loss.anomalies_omitted = 12;
    let mut last = checkpoint("final", 15_400, loss);
    last.explained = Some(Explained {
        predicted: 41,
        explained: 41,
        unexplained: vec![],
        found_alive: vec![],
        at_risk: Some(Rate::new(41, 2_050)),
    });
    scenario.checkpoints = vec![last];
    scenario.phases = phases;
    scenario.claim = Some(Claim {
        text: "about 2 %".into(),
        rate_percent: Some(2.0),
        max_per_million: None,
        of: ClaimOf::DualWrites,
    });
    scenario.repetition = Some(1);
    scenario.groups = vec![group(3, 31, 21), group(8, 29, 20), group(13, 40, 0)];
    scenario.operations = vec![
        operation(0, 3, 8_000, "ok"),
        operation(0, 4, 10_000, "ok"),
        operation(23, 4, 10_040, "fail"),
    ];
    scenario
}

fn cannot_tell() -> ScenarioResults {
    let mut scenario = scenario(
        15,
        "cutover_chaos_network_partition_new_node",
        "0 loss; cutover waits or fails cleanly, then completes",
    );
    scenario.configuration = "anti-entropy on, delta pass on, new node cut off".into();
    scenario.description = "The new node is partitioned away during the cutover".into();
    scenario.verdict = Verdict::Unknown;
    scenario.checks = vec![
        CheckResult {
            name: "fault happened: cut-new".into(),
            verdict: Verdict::Unknown,
            detail: "n3: 0 packets dropped; expected at least 1".into(),
        },
        check("no acknowledged write lost", "0 of 1,980 keys lost"),
    ];
    scenario.harness_error = Some("n3: agent channel closed (exit status 137)\nafter 4.2 s".into());
    scenario.faults = vec![FaultResult {
        name: "cut-new".into(),
        kind: "partition".into(),
        summary: "no packets between {n1, n2, n3} and n4".into(),
        start_ns: 9_000 * MS,
        end_ns: 13_000 * MS,
        outcome: "indeterminate".into(),
        evidence: vec![
            (
                "n1".into(),
                "packets dropped by the rule".into(),
                "118".into(),
            ),
            (
                "n3".into(),
                "packets dropped by the rule".into(),
                "agent lost | no answer".into(),
            ),
        ],
    }];
    scenario.phases = cutover_phases(12_000);
    scenario.stages = stages();
    let mut loss = clean_loss();
    loss.unjudged_keys = 7;
    loss.foreign = 2;
    loss.foreign_examples = vec![
        ("n2".into(), "left|over".into()),
        ("n3".into(), "x-1".into()),
    ];
    loss.impossible_reads = 1;
    loss.incomplete_sources = vec![("n3".into(), "connection refused".into())];
    scenario.checkpoints = vec![checkpoint("final", 15_400, loss)];
    scenario
}

fn fails() -> ScenarioResults {
    let mut scenario = scenario(
        19,
        "cutover_chaos_coordinator_crash_recovery",
        "migration completes, 0 loss",
    );
    scenario.configuration = "anti-entropy off, delta pass on, coordinator killed".into();
    scenario.description = "The coordinator is killed in every phase and restarted".into();
    scenario.verdict = Verdict::Invalid;
    scenario.checks = vec![
        check(
            "fault happened: kill-1",
            "pid 4121 gone 3 ms after the signal",
        ),
        CheckResult {
            name: "no acknowledged write lost".into(),
            verdict: Verdict::Invalid,
            detail: "2 of 1,980 keys lost".into(),
        },
    ];
    scenario.faults = (0..5)
        .map(|i| FaultResult {
            name: format!("kill-{}", i + 1),
            kind: "kill".into(),
            summary: "SIGKILL to the coordinator on n1".into(),
            start_ns: (3_000 + i * 2_000) * MS,
            end_ns: (3_400 + i * 2_000) * MS,
            outcome: "installed".into(),
            evidence: vec![(
                "n1".into(),
                format!("/proc/{}", 4121 + i * 11),
                "gone".into(),
            )],
        })
        .collect();
    scenario.phases = (0..5)
        .flat_map(|i| {
            cutover_phases(4_000 + i * 2_000)
                .into_iter()
                .skip(2)
                .take(4)
        })
        .collect();
    scenario.stages = stages();
    scenario.actions = vec![ActionResult {
        span: span("restart-coordinator", 3_450, 3_900),
        command: "miroir router --config /etc/miroir.toml".into(),
        exit_status: 1,
        output: "state file: unexpected `migrating` <shard 7>\n```\nretrying\n".into(),
        as_expected: false,
    }];
    let mut loss = clean_loss();
    loss.counts.ok = 1_998;
    loss.counts.lost = 2;
    loss.lost = Rate {
        events: 2,
        trials: 1_980,
        low: 0.000_122,
        high: 0.003_644,
    };
    loss.anomalies = vec![lost_key(71, 9_200), lost_key(1_204, 9_950)];
    let mut last = checkpoint("final", 15_400, loss);
    scenario.availability = scenario.faults.iter().map(availability).collect();
    for kill in &mut scenario.availability {
        kill.sustained_success_after_start_us = Some(720_000);
    }
    last.explained = Some(Explained {
        predicted: 2,
        explained: 1,
        unexplained: vec![1_204],
        found_alive: vec![88],
        at_risk: None,
    });
    scenario.checkpoints = vec![last];
    scenario
}

/// A set that loses elements, as expected.
fn loses_elements() -> ScenarioResults {
    let mut scenario = scenario(21, "primary_cut_off", "acknowledged elements are lost");
    scenario.configuration = "asynchronous replicas".into();
    scenario.description = "The primary is cut off with a minority of the clients".into();
    scenario.workload = Some("set".into());
    scenario.faults = vec![FaultResult {
        name: "cut".into(),
        kind: "partition".into(),
        summary: "n1 | n2, n3".into(),
        start_ns: 4_000 * MS,
        end_ns: 9_000 * MS,
        outcome: "installed".into(),
        evidence: vec![(
            "n1".into(),
            "packets dropped by the rule".into(),
            "812".into(),
        )],
    }];
    scenario.stages = stages();
    scenario.checks = vec![check(
        "`set-full` is violated, as expected",
        "invalid: 310 lost, of 2,100 elements",
    )];
    let window = |lane: &str, name: &str, from, to, lost: Rate| WindowLoss {
        lane: lane.into(),
        name: name.into(),
        start_ns: from * MS,
        end_ns: to * MS,
        acknowledged_writes: lost.trials,
        counts: ClassCounts {
            ok: lost.trials - lost.events,
            lost: lost.events,
            ..ClassCounts::default()
        },
        lost,
    };
    let mut loss = clean_loss();
    loss.counts.ok = 1_670;
    loss.counts.lost = 310;
    loss.lost = Rate::new(310, 1_980);
    loss.stale = Rate::new(12, 1_980);
    loss.windows = vec![
        window("fault", "cut", 4_000, 9_000, Rate::new(310, 640)),
        window(
            "outside",
            "before the first fault",
            0,
            4_000,
            Rate::new(0, 700),
        ),
        window(
            "outside",
            "after the last fault",
            9_000,
            15_000,
            Rate::new(0, 640),
        ),
    ];
    loss.anomalies = vec![Anomaly {
        explanation: "acknowledged at 4.210 s, and not in the reads called last".into(),
        ..lost_key(3017, 4_208)
    }];
    loss.anomalies_omitted = 309;
    scenario.checkpoints = vec![checkpoint("final", 15_400, loss)];
    let model = |model: &str, expected: &str, verdict, reason: &str| ModelResult {
        model: model.into(),
        expected: expected.into(),
        verdict,
        reason: reason.into(),
        judged_operations: 2_143,
        method: "the runs of reads that have an element".into(),
        truncated: None,
        findings: vec![],
        findings_omitted: 0,
        page: format!("primary_cut_off/models/{model}.html"),
    };
    let holds = model(
        "availability",
        "holds",
        Verdict::Valid,
        "every function succeeded",
    );
    let mut violated = model(
        "set-full",
        "violated",
        Verdict::Invalid,
        "310 lost, of 2,100 elements",
    );
    violated.truncated = Some("its writer was killed after event 4,286".into());
    violated.findings = vec![ModelFinding {
        about: "lost".into(),
        reason: "310 elements known to be in the set, and gone".into(),
        lines: vec!["3017: known at event 812, absent from the read called at event 4280".into()],
        drawing: Some("primary_cut_off/models/set-full-1.svg".into()),
    }];
    violated.findings_omitted = 1;
    scenario.models = vec![holds, violated];
    scenario.client_errors = vec![ClientError {
        error: "time-out".into(),
        effect: "maybe".into(),
        about: "the request was sent and not answered".into(),
        times: 41,
    }];
    scenario
}
