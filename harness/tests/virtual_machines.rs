//! Faults on hosts that own their kernel, which virtual machines are: `make test-vm` makes what they boot from and runs these.
//!
//! Clocks are looked at from outside, over SSH. This machine's own is never touched.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;
mod virtual_machine;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use run::{Ended, Running, in_words, scenario, scenario_file, scratch};
use serde_json::Value;
use shakedown_reports::results::Verdict;
use virtual_machine::{Machines, Watch};

/// Longer than such a machine may be without a processor.
const LEASE_MS: &str = "20000";

/// From the end of a fault, or of who holds it, to a clock that is right.
const HEALED: Duration = Duration::from_secs(90);

/// What reading a clock over SSH may be wrong by, seconds.
const NOISE: f64 = 0.5;

/// A minute of writes, with a fault on the store's clock.
fn clock_scenario(wrong: &str, seconds: u32) -> String {
    format!(
        r#"
name = "clock"
description = "The store's own clock goes wrong."
system = "miroir"
configuration = "one store"
expectation = "no acknowledged write is lost"
roles = [{{ role = "router", nodes = 1 }}, {{ role = "store", nodes = 1 }}]
expect = {{ loss = "none", writes_at_least = 10 }}
[[load]]
name = "writes"
when = {{ at = "0s" }}
until = {{ after = "wrong", delay = "2s" }}
rate = 20
processes = 2
mix = {{ insert = 1 }}
[[fault]]
name = "wrong"
when = {{ at = "2s" }}
for = "{seconds}s"
host_clock = {{ nodes = "store", {wrong} }}
"#
    )
}

/// A run of that, and what it says about itself at the end.
struct ClockRun {
    running: Running,
    _files: tempfile::TempDir,
}

fn clock_run(machines: &Machines, wrong: &str, seconds: u32, more: &[&str]) -> ClockRun {
    let files = scratch();
    let file = scenario_file(&files, "clock.toml", &clock_scenario(wrong, seconds));
    let out = files.path().join("runs").display().to_string();
    let lease = ["--allow-host-clock", "--lease-ms", LEASE_MS];
    let arguments = ["run", &file, "--seed", "1", "--out", &out];
    ClockRun {
        running: machines.shakedown(&[&arguments[..], &lease[..], more].concat()),
        _files: files,
    }
}

impl ClockRun {
    /// The outcome of its fault, with the evidence, and how the run ended.
    fn ended(self) -> (String, String, Ended) {
        let ended = self.running.ended();
        let results = ended.results();
        let found = scenario(&results, "clock");
        let fault = &found.faults[0];
        let words = format!("{}\n{:#?}", in_words(found), fault);
        println!("{words}");
        (fault.outcome.clone(), words, ended)
    }
}

/// Waits until the store's clock is ahead by what is looked for, behind if that is negative.
fn until_ahead(watch: &mut Watch, running: &mut Running, seconds: f64) {
    running.until("its clock is wrong", || watch.ahead() / seconds > 1.0);
}

/// Waits until the store's clock is as it was, and nothing is in the ledger.
fn until_right(machines: &Machines, watch: &mut Watch, usual: f64) {
    let deadline = Instant::now() + HEALED;
    loop {
        let off = watch.ahead() - usual;
        let ledger = machines.on(1, "ls /var/lib/shakedown/ledger");
        if off.abs() < NOISE && ledger.is_empty() {
            println!("right again to {off:+.3} s");
            return;
        }
        assert!(Instant::now() < deadline, "still {off:+.3} s off; {ledger}");
    }
}

/// Kills processes on the store's machine by what is on their command line. They are stopped first, so that none sees the
/// end of another.
fn kill_on_store(machines: &Machines, pattern: &str) {
    machines.on(
        1,
        &format!("all=$(pgrep -f '{pattern}') && kill -STOP $all && kill -KILL $all"),
    );
}

/// How fast the kernel lets its clocks run.
fn frequency(machines: &Machines) -> String {
    machines.on(1, "adjtimex | grep -E '^ *(-f|-t) '")
}

#[test]
#[ignore = "starts virtual machines: make test-vm"]
fn every_fault_is_to_be_had_on_such_a_host_and_its_clock_only_while_no_time_service_keeps_it() {
    let machines = Machines::start(1);
    let doctor = || {
        let ended = machines.run(&["doctor", "--json"]);
        let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
        answer[0]["found"].as_array().unwrap().clone()
    };
    let found = doctor();
    for fault in &found {
        assert_eq!(fault["available"], true, "{fault}");
    }
    let version_2 = |fault: &&Value| fault["how"].as_str().unwrap().contains("version 2");
    assert_eq!(found.iter().filter(version_2).count(), 4, "{found:#?}");

    machines.on(
        0,
        "cp /bin/bash /run/chronyd && (/run/chronyd -c 'sleep 600; true' >/dev/null 2>&1 </dev/null &)",
    );
    let found = doctor();
    let clock = found.iter().find(|fault| fault["fault"] == "host_clock");
    let why = clock.unwrap()["how"].as_str().unwrap();
    assert!(why.contains("chronyd (pid"), "{why}");
    assert!(why.contains("stop it first"), "{why}");
}

