//! What `shakedown run` refuses before it touches anything, and what a seed decides.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use std::collections::BTreeMap;
use std::fs;

use local_nodes::cluster;
use run::{on_node, refused, run, runs, scenario_file, scratch};
use shakedown::scenario::Catalogue;

const PLAIN: &str = include_str!("run/plain.toml");
const SCENARIO: &str = "cutover_chaos_with_anti_entropy";

#[test]
fn what_cannot_be_run_is_refused_with_its_place_or_a_hint_and_nothing_is_written() {
    let files = scratch();
    let out = runs(&files);
    let misspelt = scenario_file(
        &files,
        "misspelt.toml",
        &PLAIN.replace("count = 400", "cuont = 400"),
    );
    // The first load's count: its line and column.
    let line = 1 + PLAIN.lines().position(|l| l == "count = 400").unwrap();
    refused(
        &["run", &misspelt, "--out", &out],
        &[&format!("{misspelt}:{line}:1: "), "cuont", "expected"],
    );
    let cut_off = scenario_file(&files, "cut_off.toml", "name = \"x");
    refused(
        &["run", &cut_off, "--out", &out],
        &[&format!("{cut_off}:1:")],
    );
    refused(
        &["run", "/nonexistent/scenario.toml", "--out", &out],
        &["/nonexistent/scenario.toml", "No such file"],
    );
    refused(
        &["run", "cutovr_chaos", "--out", &out],
        &["cutovr_chaos", "shakedown list"],
    );
    refused(
        &["run", "cutove", "--out", &out],
        &["did you mean `cutover`?"],
    );
    refused(
        &[
            "run",
            SCENARIO,
            "--cluster",
            "no-such-cluster",
            "--out",
            &out,
        ],
        &["no-such-cluster", "shakedown cluster list"],
    );
    refused(
        &["run", SCENARIO, "--nodes", "n1,,n2", "--out", &out],
        &["error: "],
    );
    refused(
        &[
            "run",
            SCENARIO,
            "--binary",
            "miroir=/nonexistent/miroir",
            "--out",
            &out,
        ],
        &["/nonexistent/miroir"],
    );
    refused(
        &["run", SCENARIO, "--lease-ms", "5", "--out", &out],
        &["--lease-ms"],
    );
    refused(&["run"], &["WHAT"]);
    let other = scenario_file(&files, "other.json", "{}");
    refused(
        &["run", &other, "--out", &out],
        &["other.json", "not a plan"],
    );
    refused(&["heal"], &["--nodes"]);
    refused(
        &["check", &files.path().display().to_string()],
        &["no `history` directory"],
    );
    assert!(!fs::exists(&out).unwrap(), "a refused run wrote something");
}

#[test]
fn a_dry_run_touches_nothing_and_prints_a_plan_that_can_be_run() {
    let files = scratch();
    let out = runs(&files);
    let arguments = [
        "run",
        SCENARIO,
        "--seed",
        "77",
        "--env",
        "RUST_LOG=debug",
        "--dry-run",
        "--out",
        &out,
    ];
    let printed = run(&arguments);
    printed.expect(0);
    let plan: serde_json::Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(
        (plan["scenario"].as_str(), plan["seed"].as_u64()),
        (Some(SCENARIO), Some(77))
    );
    let stored = scenario_file(&files, "plan.json", &printed.stdout);
    let again = run(&["run", &stored, "--dry-run", "--out", &out]);
    again.expect(0);
    assert_eq!(again.stdout, printed.stdout);
    let suite = run(&["run", "cutover", "--seed", "1", "--dry-run", "--out", &out]);
    suite.expect(0);
    let catalogue = Catalogue::embedded().unwrap();
    assert_eq!(
        suite.stdout.matches("\"scenario\": ").count(),
        catalogue.suites()["cutover"].len(),
        "{}",
        suite.said()
    );
    assert!(!fs::exists(&out).unwrap(), "a dry run wrote something");
}

