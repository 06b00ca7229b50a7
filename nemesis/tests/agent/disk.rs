//! Disks of a node's own, power loss and lack of space on them.

use std::fs;

use nix::sys::signal::Signal;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::fault::local::LocalFault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::{Notice, Reply, RequestBody, Service, ServiceState};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually};
use crate::service::{start, status};

/// The node's disk.
fn dir(node: &Node) -> String {
    format!("{}/disk", node.state())
}

fn make_disk(agent: &mut Channel, path: &str) -> Result<Reply, String> {
    agent.ask(RequestBody::Disk {
        path: path.into(),
        size_mib: 16,
    })
}

/// A service that writes `synced`, syncs it, writes `unsynced`, says so in its log and waits.
fn writer(node: &Node) -> Service {
    let script = "if [ -e synced ]; then echo again; else \
                  echo kept > synced; sync synced .; echo lost > unsynced; echo ready; fi; \
                  while :; do sleep 1; done";
    Service {
        name: "web".into(),
        argv: ["sh", "-c", script].map(str::to_owned).into(),
        env: Default::default(),
        dir: format!("{}/data", dir(node)),
        log: format!("{}/web.log", node.state()),
    }
}

fn log(node: &Node) -> String {
    fs::read_to_string(format!("{}/web.log", node.state())).unwrap_or_default()
}

/// An agent with a disk and a writer that has written.
fn written(node: &Node) -> Channel {
    let mut agent = Channel::greet(node, LONG_LEASE_MS);
    assert_eq!(make_disk(&mut agent, &dir(node)), Ok(Reply::Done));
    start(&mut agent, &writer(node));
    eventually("the service has written", || log(node) == "ready\n");
    agent
}

fn power_loss(node: &Node) -> NodeFault {
    NodeFault::PowerLoss {
        service: "web".into(),
        dir: dir(node),
    }
}

/// What a command in the node prints; `None` if it fails.
fn printed(node: &Node, arguments: &[&str]) -> Option<String> {
    let output = node.run(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then_some(text)
}

fn file(node: &Node, name: &str) -> Option<String> {
    printed(node, &["cat", &format!("{}/data/{name}", dir(node))])
}

fn can_write(node: &Node) -> bool {
    printed(node, &["touch", &format!("{}/probe", dir(node))]).is_some()
}

/// Loop devices of the machine that hold an image of this node.
fn loop_devices(node: &Node) -> Vec<String> {
    fs::read_dir("/sys/block")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("loop/backing_file")).ok())
        .filter(|image| image.contains(node.state()))
        .collect()
}

fn stop_all(agent: &mut Channel) {
    let all = RequestBody::StopAll { timeout_ms: 20_000 };
    assert_eq!(agent.ask(all), Ok(Reply::Done));
}

/// Asserts that no disk is left: no mount, no loop device, no image, no record.
fn assert_gone(node: &Node) {
    let mounts = printed(node, &["cat", "/proc/self/mountinfo"]).unwrap();
    assert!(!mounts.contains(&dir(node)), "{mounts}");
    eventually("the loop device is free", || loop_devices(node).is_empty());
    let left = fs::read_dir(node.home.path().join("disks"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "no image and no record");
    assert_eq!(node.agent("leftovers").0, 0);
}

#[test]
fn a_disk_is_an_empty_file_system_of_the_size_asked_for_and_goes_with_all_services() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    assert_eq!(make_disk(&mut agent, &dir(&node)), Ok(Reply::Done));
    assert_eq!(printed(&node, &["ls", "-A", &dir(&node)]).unwrap(), "");
    let kind = printed(&node, &["stat", "-f", "-c", "%T", &dir(&node)]);
    assert_eq!(kind.unwrap(), "ext2/ext3\n");
    assert_eq!(loop_devices(&node).len(), 1);
    let (code, left) = node.agent("leftovers");
    assert_eq!(
        (code, left[0]["remains"][0].as_str().unwrap()),
        (1, format!("disk {}", dir(&node)).as_str())
    );
    stop_all(&mut agent);
    assert_gone(&node);
    assert!(!fs::exists(dir(&node)).unwrap(), "its directory goes, too");
}

#[test]
fn a_disk_where_one_is_or_files_are_or_nowhere_is_refused_and_changes_nothing() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    make_disk(&mut agent, &dir(&node)).unwrap();
    fs::create_dir(node.home.path().join("used")).unwrap();
    fs::write(node.home.path().join("used/file"), "x").unwrap();
    let used = format!("{}/used", node.state());
    for (path, why) in [
        (dir(&node).as_str(), "a mount point already"),
        (&used, "is not empty"),
        (node.state(), "the agent's own state"),
        ("relative", "not an absolute path"),
        ("/a/../b", "not an absolute path"),
    ] {
        let refused = make_disk(&mut agent, path).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    let small = agent.ask(RequestBody::Disk {
        path: used,
        size_mib: 1,
    });
    assert!(small.unwrap_err().contains("1 MiB is not within"));
    assert_eq!(loop_devices(&node).len(), 1);
    stop_all(&mut agent);
    assert_gone(&node);
}