#[test]
#[ignore = "starts virtual machines: make test-vm"]
fn a_clock_jumps_and_is_right_again_whoever_dies() {
    let machines = Machines::start(2);
    let mut watch = machines.watch(1);
    let usual = watch.ahead();
    for (offset, seconds) in [("-1h", -3500.0), ("10m", 590.0)] {
        let wrong = format!("offset = \"{offset}\"");
        let mut run = clock_run(&machines, &wrong, 8, &[]);
        until_ahead(&mut watch, &mut run.running, seconds);
        let (outcome, words, ended) = run.ended();
        assert_eq!(outcome, "installed", "{words}");
        ended.expect(0);
        until_right(&machines, &mut watch, usual);
    }

    let noop = clock_run(&machines, "offset = \"1h\"", 4, &["--noop-faults"]);
    let (outcome, words, ended) = noop.ended();
    assert_eq!(outcome, "skipped", "{words}");
    ended.expect(2);
    assert!((watch.ahead() - usual).abs() < NOISE);

    let wrong = "offset = \"1h\"";
    let mut run = clock_run(&machines, wrong, 120, &[]);
    until_ahead(&mut watch, &mut run.running, 3500.0);
    run.running.signal(Signal::SIGKILL);
    until_right(&machines, &mut watch, usual);

    let mut run = clock_run(&machines, wrong, 120, &[]);
    until_ahead(&mut watch, &mut run.running, 3500.0);
    kill_on_store(&machines, "[s]hakedown-agent.* serve");
    until_right(&machines, &mut watch, usual);
    run.running.signal(Signal::SIGKILL);
}

#[test]
#[ignore = "starts virtual machines: make test-vm"]
fn clocks_run_wrong_and_are_right_again_whoever_dies() {
    let mut machines = Machines::start(2);
    let mut watch = machines.watch(1);
    let (usual, natural) = (watch.ahead(), frequency(&machines));
    for (rate, seconds) in [("1.09", 1.0), ("0.91", -1.0)] {
        let mut run = clock_run(&machines, &format!("rate = {rate}"), 25, &[]);
        until_ahead(&mut watch, &mut run.running, seconds + usual);
        let (from, started) = (watch.ahead(), Instant::now());
        std::thread::sleep(Duration::from_secs(5));
        let gained = watch.ahead() - from;
        println!(
            "rate seen from outside: {}",
            1.0 + gained / started.elapsed().as_secs_f64()
        );
        let (outcome, words, ended) = run.ended();
        assert_eq!(outcome, "installed", "{words}");
        ended.expect(0);
        until_right(&machines, &mut watch, usual);
        assert_eq!(frequency(&machines), natural);
    }

    let noop = clock_run(&machines, "rate = 1.05", 4, &["--noop-faults"]);
    let (outcome, words, ended) = noop.ended();
    assert_eq!(outcome, "skipped", "{words}");
    ended.expect(2);
    assert_eq!(frequency(&machines), natural);

    let wrong = "rate = 1.09";
    let mut run = clock_run(&machines, wrong, 120, &[]);
    until_ahead(&mut watch, &mut run.running, 1.0 + usual);
    run.running.signal(Signal::SIGKILL);
    until_right(&machines, &mut watch, usual);
    assert_eq!(frequency(&machines), natural);

    // Without the watchdog, only the next one who comes can set it right.
    let mut run = clock_run(&machines, wrong, 120, &[]);
    until_ahead(&mut watch, &mut run.running, 1.0 + usual);
    kill_on_store(&machines, "[s]hakedown-agent.* ");
    run.running.signal(Signal::SIGKILL);
    assert_ne!(frequency(&machines), natural);
    let healed = machines.run(&["heal"]);
    assert!(healed.stdout.contains("undone:"), "{}", healed.said());
    until_right(&machines, &mut watch, usual);
    assert_eq!(frequency(&machines), natural);

    // After a power cut the kernel starts with its own frequency: there is nothing to undo, and nothing is.
    let mut run = clock_run(&machines, wrong, 120, &[]);
    until_ahead(&mut watch, &mut run.running, 1.0 + usual);
    machines.power_off(1);
    run.running.signal(Signal::SIGKILL);
    machines.power_on(1);
    machines.until_up(1);
    // It took the time from its hardware's clock, which counts in seconds.
    let mut watch = machines.watch(1);
    let usual = watch.ahead();
    assert_eq!(frequency(&machines), natural);
    machines.run(&["heal"]).expect(0);
    until_right(&machines, &mut watch, usual);
    assert_eq!(frequency(&machines), natural);
}

