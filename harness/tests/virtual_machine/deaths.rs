//! Many faults are in force on such a machine when the harness dies, or the machine loses its power.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use nix::sys::signal::Signal;

use super::Machines;
use crate::run::{Running, scenario_file, scratch};
use crate::{LEASE_MS, NOISE, until_ahead, until_right};

const STRUCK: &str = include_str!("../run/struck.toml");

/// More faults, for a store with a disk of its own.
const ON_DISK: &str = r#"
[[fault]]
name = "slow-disk"
when = { after = "clock.start" }
for = "20m"
io = { nodes = "store", operations = ["sync"], latency = "20ms" }

[[fault]]
name = "full-disk"
when = { after = "clock.start" }
for = "20m"
disk_full = { nodes = "store" }
"#;

/// Prints what faults have left on a machine, from the kernel and from files, without the agent's help.
const LEFT: &str = "nft list tables | grep shakedown; ls /sys/fs/cgroup | grep shakedown; \
    grep -l '^State:.[Tt]' /proc/[0-9]*/status 2>/dev/null; pgrep -a shakedown-; grep /var/lib/shakedown /proc/mounts; \
    cd /var/lib/shakedown && find ledger accounts helpers kept disks layers -type f 2>/dev/null; true";

struct Struck {
    running: Running,
    _files: tempfile::TempDir,
}

/// Starts a scenario with so many faults.
fn start(machines: &Machines, scenario: &str) -> Struck {
    let files = scratch();
    let file = scenario_file(&files, "struck.toml", scenario);
    let out = files.path().join("runs").display().to_string();
    let options = ["--allow-host-clock", "--lease-ms", LEASE_MS, "--seed", "1"];
    let what = ["run", &file, "--out", &out];
    Struck {
        running: machines.shakedown(&[&what[..], &options].concat()),
        _files: files,
    }
}

impl Struck {
    /// Waits until so many faults are in force on the store's machine, as its ledger says.
    fn until_in_force(&mut self, machines: &Machines, faults: usize) {
        let count =
            "grep -L '\"installed\": null' /var/lib/shakedown/ledger/*.json 2>/dev/null | wc -l";
        self.running.until("its faults are in force", || {
            let found = machines.on(1, count).trim().parse::<usize>();
            found.unwrap() >= faults
        });
    }

    fn kill(self) {
        self.running.signal(Signal::SIGKILL);
        self.running.ended();
    }
}

fn nothing_left(machines: &Machines) {
    for index in 0..2 {
        assert_eq!(machines.on(index, LEFT), "");
    }
    let left = machines.run(&["doctor", "--leftovers"]);
    assert_eq!(
        left.stdout.matches("nothing left").count(),
        2,
        "{}",
        left.said()
    );
    left.expect(0);
}

#[test]
#[ignore = "starts virtual machines: make test-vm"]
fn whenever_the_harness_is_killed_nothing_is_left_on_such_a_host() {
    let machines = Machines::start(2);
    let mut watch = machines.watch(1);
    let usual = watch.ahead();
    // With the first fault, in the middle of the others', and with all.
    for faults in [1, 3, 5] {
        let mut struck = start(&machines, STRUCK);
        struck.until_in_force(&machines, faults);
        until_ahead(&mut watch, &mut struck.running, -3500.0);
        assert_ne!(machines.on(1, LEFT), "");
        struck.kill();
        until_right(&machines, &mut watch, usual);
        nothing_left(&machines);
    }
}

#[test]
#[ignore = "starts virtual machines: make test-vm"]
fn after_a_power_cut_only_files_are_left_of_any_fault_and_heal_removes_them() {
    let mut machines = Machines::start(2);
    let with_disk = STRUCK.replace(
        r#"role = "store", nodes = 1"#,
        r#"role = "store", nodes = 1, disk_mib = 64, disk_layer = true"#,
    ) + ON_DISK;
    let mut struck = start(&machines, &with_disk);
    struck.until_in_force(&machines, 7);
    machines.power_off(1);
    struck.kill();
    machines.power_on(1);
    machines.until_up(1);

    // From the hardware's clock, which nobody had set back by an hour.
    let mut watch = machines.watch(1);
    let usual = watch.ahead();
    assert!(usual.abs() < 1800.0, "{usual}");
    let left = machines.on(1, LEFT);
    println!("left after the power cut:\n{left}");
    for files in ["ledger/", "accounts/", "helpers/", "kept/", "disks/"] {
        assert!(left.contains(files), "no {files} in\n{left}");
    }
    let found = machines.run(&["doctor", "--leftovers"]);
    println!("{}", found.said());
    assert_eq!(found.code, Some(1), "{}", found.said());

    let healed = machines.run(&["heal"]);
    println!("{}", healed.said());
    healed.expect(0);
    nothing_left(&machines);
    assert!((watch.ahead() - usual).abs() < NOISE);
    machines.run(&["heal"]).expect(0);
}