#[test]
fn a_disk_in_use_outlives_the_channel_and_a_heal_and_one_not_in_use_goes_with_either() {
    let node = Node::new(1);
    let agent = written(&node);
    assert!(agent.close().success());
    assert_eq!(node.agent("heal").0, 0);
    assert_eq!(file(&node, "synced").unwrap(), "kept\n");
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    assert!(matches!(status(&mut agent), ServiceState::Running { .. }));
    agent
        .ask(RequestBody::Stop {
            service: "web".into(),
            timeout_ms: 20_000,
        })
        .unwrap();
    assert!(agent.close().success());
    assert_gone(&node);
}

#[test]
fn the_death_of_agent_and_watchdog_leaves_a_disk_that_heal_removes() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    make_disk(&mut agent, &dir(&node)).unwrap();
    agent.signal(Signal::SIGKILL);
    drop(agent);
    assert_eq!(node.agent("leftovers").0, 1);
    assert_eq!(node.agent("heal").0, 0);
    assert_gone(&node);
}

#[test]
fn a_node_that_dies_with_its_disk_mounted_leaves_no_loop_device() {
    let node = Node::new(1);
    let mut agent = written(&node);
    agent.install("cut", power_loss(&node));
    assert_eq!(loop_devices(&node).len(), 1);
    let state = node.state().to_owned();
    drop(agent);
    let _home = node.end();
    eventually("the loop device is free", || {
        fs::read_dir("/sys/block").unwrap().all(|entry| {
            let backing = entry.unwrap().path().join("loop/backing_file");
            !fs::read_to_string(backing).is_ok_and(|image| image.contains(&state))
        })
    });
}

#[test]
fn a_power_loss_forgets_what_was_not_synced_and_ends_with_the_service_on_what_is_left() {
    let node = Node::new(1);
    let mut agent = written(&node);
    assert_eq!(file(&node, "unsynced").unwrap(), "lost\n");
    let watch = RequestBody::Watch {
        watch: 7,
        path: format!("{}/data/events.log", dir(&node)),
        pattern: ".".into(),
    };
    agent.ask(watch).unwrap();
    let events = format!("{}/data/events.log", dir(&node));
    let append = |line: &str| {
        let script = format!("echo {line} >> {events}; sync {events}");
        assert!(printed(&node, &["sh", "-c", &script]).is_some());
    };
    append("one");
    assert!(matches!(agent.notice(), Notice::Line { line, .. } if line == "one"));

    let installed = agent.install("cut", power_loss(&node));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let probe = format!("a new file on {}", dir(&node));
    assert!(seen(&installed, &probe).contains("Input/output error"));
    assert!(matches!(status(&mut agent), ServiceState::Dead { .. }));
    assert!(!can_write(&node));
    let (_, left) = node.agent("leftovers");
    assert_eq!(
        left[0]["remains"][1],
        format!("disk {} is down", dir(&node))
    );

    let ended = agent.undo("cut");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    let disk = format!("disk {} after undo", dir(&node));
    assert!(seen(&ended, &disk).ends_with("0 are left"), "{ended:?}");
    eventually("the service is there again", || {
        log(&node) == "ready\nagain\n"
    });
    assert_eq!(file(&node, "synced").unwrap(), "kept\n");
    assert_eq!(file(&node, "unsynced").unwrap_or_default(), "");
    assert!(can_write(&node));
    append("two");
    let next = agent.notice();
    assert!(
        matches!(&next, Notice::Line { line, .. } if line == "two"),
        "no line is reported twice: {next:?}"
    );
    stop_all(&mut agent);
    assert_gone(&node);
}

#[test]
fn a_power_loss_takes_every_service_on_the_disk_and_brings_each_back() {
    let node = Node::new(1);
    let mut agent = written(&node);
    let beside = Service {
        name: "beside".into(),
        argv: ["sh", "-c", "echo up; while :; do sleep 1; done"]
            .map(str::to_owned)
            .into(),
        env: Default::default(),
        dir: format!("{}/beside", dir(&node)),
        log: format!("{}/beside.log", node.state()),
    };
    let log_beside = beside.log.clone();
    start(&mut agent, &beside);
    let ups = || fs::read_to_string(&log_beside).unwrap_or_default();
    eventually("the other service runs", || ups() == "up\n");

    let installed = agent.install("cut", power_loss(&node));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let ended = agent.undo("cut");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    eventually("both services are there again", || {
        log(&node) == "ready\nagain\n" && ups() == "up\nup\n"
    });
    stop_all(&mut agent);
    assert_gone(&node);
}

