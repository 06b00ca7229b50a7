//! Faults that a node suffers by itself, as its services and files show them.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::Signal;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::fault::local::{Damage, LocalFault};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::{RequestBody, Service, ServiceState};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually};
use crate::service::{start, status};

pub(crate) fn web() -> String {
    "web".to_owned()
}

pub(crate) fn local(act: LocalFault) -> NodeFault {
    NodeFault::Local { act }
}

fn shell(node: &Node, script: &str) -> Service {
    Service {
        name: web(),
        argv: ["bash", "-c", script].map(str::to_owned).into(),
        env: BTreeMap::new(),
        dir: format!("{}/data", node.state()),
        log: format!("{}/web.log", node.state()),
    }
}

pub(crate) const TICK: &str = "echo ready; while :; do echo tick; sleep 0.02; done";

fn log(node: &Node) -> String {
    fs::read_to_string(format!("{}/web.log", node.state())).unwrap_or_default()
}

pub(crate) fn count(node: &Node, word: &str) -> usize {
    log(node).lines().filter(|line| line.contains(word)).count()
}

/// Waits until the log has the word once more than now.
pub(crate) fn again(node: &Node, word: &str) {
    let before = count(node, word);
    eventually(&format!("{word} again"), || count(node, word) > before);
}

pub(crate) fn started(node: &Node, script: &str) -> Channel {
    let mut agent = Channel::greet(node, LONG_LEASE_MS);
    start(&mut agent, &shell(node, script));
    eventually("it is ready", || count(node, "ready") == 1);
    agent
}

pub(crate) fn assert_nothing_left(node: &Node) {
    assert_eq!(node.agent("leftovers").1, serde_json::json!([]));
    assert_eq!(node.groups(), Vec::<std::path::PathBuf>::new());
    // The first process of a test's node collects no dead ones.
    let processes = node.run(&["sh", "-c", "cat /proc/[0-9]*/stat"]);
    let processes = String::from_utf8(processes.stdout).unwrap();
    let lives = |line: &str| line.contains("(shakedown-help)") && !line.contains(") Z ");
    assert!(!processes.lines().any(lives), "{processes}");
}

fn freeze() -> NodeFault {
    local(LocalFault::Freeze { service: web() })
}

#[test]
fn a_frozen_service_says_nothing_until_the_end_and_can_be_killed_meanwhile() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    again(&node, "tick");
    let installed = agent.install("freeze", freeze());
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    assert_eq!(seen(&installed, "processes"), "frozen");
    assert_eq!(node.groups().len(), 1);
    let before = log(&node);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(log(&node), before);
    assert_eq!(
        node.agent("leftovers").1[0]["remains"][0],
        "a control group holds processes"
    );
    let ended = agent.undo("freeze");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    again(&node, "tick");
    assert_nothing_left(&node);

    agent.install("freeze", freeze());
    let kill = NodeFault::Kill {
        service: web(),
        restart: true,
        signal: Default::default(),
    };
    assert_eq!(agent.install("kill", kill).outcome, Outcome::Installed);
    agent.undo("kill");
    eventually("it is ready again", || count(&node, "ready") == 2);
    agent.undo("freeze");
    assert_nothing_left(&node);
}

#[test]
fn a_stopped_service_says_nothing_until_the_end() {
    let node = Node::new(1);
    fs::create_dir(format!("{}/data", node.state())).unwrap();
    node.run(&["mkfifo", &format!("{}/data/fifo", node.state())]);
    // Without a child that may end just when it is stopped.
    let script = "exec 3<>fifo; echo ready; while :; do echo tick; read -t 0.02 -u 3; done";
    let mut agent = started(&node, script);
    let installed = agent.install("stop", NodeFault::Pause { service: web() });
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let before = count(&node, "tick");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(count(&node, "tick"), before);
    let ended = agent.undo("stop");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    again(&node, "tick");
    assert_eq!(count(&node, "ready"), 1, "it went on where it was");
    assert_nothing_left(&node);
}

