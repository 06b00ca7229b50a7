//! Negative controls: what must not come out as valid does not, and `invalid` is masked by nothing.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use run::{Ended, in_words, planted_miroir, run, scenario_file, scratch};
use shakedown_reports::results::Verdict;

const PLAIN: &str = include_str!("run/plain.toml");
const CRASHES: &str = "cutover_chaos_coordinator_crash_recovery";

#[test]
fn faults_replaced_by_no_ops_make_a_run_unknown_and_are_named() {
    let out = scratch();
    let scenarios = [
        "cutover_chaos_with_anti_entropy",
        "cutover_chaos_network_partition_new_node",
        CRASHES,
    ];
    let mut arguments = vec!["run"];
    arguments.extend(scenarios);
    let out_arg = out.path().display().to_string();
    arguments.extend(["--noop-faults", "--seed", "1", "--out", &out_arg]);
    let ended = run(&arguments);

    let results = ended.results();
    for name in scenarios {
        let scenario = run::scenario(&results, name);
        assert_eq!(scenario.verdict, Verdict::Unknown, "{}", in_words(scenario));
        assert_eq!(scenario.harness_error, None, "{}", in_words(scenario));
        assert!(!scenario.faults.is_empty());
        for fault in &scenario.faults {
            assert_ne!(fault.outcome, "installed", "{}", in_words(scenario));
            let named = format!("fault `{}` happened", fault.name);
            let check = scenario.checks.iter().find(|c| c.name == named).unwrap();
            assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
        }
    }
    ended.expect(2);
}

/// A run with the Miroir that has a planted bug in it, switched on by `env`.
fn run_with_planted_bug(scenarios: &[&str], env: &[&str]) -> (tempfile::TempDir, Ended) {
    let out = scratch();
    let miroir = format!("miroir={}", planted_miroir().display());
    let out_arg = out.path().display().to_string();
    let mut arguments = vec!["run"];
    arguments.extend(scenarios);
    arguments.extend(["--seed", "1", "--out", &out_arg, "--binary", &miroir]);
    arguments.extend(env.iter().flat_map(|setting| ["--env", setting]));
    let ended = run(&arguments);
    (out, ended)
}

#[test]
fn a_delta_pass_that_forgets_in_a_crash_is_caught_and_neither_unknown_nor_broken_scenarios_mask_it()
{
    let files = scratch();
    let unknown = PLAIN
        .replace("\"plain\"", "\"too_few_writes\"")
        .replace("writes_at_least = 500", "writes_at_least = 9999");
    let unknown = scenario_file(&files, "too_few_writes.toml", &unknown);
    let unsafe_settings =
        "[settings]\nanti_entropy = false\nskip_delta_pass = true\n\n[[load]]\nname = \"preload\"";
    let broken = PLAIN
        .replace("\"plain\"", "\"refuses_to_start\"")
        .replace("[[load]]\nname = \"preload\"", unsafe_settings);
    let broken = scenario_file(&files, "refuses_to_start.toml", &broken);
    let (_out, ended) = run_with_planted_bug(
        &[&unknown, CRASHES, &broken],
        &["MIROIR_BUG=delta_from_memory"],
    );

    let results = ended.results();
    let crashes = run::scenario(&results, CRASHES);
    assert_eq!(crashes.verdict, Verdict::Invalid, "{}", in_words(crashes));
    let loss = &crashes.deciding_checkpoint().unwrap().loss;
    assert!(loss.counts.lost > 0, "{}", in_words(crashes));
    assert!(
        crashes.faults.iter().all(|f| f.outcome == "installed"),
        "{}",
        in_words(crashes)
    );
    let unknown = run::scenario(&results, "too_few_writes");
    assert_eq!(
        (unknown.verdict, &unknown.harness_error),
        (Verdict::Unknown, &None),
        "{}",
        in_words(unknown)
    );
    let broken = run::scenario(&results, "refuses_to_start");
    let error = broken
        .harness_error
        .as_deref()
        .expect("the router refuses to start");
    assert!(
        error.contains("router on n1") && error.contains("UnsafeCutoverNoAntiEntropy"),
        "{error}"
    );
    assert_eq!(results.verdict, Verdict::Invalid);
    ended.expect(1);
}

#[test]
fn the_same_program_with_its_planted_bug_switched_off_is_valid() {
    let (_out, ended) = run_with_planted_bug(&[CRASHES], &[]);
    let results = ended.results();
    assert_eq!(
        results.verdict,
        Verdict::Valid,
        "{}",
        in_words(run::scenario(&results, CRASHES))
    );
    ended.expect(0);
}