#[test]
fn a_power_loss_does_not_bring_back_what_an_earlier_fault_had_taken() {
    let node = Node::new(1);
    let mut agent = written(&node);
    let inodes = || NodeFault::Local {
        act: LocalFault::InodesFull { dir: dir(&node) },
    };
    let space = || NodeFault::DiskFull {
        dir: dir(&node),
        leave_bytes: 0,
    };
    for (name, fault) in [("inodes", inodes()), ("space", space())] {
        assert_eq!(agent.install(name, fault).outcome, Outcome::Installed);
        // On disk, so that only what undoes it could be forgotten.
        assert!(printed(&node, &["sync", "-f", &dir(&node)]).is_some());
        agent.undo(name);
        agent.install("cut", power_loss(&node));
        assert_eq!(agent.undo("cut").outcome, Outcome::Installed);
        assert!(can_write(&node), "after {name}");
    }
    stop_all(&mut agent);
    assert_gone(&node);
}

#[test]
fn a_noop_power_loss_is_skipped_and_the_service_goes_on() {
    let node = Node::new(1);
    let mut agent = written(&node);
    let installed = agent.install_noop("cut", power_loss(&node));
    assert_eq!(installed.outcome, Outcome::Skipped);
    assert_eq!(
        seen(&installed, &format!("a new file on {}", dir(&node))),
        "written"
    );
    assert_eq!(agent.undo("cut").outcome, Outcome::Skipped);
    assert_eq!(log(&node), "ready\n");
    assert_eq!(file(&node, "unsynced").unwrap(), "lost\n");
    stop_all(&mut agent);
    assert_gone(&node);
}

#[test]
fn when_the_agent_is_killed_the_watchdog_mounts_the_disk_and_starts_the_service() {
    let node = Node::new(1);
    let mut agent = written(&node);
    agent.install("cut", power_loss(&node));
    agent.signal(Signal::SIGKILL);
    eventually("the service is there again", || {
        log(&node) == "ready\nagain\n"
    });
    eventually("the watchdog goes", || node.watchdogs().is_empty());
    assert!(can_write(&node));
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    stop_all(&mut agent);
    assert_gone(&node);
}

#[test]
fn disk_faults_without_a_disk_are_refused() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    for order in [
        power_loss(&node),
        NodeFault::DiskFull {
            dir: "/tmp".into(),
            leave_bytes: 0,
        },
    ] {
        let prepare = RequestBody::Prepare {
            fault: "f".into(),
            order,
            noop: false,
        };
        let refused = agent.ask(prepare).unwrap_err();
        assert!(refused.contains("no disk of this node's own"), "{refused}");
    }
    assert_eq!(node.agent("leftovers").0, 0);
}

#[test]
fn a_full_disk_takes_nothing_but_what_was_left_and_ends_with_space_again() {
    let node = Node::new(1);
    let mut agent = written(&node);
    let write = |kib: u32| {
        let target = format!("of={}/big", dir(&node));
        let count = format!("count={kib}");
        let written = printed(&node, &["dd", "if=/dev/zero", &target, "bs=1024", &count]);
        let _ = printed(&node, &["rm", "-f", &format!("{}/big", dir(&node))]);
        written.is_some()
    };
    assert!(write(4000));
    let full = |leave_bytes| NodeFault::DiskFull {
        dir: dir(&node),
        leave_bytes,
    };
    let installed = agent.install("full", full(0));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    assert_eq!(
        seen(&installed, &format!("bytes free on {} after", dir(&node))),
        "0"
    );
    assert!(!write(64));
    let ended = agent.undo("full");
    assert_eq!(ended.outcome, Outcome::Installed);
    assert!(write(4000));

    let installed = agent.install("nearly", full(1 << 20));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    assert!(write(512));
    assert!(!write(4000));
    agent.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || node.watchdogs().is_empty());
    assert!(write(4000));
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    stop_all(&mut agent);
    assert_gone(&node);
}

#[test]
fn a_noop_full_disk_is_skipped() {
    let node = Node::new(1);
    let mut agent = written(&node);
    let order = NodeFault::DiskFull {
        dir: dir(&node),
        leave_bytes: 0,
    };
    let installed = agent.install_noop("full", order);
    assert_eq!(installed.outcome, Outcome::Skipped, "{installed:?}");
    assert_eq!(agent.undo("full").outcome, Outcome::Skipped);
    stop_all(&mut agent);
    assert_gone(&node);
}