#[test]
fn held_threads_do_nothing_while_they_are_held_and_go_on_at_the_end() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    let hold = |hold_ms| {
        local(LocalFault::HoldThreads {
            service: web(),
            share: 1.0,
            hold_ms,
        })
    };
    let installed = agent.install("hold", hold(60_000));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let before = log(&node);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(log(&node), before);
    assert_eq!(agent.undo("hold").outcome, Outcome::Installed);
    again(&node, "tick");
    // Held again and again, with moments between.
    agent.install("hold", hold(5));
    again(&node, "tick");
    let ended = agent.undo("hold");
    let rounds = seen(&ended, "helper process before undo");
    assert!(rounds.starts_with("held "), "{rounds}");
    assert_nothing_left(&node);
}

#[test]
fn a_crash_loop_kills_every_start_and_ends_with_the_service_running() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    let order = local(LocalFault::CrashLoop {
        service: web(),
        up_ms: 50,
        down_ms: 20,
    });
    let installed = agent.install("loop", order.clone());
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    eventually("it started often", || count(&node, "ready") > 4);
    let ended = agent.undo("loop");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    let ServiceState::Running { pid, .. } = status(&mut agent) else {
        panic!("not running: {ended:?}");
    };
    let starts = count(&node, "ready");
    again(&node, "tick");
    assert!(node.process_state(pid).is_some());
    assert!(count(&node, "ready") <= starts + 1);
    assert_nothing_left(&node);

    agent.install("loop", order);
    agent.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || node.watchdogs().is_empty());
    again(&node, "tick");
    assert_nothing_left(&node);
}

/// Processor time of a process on the node, seconds.
fn seconds(node: &Node, pid: i32) -> f64 {
    let output = node.run(&["cat", &format!("/proc/{pid}/stat")]);
    let text = String::from_utf8(output.stdout).unwrap();
    let fields: Vec<&str> = text[text.rfind(')').unwrap()..].split(' ').collect();
    (fields[12].parse::<f64>().unwrap() + fields[13].parse::<f64>().unwrap()) / 100.0
}

#[test]
fn a_service_with_a_quota_gets_that_much_of_a_processor_also_when_it_is_started_again() {
    let node = Node::new(1);
    let mut agent = started(&node, "echo ready; while :; do :; done");
    let quota = local(LocalFault::CpuQuota {
        service: web(),
        percent: 10,
    });
    let share = |agent: &mut Channel| {
        let ServiceState::Running { pid, .. } = status(agent) else {
            panic!("not running");
        };
        let (begun, before) = (std::time::Instant::now(), seconds(&node, pid));
        std::thread::sleep(std::time::Duration::from_secs(1));
        (seconds(&node, pid) - before) / begun.elapsed().as_secs_f64()
    };
    let installed = agent.install("quota", quota);
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let got = share(&mut agent);
    assert!(got < 0.2, "asked for 0.1, got {got}");
    let kill = NodeFault::Kill {
        service: web(),
        restart: true,
        signal: Default::default(),
    };
    agent.install("kill", kill);
    agent.undo("kill");
    let got = share(&mut agent);
    assert!(got < 0.2, "asked for 0.1, got {got} after a restart");
    let ended = agent.undo("quota");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    assert_nothing_left(&node);
}

#[test]
fn a_quota_that_is_never_felt_is_skipped() {
    let node = Node::new(1);
    let mut agent = started(&node, "echo ready; exec sleep 1000");
    let quota = local(LocalFault::CpuQuota {
        service: web(),
        percent: 50,
    });
    assert_eq!(agent.install("quota", quota).outcome, Outcome::Installed);
    assert_eq!(agent.undo("quota").outcome, Outcome::Skipped);
}

#[test]
fn burners_use_processors_and_a_holder_memory_until_the_end() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let burn = local(LocalFault::CpuBurn { threads: 1 });
    let hold = local(LocalFault::MemoryHold { mib: 64 });
    assert_eq!(agent.install("burn", burn).outcome, Outcome::Installed);
    let installed = agent.install("hold", hold);
    assert_eq!(installed.outcome, Outcome::Installed);
    assert_eq!(seen(&installed, "helper process"), "64 MiB taken");
    let helpers = node.run(&["pgrep", "-x", "shakedown-help"]);
    let helpers = String::from_utf8(helpers.stdout).unwrap();
    let pids: Vec<i32> = helpers.lines().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    eventually("one burns", || {
        pids.iter().any(|pid| seconds(&node, *pid) > 0.2)
    });
    let rss = |pid: &i32| {
        let status = node.run(&["grep", "VmRSS", &format!("/proc/{pid}/status")]);
        let status = String::from_utf8(status.stdout).unwrap();
        status
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert!(pids.iter().any(|pid| rss(pid) >= 64 << 10));
    agent.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || node.watchdogs().is_empty());
    assert_nothing_left(&node);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let refused = agent.ask(RequestBody::Prepare {
        fault: "hold".into(),
        order: local(LocalFault::MemoryHold { mib: 1_000_000 }),
        noop: false,
    });
    assert!(refused.unwrap_err().contains("four fifths"));
}