#[test]
fn nodes_that_cannot_be_used_are_named_with_a_remedy_and_left_untouched() {
    let nodes = cluster(2);
    let info = nodes.info().clone();
    let files = scratch();
    let out = runs(&files);
    let plain = scenario_file(&files, "plain.toml", PLAIN);
    refused(
        &["run", &plain, "--cluster", &info.name, "--out", &out],
        &["needs 4 nodes", "2 given", "--local 4"],
    );
    assert!(!fs::exists(&out).unwrap(), "a refused run wrote something");

    let two = PLAIN
        .replace(
            "{ role = \"store\", nodes = 2 }",
            "{ role = \"store\", nodes = 1 }",
        )
        .replace("    { role = \"joining\", nodes = 1 },\n", "");
    let two = scenario_file(&files, "two.toml", &two);
    let access = info.access();
    let known_hosts = access.known_hosts.display().to_string();
    let hosts: Vec<String> = info.nodes().iter().map(|n| n.host.clone()).collect();
    let list = hosts.join(",");

    let keygen = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(files.path().join("stranger"))
        .status();
    assert!(keygen.unwrap().success());
    let stranger = files.path().join("stranger").display().to_string();
    let over_ssh = |nodes: &str, key: &str| {
        let whom = ["run", &two, "--nodes", nodes, "--user", "root"];
        let how = ["--key", key, "--known-hosts", &known_hosts, "--out", &out];
        run(&[whom, how].concat())
    };
    let wrong_key = over_ssh(&list, &stranger);
    wrong_key.expect(3);
    assert!(
        wrong_key.said().contains(&hosts[0]) && wrong_key.said().contains("key"),
        "{}",
        wrong_key.said()
    );

    // An address of the cluster's own subnet that no node has.
    let nobody = hosts[0].rsplit_once('.').unwrap().0.to_owned() + ".200";
    let key = access.key.unwrap().display().to_string();
    let list = format!("{},{nobody}", hosts[0]);
    let unreachable = over_ssh(&list, &key);
    unreachable.expect(3);
    assert!(
        unreachable.said().contains(&nobody),
        "{}",
        unreachable.said()
    );
    assert!(
        !fs::exists(&out).unwrap(),
        "a run that could not begin wrote something"
    );
    for node in ["n1", "n2"] {
        on_node(&info.name, node, "pgrep miroir").expect(1);
        on_node(
            &info.name,
            node,
            "ls /var/lib/shakedown/deploy/* 2>/dev/null",
        )
        .expect(2);
    }
    nodes.down().unwrap();
}

#[test]
fn a_missing_program_is_named_with_how_to_build_it() {
    let files = scratch();
    let alone = files.path().join("shakedown");
    fs::copy(run::shakedown(), &alone).unwrap();
    let mut command = std::process::Command::new(&alone);
    command
        .args(["run", SCENARIO, "--out"])
        .arg(files.path().join("runs"));
    let ended = run::Running::command(command).ended();
    assert!(matches!(ended.code, Some(3 | 64)), "{}", ended.said());
    assert!(
        ended.stderr.contains("shakedown-agent") && ended.stderr.contains("make build"),
        "{}",
        ended.said()
    );

    fs::copy(
        run::shakedown().with_file_name("shakedown-agent"),
        alone.with_file_name("shakedown-agent"),
    )
    .unwrap();
    let mut command = std::process::Command::new(&alone);
    command
        .args(["run", SCENARIO, "--out"])
        .arg(files.path().join("runs"));
    let ended = run::Running::command(command).ended();
    assert!(matches!(ended.code, Some(3 | 64)), "{}", ended.said());
    assert!(
        ended.said().contains("`miroir`") && ended.said().contains("make build"),
        "{}",
        ended.said()
    );
}

/// What each process asked for, in its order: `(f, key, value)`.
type Offered = BTreeMap<i64, Vec<String>>;

fn offered(cluster: &str, seed: &str) -> Offered {
    let files = scratch();
    let plain = scenario_file(&files, "plain.toml", PLAIN);
    let ended = run(&[
        "run",
        &plain,
        "--cluster",
        cluster,
        "--seed",
        seed,
        "--out",
        &files.path().display().to_string(),
    ]);
    ended.expect(0);
    let history = ended.run_dir().join("plain/history").display().to_string();
    let exported = run(&["export", &history]);
    exported.expect(0);
    let mut offered = Offered::new();
    for line in exported.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["kind"] == "invoke" && event["process"].as_i64().unwrap() >= 0 {
            let said = format!("{} {} {}", event["f"], event["key"], event["value"]);
            offered
                .entry(event["process"].as_i64().unwrap())
                .or_default()
                .push(said);
        }
    }
    assert_eq!(
        offered.values().map(Vec::len).sum::<usize>(),
        800,
        "{}",
        exported.said()
    );
    offered
}

#[test]
fn the_same_seed_offers_the_same_operations_and_another_seed_offers_others() {
    let nodes = cluster(4);
    let name = nodes.info().name.clone();
    let first = offered(&name, "21");
    assert_eq!(first, offered(&name, "21"));
    assert_ne!(first, offered(&name, "22"));
    nodes.down().unwrap();
}
