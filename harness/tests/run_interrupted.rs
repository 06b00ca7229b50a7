//! Runs that are ended early: by killing the harness, killing an agent, Ctrl-C, or a full disk.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_nodes::{cluster, traces};
use nix::sys::signal::Signal;
use run::{
    Ended, Running, fault_tables, in_words, namespaces_of, on_node, run, scenario_file, scratch,
    until_healed,
};
use shakedown_reports::results::Verdict;

const LONG_CUT: &str = include_str!("run/long_cut.toml");
const PLAIN: &str = include_str!("run/plain.toml");

/// Writes of the first load of [`LONG_CUT`].
const PRELOADED: u64 = 300;

/// What `shakedown check` says of a history, and how many acknowledged writes it finds there.
fn acknowledged(scenario: &Path) -> (Ended, u64) {
    let checked = run(&["check", &scenario.display().to_string()]);
    let before = checked.stdout.split(" writes acknowledged").next();
    let count = before.and_then(|text| text.rsplit(' ').next()?.parse().ok());
    (checked, count.unwrap_or(0))
}

/// The only scenario directory below a run directory's parent.
fn scenario_dir(out: &tempfile::TempDir, scenario: &str) -> PathBuf {
    let suite = out.path().join(scenario);
    let run = fs::read_dir(suite).unwrap().next().unwrap().unwrap();
    run.path().join(scenario)
}

#[test]
fn a_harness_killed_in_mid_partition_leaves_healed_nodes_and_a_readable_history() {
    let nodes = cluster(4);
    let info = nodes.info().clone();
    let out = scratch();
    let out_arg = out.path().display().to_string();
    let cut = scenario_file(&out, "long_cut.toml", LONG_CUT);
    let mut harness = Running::start(&[
        "run",
        &cut,
        "--cluster",
        &info.name,
        "--lease-ms",
        "5000",
        "--seed",
        "5",
        "--out",
        &out_arg,
    ]);
    harness.until("the joining node is cut off", || {
        !fault_tables(&info.name, "n4").is_empty()
    });
    harness.until("writes of the second load are on disk", || {
        acknowledged(&scenario_dir(&out, "long_cut")).1 > PRELOADED
    });
    harness.signal(Signal::SIGKILL);
    assert_eq!(harness.ended().code, None);

    until_healed(&info);
    let (checked, acknowledged) = acknowledged(&scenario_dir(&out, "long_cut"));
    checked.expect(2);
    assert!(acknowledged > PRELOADED, "{}", checked.said());
    assert!(
        checked.stdout.contains("the run ended before one was made"),
        "{}",
        checked.said()
    );
    let healed = run(&["heal", "--cluster", &info.name]);
    healed.expect(0);
    for node in ["n1", "n2", "n3", "n4"] {
        assert!(
            healed.stdout.contains(&format!("{node}: nothing to undo")),
            "{}",
            healed.said()
        );
    }

    // The killed run's services are still there; the next run takes their place.
    on_node(&info.name, "n1", "pgrep miroir").expect(0);
    let plain = scenario_file(&out, "plain.toml", PLAIN);
    let next = run(&[
        "run",
        &plain,
        "--cluster",
        &info.name,
        "--seed",
        "6",
        "--out",
        &out_arg,
    ]);
    assert_eq!(
        next.code,
        Some(0),
        "{}\n{}",
        next.said(),
        in_words(&next.results().scenarios[0])
    );
    for node in ["n1", "n2", "n3", "n4"] {
        on_node(&info.name, node, "pgrep miroir").expect(1);
        let kept = on_node(&info.name, node, "ls -A /var/lib/shakedown/deploy");
        assert_eq!(kept.stdout, "", "directories of earlier runs on {node}");
    }
    nodes.down().unwrap();
}