#[test]
fn a_service_that_asks_for_more_memory_than_it_gets_is_killed_by_the_kernel() {
    let node = Node::new(1);
    let script = "echo ready; while :; do while [ ! -e go ]; do sleep 0.02; done; rm go; \
                  head -c 83886080 /dev/zero | tail -c 83886080 | wc -c; echo end ${PIPESTATUS[1]}; done";
    let mut agent = started(&node, script);
    let go = || fs::write(format!("{}/data/go", node.state()), "").unwrap();
    let limit = LocalFault::MemoryLimit {
        service: web(),
        more_mib: 20,
    };
    assert_eq!(
        agent.install("limit", local(limit)).outcome,
        Outcome::Installed
    );
    go();
    eventually("it was killed", || log(&node).contains("end 137"));
    let ended = agent.undo("limit");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    go();
    eventually("it has enough", || log(&node).contains("83886080\nend 0"));
    assert_nothing_left(&node);
}

#[test]
fn a_service_that_may_start_no_more_processes_cannot() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    let limit = LocalFault::TaskLimit {
        service: web(),
        more: 0,
    };
    // The shell has its `sleep` most of the time; one task is then the shell's next.
    let installed = agent.install("tasks", local(limit));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let ended = agent.undo("tasks");
    let refused = seen(&ended, "times it could not start a thread or process");
    let felt = refused.parse::<u64>().unwrap() > 0;
    assert_eq!(ended.outcome == Outcome::Installed, felt, "{ended:?}");
    again(&node, "tick");
    assert_nothing_left(&node);

    // Alone until it is told to go: what it has when the limit comes would count.
    let script = "exec 3<>fifo; while [ ! -e go ]; do read -t 0.02 -u 3; done; \
                  while :; do true & true & true & wait; echo tick; done";
    node.run(&["mkfifo", &format!("{}/data/fifo", node.state())]);
    let stop = RequestBody::Stop {
        service: web(),
        timeout_ms: 20_000,
    };
    agent.ask(stop).unwrap();
    start(&mut agent, &shell(&node, script));
    let limit = LocalFault::TaskLimit {
        service: web(),
        more: 0,
    };
    agent.install("tasks", local(limit));
    fs::write(format!("{}/data/go", node.state()), "").unwrap();
    again(&node, "Resource temporarily unavailable");
    assert_eq!(agent.undo("tasks").outcome, Outcome::Installed);
    again(&node, "tick");
    assert_nothing_left(&node);
}

#[test]
fn a_service_that_may_open_no_more_files_cannot_also_when_it_is_started_again() {
    let node = Node::new(1);
    let script = "exec 3<>fifo; echo ready; while :; do if [ -e go ]; then \
                  (exec {a}</dev/null) 2>&- && echo tick || echo refused; fi; read -t 0.02 -u 3; done";
    fs::create_dir(format!("{}/data", node.state())).unwrap();
    node.run(&["mkfifo", &format!("{}/data/fifo", node.state())]);
    let mut agent = started(&node, script);
    let limit = local(LocalFault::FileLimit {
        service: web(),
        more: 0,
    });
    let installed = agent.install("files", limit);
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    // Not before the limit: what a child of the shell has open just then would count.
    fs::write(format!("{}/data/go", node.state()), "").unwrap();
    let refused = "refused";
    again(&node, refused);
    let kill = NodeFault::Kill {
        service: web(),
        restart: true,
        signal: Default::default(),
    };
    agent.install("kill", kill);
    fs::write(format!("{}/web.log", node.state()), "").unwrap();
    agent.undo("kill");
    eventually("it can't open again", || log(&node).contains(refused));
    let ended = agent.undo("files");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    again(&node, "tick");
    assert_nothing_left(&node);
}

