//! The scenarios of the suite `cutover` hold on real nodes, with real faults. The ones with many writes are left to
//! `shakedown run cutover`.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use std::fs;

use run::{in_words, run, scratch};
use shakedown_reports::results::{ScenarioResults, Verdict};

/// Runs a scenario; fails unless it is valid with everything a person is promised.
fn holds(name: &str, seed: &str) -> ScenarioResults {
    let out = scratch();
    let ended = run(&[
        "run",
        name,
        "--seed",
        seed,
        "--out",
        &out.path().display().to_string(),
    ]);
    let results = ended.results();
    let scenario = run::scenario(&results, name).clone();

    assert_eq!(
        scenario.verdict,
        Verdict::Valid,
        "{}\n{}",
        in_words(&scenario),
        ended.said()
    );
    ended.expect(0);
    assert_eq!(results.verdict, Verdict::Valid);
    let report = fs::read_to_string(ended.run_dir().join("chaos_testing_report.md")).unwrap();
    assert!(report.contains(name), "{report}");
    let plot = ended.run_dir().join(format!("plots/{name}.svg"));
    assert!(
        fs::read_to_string(&plot).unwrap().contains("<svg"),
        "{}",
        plot.display()
    );
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .arg("check")
        .arg(ended.run_dir())
        .output()
        .unwrap();
    assert_eq!(
        checked.status.code(),
        Some(0),
        "a stored run is judged as the run itself: {}",
        String::from_utf8_lossy(&checked.stdout)
    );
    for fault in &scenario.faults {
        assert_eq!(fault.outcome, "installed", "{}", fault.name);
        assert!(!fault.evidence.is_empty(), "no evidence for {}", fault.name);
    }
    let last = scenario.deciding_checkpoint().unwrap();
    assert_eq!(last.name, "final");
    assert_eq!(last.loss.incomplete_sources, Vec::new());
    scenario
}

#[test]
fn nothing_is_lost_with_anti_entropy_and_delta_pass() {
    let scenario = holds("cutover_chaos_with_anti_entropy", "1");
    assert_eq!(scenario.deciding_checkpoint().unwrap().loss.counts.lost, 0);
    assert!(
        scenario.write_pause.is_some(),
        "writes wait for a cutover, and it is measured"
    );
}

#[test]
fn what_a_skipped_delta_pass_loses_anti_entropy_brings_back() {
    let scenario = holds("cutover_chaos_skip_delta_with_ae", "2");
    let lost: Vec<u64> = scenario
        .checkpoints
        .iter()
        .map(|c| c.loss.counts.lost)
        .collect();
    assert!(matches!(lost[..], [before, 0] if before > 0), "{lost:?}");
}

#[test]
fn nothing_is_lost_without_anti_entropy_if_there_is_a_delta_pass() {
    let scenario = holds("cutover_chaos_no_ae_with_delta", "3");
    assert_eq!(scenario.deciding_checkpoint().unwrap().loss.counts.lost, 0);
}

#[test]
fn a_migration_without_any_safety_is_refused_and_changes_nothing() {
    let scenario = holds("cutover_chaos_no_ae_no_delta_blocked", "4");
    assert!(scenario.phases.is_empty(), "{:?}", scenario.phases);
    let refused = scenario
        .actions
        .iter()
        .filter(|a| a.span.name.starts_with("refused"));
    assert_eq!(
        refused
            .filter(|a| a.as_expected && a.exit_status != 0)
            .count(),
        2
    );
}

#[test]
fn without_any_safety_documents_are_lost_and_each_is_accounted_for() {
    let scenario = holds("cutover_chaos_loss_rate_no_ae_no_delta", "11");
    let last = scenario.deciding_checkpoint().unwrap();
    assert!(last.loss.counts.lost > 0, "{}", in_words(&scenario));
    let explained = last
        .explained
        .as_ref()
        .expect("losses are compared with the system's records");
    assert!(
        explained.explained > 0 && explained.explained == explained.predicted,
        "{explained:?}"
    );
    assert_eq!(
        (&explained.unexplained, &explained.found_alive),
        (&Vec::new(), &Vec::new())
    );
    let refusal = scenario
        .actions
        .iter()
        .find(|a| a.span.name == "refused-by-configuration")
        .unwrap();
    assert!(
        refusal.output.contains("UnsafeCutoverNoAntiEntropy"),
        "{refusal:?}"
    );
}

#[test]
fn nothing_is_lost_when_the_new_node_is_cut_off_as_cutover_begins() {
    let scenario = holds("cutover_chaos_network_partition_new_node", "15");
    let cut = &scenario.faults[0];
    assert_eq!(cut.kind, "partition");
    let probed = |when: &str| {
        let (mut main, mut other) = (0, 0);
        for (_, what, _) in cut
            .evidence
            .iter()
            .filter(|(_, what, _)| what.ends_with(when))
        {
            match what.contains("by the other IP version") {
                true => other += 1,
                false => main += 1,
            }
        }
        (main, other)
    };
    for when in ["while in force", "after the end"] {
        assert_eq!(
            probed(when),
            (6, 6),
            "both directions of three pairs, by IPv4 and IPv6: {:?}",
            cut.evidence
        );
    }
}

#[test]
fn nothing_is_lost_when_the_coordinator_is_killed_in_every_phase() {
    let scenario = holds("cutover_chaos_coordinator_crash_recovery", "19");
    assert_eq!(
        scenario.faults.iter().filter(|f| f.kind == "kill").count(),
        7
    );
    assert_eq!(scenario.deciding_checkpoint().unwrap().loss.counts.lost, 0);
}

#[test]
fn nothing_is_lost_in_bursts_at_every_phase_transition() {
    holds("cutover_chaos_boundary_burst", "5");
}

#[test]
fn every_gate_refuses_every_unsafe_combination_and_lets_the_safe_ones_pass() {
    let scenario = holds("cutover_chaos_validation_gates", "8");
    let refused = scenario
        .actions
        .iter()
        .filter(|a| a.as_expected && a.exit_status != 0);
    assert_eq!(refused.count(), 7, "{:?}", scenario.actions);
}

#[test]
fn nothing_is_lost_at_the_very_instant_of_cutover() {
    holds("cutover_chaos_tight_loop_boundary", "9");
}

#[test]
fn nothing_is_lost_when_clients_never_pause() {
    holds("cutover_chaos_concurrent_migration_writes", "12");
}

#[test]
fn nothing_is_lost_when_two_old_owners_give_shards_away() {
    holds("cutover_chaos_three_node_cluster", "13");
    holds("cutover_chaos_three_node_no_ae_with_delta", "14");
}

#[test]
fn the_smoke_suite_is_valid() {
    let out = scratch();
    let ended = run(&[
        "run",
        "smoke",
        "--seed",
        "1",
        "--out",
        &out.path().display().to_string(),
    ]);
    for scenario in &ended.results().scenarios {
        assert_eq!(scenario.verdict, Verdict::Valid, "{}", in_words(scenario));
    }
    ended.expect(0);
}