#[test]
fn an_agent_killed_in_mid_partition_heals_its_node_and_makes_the_run_unknown() {
    let nodes = cluster(4);
    let info = nodes.info().clone();
    let out = scratch();
    let text = LONG_CUT.replace("60s", "20s");
    let cut = scenario_file(&out, "long_cut.toml", &text);
    let mut harness = Running::start(&[
        "run",
        &cut,
        "--cluster",
        &info.name,
        "--seed",
        "5",
        "--out",
        &out.path().display().to_string(),
    ]);
    harness.until("the joining node is cut off", || {
        !fault_tables(&info.name, "n4").is_empty()
    });
    on_node(&info.name, "n4", "pkill -9 -f '[s]hakedown-agent.* serve'").expect(0);
    harness.until("its watchdog has healed it", || {
        fault_tables(&info.name, "n4").is_empty()
    });
    let ended = harness.ended();

    assert!(matches!(ended.code, Some(2 | 3)), "{}", ended.said());
    let results = ended.results();
    let scenario = run::scenario(&results, "long_cut");
    assert_eq!(scenario.verdict, Verdict::Unknown, "{}", in_words(scenario));
    let fault = &scenario.faults[0];
    assert_ne!(fault.outcome, "installed", "{fault:?}");
    assert!(
        fault
            .evidence
            .iter()
            .any(|(node, _, seen)| node == "n4" && seen.contains("agent")),
        "{fault:?}"
    );
    until_healed(&info);
    nodes.down().unwrap();
}

#[test]
fn ctrl_c_heals_reads_back_reports_and_leaves_nothing() {
    let out = scratch();
    let cut = scenario_file(&out, "long_cut.toml", LONG_CUT);
    let mut harness = Running::start(&[
        "run",
        &cut,
        "--seed",
        "5",
        "--out",
        &out.path().display().to_string(),
    ]);
    let info = harness.cluster();
    harness.until("the joining node is cut off", || {
        harness_says_cut(&info.name)
    });
    let spaces = namespaces_of(&info);
    assert!(
        !traces(&info, &spaces).is_empty(),
        "a running cluster has traces"
    );
    harness.signal(Signal::SIGINT);
    let ended = harness.ended();

    ended.expect(2);
    assert!(
        ended.stderr.contains("interrupted: healing"),
        "{}",
        ended.said()
    );
    let results = ended.results();
    assert!(results.interrupted);
    let scenario = run::scenario(&results, "long_cut");
    assert_eq!(scenario.verdict, Verdict::Unknown, "{}", in_words(scenario));
    assert_eq!(
        scenario.faults[0].outcome,
        "installed",
        "{}",
        in_words(scenario)
    );
    let last = scenario
        .deciding_checkpoint()
        .expect("what there is was read back");
    assert!(
        last.loss.acknowledged_writes >= 300 && last.loss.is_clean(),
        "{}",
        in_words(scenario)
    );
    let report = fs::read_to_string(ended.run_dir().join("chaos_testing_report.md")).unwrap();
    assert!(report.contains("INTERRUPTED"), "{report}");
    assert_eq!(traces(&info, &spaces), Vec::<String>::new());
}

/// Whether the fault is in force. The cluster may still be starting.
fn harness_says_cut(cluster: &str) -> bool {
    let listed = on_node(cluster, "n4", "nft list tables");
    listed.code == Some(0) && listed.stdout.contains("shakedown")
}

#[test]
fn a_full_disk_ends_the_run_with_the_reason_and_heals() {
    let nodes = cluster(4);
    let info = nodes.info().clone();
    let out = scratch();
    let cut = scenario_file(
        &out,
        "long_cut.toml",
        &LONG_CUT.replace("rate = 200", "rate = 400"),
    );
    let small = out.path().join("small");
    fs::create_dir(&small).unwrap();
    // In a mount namespace of its own, so that no mount can be left behind.
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "sh",
            "-c",
            r#"mount -t tmpfs -o size=128k none "$1" && shift && exec "$@""#,
            "sh",
        ])
        .arg(&small)
        .arg(run::shakedown())
        .args(["run", &cut, "--cluster", &info.name, "--seed", "5", "--out"])
        .arg(&small);
    let ended = Running::command(command).ended();

    ended.expect(3);
    assert!(
        ended.stderr.contains("No space left on device"),
        "{}",
        ended.said()
    );
    assert!(
        ended.said().contains(&small.display().to_string()),
        "{}",
        ended.said()
    );
    until_healed(&info);
    on_node(&info.name, "n1", "pgrep miroir").expect(1);
    nodes.down().unwrap();
}