#[test]
#[ignore = "starts virtual machines: make test-vm"]
fn every_fault_of_a_node_and_of_the_network_happens_there_and_nothing_is_left() {
    let machines = Machines::start(4);
    for (name, text) in [
        ("bad_nodes", include_str!("run/bad_nodes.toml")),
        ("bad_network", include_str!("run/bad_network.toml")),
    ] {
        let files = scratch();
        // Slow machines do little in a second: what a fault concerns must happen while it is in force.
        let longer = text.replace("for = \"500ms\"", "for = \"5s\"");
        let longer = longer.replace("for = \"1s\"", "for = \"6s\"");
        let longer = longer.replace("for = \"3s\"", "for = \"9s\"");
        let file = scenario_file(&files, &format!("{name}.toml"), &longer);
        let out = files.path().join("runs").display().to_string();
        let ended = machines.run(&[
            "run",
            &file,
            "--seed",
            "7",
            "--out",
            &out,
            "--lease-ms",
            LEASE_MS,
        ]);
        let results = ended.results();
        let found = scenario(&results, name);
        let words = format!("{}{:#?}", in_words(found), found.faults);
        for fault in &found.faults {
            println!("{name}: {} {}", fault.name, fault.outcome);
        }
        for fault in &found.faults {
            assert_eq!(fault.outcome, "installed", "{}: {words}", fault.name);
        }
        // Slow machines don't end the repair within its minute; then it is unknown.
        assert_ne!(found.verdict, Verdict::Invalid, "{words}");
    }
    let left = machines.run(&["doctor", "--leftovers"]);
    left.expect(0);
    for index in 0..4 {
        assert_eq!(machines.on(index, "nft list tables"), "");
        assert_eq!(
            machines.on(index, "ls /sys/fs/cgroup | grep shakedown || true"),
            ""
        );
    }
}

/// The store as slow machines can carry it: two copies, few documents, time for the repair, and a clock that torture may set.
fn light_store() -> String {
    let mut system = include_str!("../systems/miroir.toml").to_owned();
    for (usual, light) in [
        ("name = \"miroir\"", "name = \"light\""),
        (
            "role = \"store\", nodes = 3, disk_mib = 96",
            "role = \"store\", nodes = 2",
        ),
        (
            "settings = { replication_factor = 3,",
            "settings = { replication_factor = 2,",
        ),
        ("count = 1000, batch = 50", "count = 50, batch = 5"),
        ("processes = 32", "processes = 4"),
        (
            "mends = true\nwithin = \"60s\"",
            "mends = true\nwithin = \"300s\"",
        ),
        (
            "[torture.fault]\n",
            "[torture.fault]\nhost_clock = { host_clock = { nodes = \"store[?]\", offset = \"-1h\" } }\n",
        ),
    ] {
        assert_eq!(system.matches(usual).count(), 1, "{usual}");
        system = system.replace(usual, light);
    }
    system
}

#[test]
#[ignore = "starts virtual machines: make test-vm"]
fn torture_strikes_there_and_leaves_nothing() {
    let machines = Machines::start(3);
    let mut watches = [machines.watch(1), machines.watch(2)];
    let usual = watches.each_mut().map(Watch::ahead);
    let files = scratch();
    let system = scenario_file(&files, "light.toml", &light_store());
    let out = files.path().join("runs").display().to_string();
    let ended = machines.run(&[
        "torture",
        "--system",
        "light",
        "--system-file",
        &system,
        "--faults",
        "partition,kill,freezer,host_clock",
        "--allow-host-clock",
        "--interval",
        "6s",
        "--time",
        "48s",
        "--rate",
        "10",
        "--seed",
        "3",
        "--lease-ms",
        LEASE_MS,
        "--out",
        &out,
    ]);
    println!("{}", ended.said());
    let results = ended.results();
    let found = &results.scenarios[0];
    let words = format!("{}{:#?}", in_words(found), found.faults);
    let mut struck: Vec<&str> = found
        .faults
        .iter()
        .filter(|fault| fault.outcome == "installed")
        .map(|fault| fault.kind.as_str())
        .collect();
    assert!(struck.len() >= 5, "{words}");
    struck.sort_unstable();
    struck.dedup();
    assert_eq!(
        struck,
        ["host_clock", "kill", "partition", "pause"],
        "{words}"
    );
    ended.expect(0);
    machines.run(&["doctor", "--leftovers"]).expect(0);
    for (watch, usual) in watches.iter_mut().zip(usual) {
        assert!((watch.ahead() - usual).abs() < NOISE);
    }
}