#[test]
fn a_disk_without_inodes_takes_no_more_files_until_the_end() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let dir = format!("{}/disk", node.state());
    let disk = RequestBody::Disk {
        path: dir.clone(),
        size_mib: 16,
    };
    agent.ask(disk).unwrap();
    let full = local(LocalFault::InodesFull { dir: dir.clone() });
    let touch = || {
        node.run(&["touch", &format!("{dir}/file")])
            .status
            .success()
    };
    let installed = agent.install("inodes", full.clone());
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    assert!(!touch());
    assert_eq!(agent.undo("inodes").outcome, Outcome::Installed);
    assert!(touch());
    fs::write(format!("{}/x", node.state()), "").unwrap();
    agent.install("inodes", full);
    agent.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || node.watchdogs().is_empty());
    assert!(
        node.run(&["touch", &format!("{dir}/another")])
            .status
            .success()
    );
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let refused = agent.ask(RequestBody::Prepare {
        fault: "root".into(),
        order: local(LocalFault::InodesFull { dir: "/tmp".into() }),
        noop: false,
    });
    assert!(refused.unwrap_err().contains("no disk of this node's own"));
    let timeout_ms = 20_000;
    agent.ask(RequestBody::StopAll { timeout_ms }).unwrap();
    assert_nothing_left(&node);
}

fn all() -> Vec<LocalFault> {
    let service = web;
    vec![
        LocalFault::Freeze { service: service() },
        LocalFault::HoldThreads {
            service: service(),
            share: 1.0,
            hold_ms: 10,
        },
        LocalFault::CrashLoop {
            service: service(),
            up_ms: 10,
            down_ms: 10,
        },
        LocalFault::CpuQuota {
            service: service(),
            percent: 10,
        },
        LocalFault::CpuBurn { threads: 1 },
        LocalFault::MemoryLimit {
            service: service(),
            more_mib: 10,
        },
        LocalFault::MemoryHold { mib: 10 },
        LocalFault::TaskLimit {
            service: service(),
            more: 0,
        },
        LocalFault::FileLimit {
            service: service(),
            more: 0,
        },
        LocalFault::Corrupt {
            service: service(),
            files: ".*".into(),
            damage: Damage::Truncate { bytes: 1 },
            seed: 1,
        },
    ]
}

#[test]
fn without_effect_every_fault_is_skipped_and_so_is_one_on_a_service_that_does_not_run() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    for act in all().into_iter().filter(|act| act.service().is_some()) {
        let installed = agent.install("early", local(act.clone()));
        assert_eq!(
            installed.outcome,
            Outcome::Skipped,
            "{act:?}: {installed:?}"
        );
        assert_eq!(agent.undo("early").outcome, Outcome::Skipped, "{act:?}");
    }
    start(&mut agent, &shell(&node, TICK));
    fs::write(format!("{}/data/file", node.state()), "x").unwrap();
    for act in all() {
        let installed = agent.install_noop("noop", local(act.clone()));
        assert_eq!(
            installed.outcome,
            Outcome::Skipped,
            "{act:?}: {installed:?}"
        );
        assert_eq!(agent.undo("noop").outcome, Outcome::Skipped, "{act:?}");
    }
    again(&node, "tick");
    assert_eq!(count(&node, "ready"), 1);
    assert_eq!(
        fs::read_to_string(format!("{}/data/file", node.state())).unwrap(),
        "x"
    );
    assert_nothing_left(&node);
}

#[test]
fn when_the_agent_is_killed_the_watchdog_undoes_limits_and_lets_the_frozen_go_on() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    let faults = [
        LocalFault::CpuQuota {
            service: web(),
            percent: 50,
        },
        LocalFault::FileLimit {
            service: web(),
            more: 0,
        },
        LocalFault::HoldThreads {
            service: web(),
            share: 0.5,
            hold_ms: 10,
        },
        LocalFault::Freeze { service: web() },
    ];
    for (number, act) in faults.into_iter().enumerate() {
        let installed = agent.install(&format!("f{number}"), local(act));
        assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    }
    assert_eq!(node.groups().len(), 2);
    agent.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || node.watchdogs().is_empty());
    again(&node, "tick");
    assert_nothing_left(&node);
}
