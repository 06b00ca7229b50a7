//! Whatever ends or hangs, faults are undone.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shakedown_nemesis::fault::{KillSignal, NodeFault};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::{Notice, Reply, RequestBody, ServiceState};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually};
use crate::service::{family, start, status};

/// Long enough for two faults to be installed on a busy machine.
const SHORT_LEASE_MS: u64 = 4000;

/// An agent with one fault of each sort in place: a cut (its peer need not exist), and a paused service,
/// whose pid is returned.
fn afflicted(node: &Node, lease_ms: u64) -> (Channel, i32) {
    let mut agent = Channel::greet(node, lease_ms);
    let pid = start(&mut agent, &family(node));
    cut(&mut agent);
    assert_eq!(agent.install("pause", pause()).outcome, Outcome::Installed);
    (agent, pid)
}

fn cut(agent: &mut Channel) {
    assert_eq!(
        agent.install("cut", drop_from_a_peer()).outcome,
        Outcome::Installed
    );
}

fn drop_from_a_peer() -> NodeFault {
    NodeFault::DropFrom {
        peers: vec!["10.99.0.77".parse().unwrap()],
        clients: false,
    }
}

fn pause() -> NodeFault {
    NodeFault::Pause {
        service: "web".into(),
    }
}

fn to_install(fault: &str, order: NodeFault) -> RequestBody {
    RequestBody::Install {
        fault: fault.into(),
        order,
        noop: false,
    }
}

fn is_healed(node: &Node, pid: i32) -> bool {
    let runs = node.process_state(pid).is_some_and(|state| state != 'T');
    node.tables().is_empty() && runs && ledger(node).is_empty()
}

fn ledger(node: &Node) -> Vec<String> {
    fs::read_dir(node.home.path().join("ledger"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Kills the watchdog, then the agent: now nobody is left to heal.
fn kill_both(node: &Node, agent: Channel) {
    let watchdogs = node.watchdogs();
    assert_eq!(watchdogs.len(), 1, "one watchdog watches all faults");
    kill(Pid::from_raw(watchdogs[0]), Signal::SIGKILL).unwrap();
    eventually("the watchdog dies", || node.watchdogs().is_empty());
    agent.signal(Signal::SIGKILL);
    drop(agent);
}

#[test]
fn when_the_agent_is_killed_the_watchdog_heals_and_goes() {
    let node = Node::new(1);
    let (agent, pid) = afflicted(&node, LONG_LEASE_MS);
    assert!(!is_healed(&node, pid));
    agent.signal(Signal::SIGKILL);
    eventually("the node is healed", || is_healed(&node, pid));
    eventually("the watchdog goes", || node.watchdogs().is_empty());
}

#[test]
fn when_the_agent_is_killed_the_watchdog_starts_the_killed_service_again() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let first = start(&mut agent, &family(&node));
    let order = NodeFault::Kill {
        service: "web".into(),
        restart: true,
        signal: KillSignal::Kill,
    };
    agent.install("kill", order);
    agent.signal(Signal::SIGKILL);
    eventually("the ledger is empty", || ledger(&node).is_empty());
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let ServiceState::Running { pid, .. } = status(&mut agent) else {
        panic!("the service is not running");
    };
    assert_ne!(pid, first);
}

/// A `PATH` with an nft that takes some seconds to load rules, and a file that tells that it has begun. It goes on after
/// its parent's death.
fn with_a_slow_nft(node: &Node, seconds: u32) -> (String, PathBuf) {
    let bin = node.home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap();
    let begun = node.home.path().join("begun");
    let script = format!(
        "#!/bin/sh\n\
         PATH='{path}'\n\
         [ \"$1\" = -f ] || exec nft \"$@\"\n\
         script=$(cat)\n\
         touch '{}'\n\
         sleep {seconds}\n\
         echo \"$script\" | nft -f -\n",
        begun.display()
    );
    fs::write(bin.join("nft"), script).unwrap();
    fs::set_permissions(bin.join("nft"), fs::Permissions::from_mode(0o755)).unwrap();
    (format!("{}:{path}", bin.display()), begun)
}

#[test]
fn an_agent_killed_while_nft_loads_its_rules_leaves_none_behind() {
    let node = Node::new(1);
    let (path, begun) = with_a_slow_nft(&node, 1);
    let mut agent = Channel::open_with_path(&node, &path);
    agent.hello(LONG_LEASE_MS, &[]);
    agent.send(to_install("cut", drop_from_a_peer()));
    eventually("nft begins", || begun.exists());
    agent.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || node.watchdogs().is_empty());
    // Did the watchdog not end nft, the rules would come only now.
    std::thread::sleep(Duration::from_secs(2));
    assert!(ledger(&node).is_empty());
    assert_eq!(node.tables(), [""; 0]);
}

#[test]
fn an_agent_that_is_busy_for_longer_than_its_lease_hears_the_harness_all_the_same() {
    let node = Node::new(1);
    let (path, begun) = with_a_slow_nft(&node, 10);
    let mut agent = Channel::open_with_path(&node, &path);
    agent.hello(4000, &[]);
    let cut = agent.send(to_install("cut", drop_from_a_peer()));
    eventually("nft begins", || begun.exists());
    // Each ping is answered before the fault is in place, and the lease goes on.
    let mut pings = 0;
    let installed = loop {
        let ping = agent.send(RequestBody::Ping);
        let (id, reply) = agent.next_reply();
        if id == cut {
            assert_eq!(agent.next_reply(), (ping, Ok(Reply::Done)));
            break reply;
        }
        assert_eq!((id, reply), (ping, Ok(Reply::Done)));
        pings += 1;
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(pings > 1, "no ping was answered while nft was loading");
    let Ok(Reply::Fault(outcome)) = installed else {
        panic!("{installed:?}");
    };
    assert_eq!(outcome.outcome, Outcome::Installed);
    assert_eq!(ledger(&node).len(), 1);
    assert_eq!(
        agent.undo("cut").outcome,
        Outcome::Skipped,
        "no packet came"
    );
}

#[test]
fn what_was_asked_of_a_busy_agent_is_not_done_after_the_channels_end() {
    let node = Node::new(1);
    let (path, begun) = with_a_slow_nft(&node, 1);
    let mut agent = Channel::open_with_path(&node, &path);
    agent.hello(LONG_LEASE_MS, &[]);
    let pid = start(&mut agent, &family(&node));
    agent.send(to_install("cut", drop_from_a_peer()));
    eventually("nft begins", || begun.exists());
    agent.send(to_install("pause", pause()));
    assert!(agent.close().success());
    eventually("the service sleeps", || {
        node.process_state(pid) == Some('S')
    });
    assert!(ledger(&node).is_empty());
    assert_eq!(node.tables(), [""; 0]);
}

#[test]
fn when_the_agent_hangs_the_watchdog_heals_at_the_end_of_the_lease() {
    let node = Node::new(1);
    let (mut agent, pid) = afflicted(&node, SHORT_LEASE_MS);
    agent.signal(Signal::SIGSTOP);
    eventually("the node is healed", || is_healed(&node, pid));
    let stat = fs::read_to_string(format!("/proc/{}/stat", agent.pid())).unwrap();
    assert!(stat.contains(") T "), "the agent had no part in it: {stat}");
    agent.signal(Signal::SIGCONT);
    let Notice::LeaseExpired { faults } = agent.notice() else {
        panic!("expected the end of the lease");
    };
    assert_eq!(faults, ["cut", "pause"]);
    let ended = agent.undo("pause");
    assert_eq!(ended.outcome, Outcome::Indeterminate);
    assert!(seen(&ended, "fault").starts_with("undone by someone else"));
}

#[test]
fn an_agent_that_hangs_with_the_lock_held_is_killed_and_the_node_healed() {
    let node = Node::new(1);
    let (agent, pid) = afflicted(&node, SHORT_LEASE_MS);
    // To the watchdog it is the same who holds the lock.
    let lock = File::open(node.home.path().join("lock")).unwrap();
    lock.lock().unwrap();
    agent.signal(Signal::SIGSTOP);
    let stat = format!("/proc/{}/stat", agent.pid());
    eventually("the agent is killed", || {
        fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    });
    assert!(!is_healed(&node, pid));
    drop(lock);
    eventually("the node is healed", || is_healed(&node, pid));
}

#[test]
fn when_the_harness_is_silent_the_agent_heals_at_the_end_of_the_lease_and_says_so() {
    let node = Node::new(1);
    let (mut agent, pid) = afflicted(&node, SHORT_LEASE_MS);
    let Notice::LeaseExpired { faults } = agent.notice() else {
        panic!("expected the end of the lease");
    };
    assert_eq!(faults, ["cut", "pause"]);
    assert!(is_healed(&node, pid));
    let ended = agent.undo("cut");
    assert_eq!(ended.outcome, Outcome::Skipped, "no packet came: {ended:?}");
    assert_eq!(seen(&ended, "fault"), "undone because the lease ran out");
    // The agent goes on, and so does protection.
    cut(&mut agent);
    assert_eq!(node.watchdogs().len(), 1);
}

#[test]
fn requests_keep_the_lease() {
    let node = Node::new(1);
    let (mut agent, pid) = afflicted(&node, SHORT_LEASE_MS);
    let begun = Instant::now();
    while begun.elapsed() < 2 * Duration::from_millis(SHORT_LEASE_MS) {
        assert_eq!(agent.ask(RequestBody::Ping), Ok(Reply::Done));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(node.process_state(pid), Some('T'));
    assert_eq!(ledger(&node).len(), 2);
    agent.undo("cut");
    agent.undo("pause");
    eventually("the watchdog is dismissed", || node.watchdogs().is_empty());
}

#[test]
fn when_the_channel_ends_the_agent_heals_before_it_exits() {
    let node = Node::new(1);
    let (agent, pid) = afflicted(&node, LONG_LEASE_MS);
    assert!(agent.close().success());
    assert!(is_healed(&node, pid));
    eventually("the watchdog is dismissed", || node.watchdogs().is_empty());
}

#[test]
fn heal_needs_only_the_ledger_and_may_be_repeated() {
    let node = Node::new(1);
    let (agent, pid) = afflicted(&node, LONG_LEASE_MS);
    for table in ["foreign", "shakedown_other_run"] {
        node.run(&["nft", "add", "table", "inet", table]);
    }
    kill_both(&node, agent);
    let (code, left) = node.agent("leftovers");
    assert_eq!(code, 1);
    assert_eq!(left[0]["fault"], "r1.cut");
    assert_eq!(left[0]["remains"][0], "table shakedown_r1_cut");
    assert_eq!(left[1]["fault"], "r1.pause");

    let (code, healed) = node.agent("heal");
    assert_eq!(code, 0, "{healed}");
    assert_eq!(healed["undone"][0]["fault"], "cut");
    assert_eq!(healed["undone"][1]["fault"], "pause");
    assert_eq!(
        node.tables(),
        ["foreign", "shakedown_other_run"],
        "only what the ledger names is deleted"
    );
    eventually("the service runs", || node.process_state(pid) == Some('S'));
    let (code, again) = node.agent("heal");
    assert_eq!(code, 0);
    assert_eq!(again["undone"].as_array().unwrap().len(), 0);
    node.run(&["nft", "delete", "table", "inet", "shakedown_other_run"]);
    assert_eq!(node.agent("leftovers").0, 0);
}

#[test]
fn the_next_hello_heals_what_two_deaths_left() {
    let node = Node::new(1);
    let (agent, pid) = afflicted(&node, LONG_LEASE_MS);
    kill_both(&node, agent);
    assert!(!is_healed(&node, pid));
    let mut next = Channel::open(&node);
    assert_eq!(next.hello(LONG_LEASE_MS, &[]), ["cut", "pause"]);
    assert!(is_healed(&node, pid));
}

#[test]
fn a_process_that_only_shares_the_pid_is_not_continued() {
    let node = Node::new(1);
    let (agent, pid) = afflicted(&node, LONG_LEASE_MS);
    kill_both(&node, agent);
    let path = node.home.path().join("ledger/r1.pause.json");
    let mut entry: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for step in entry["undo"].as_array_mut().unwrap() {
        let earlier = step["process"]["start_ticks"].as_u64().unwrap() - 1;
        step["process"]["start_ticks"] = earlier.into();
    }
    fs::write(&path, entry.to_string()).unwrap();
    assert_eq!(node.agent("heal").0, 0);
    assert_eq!(node.process_state(pid), Some('T'), "not ours to continue");
}

#[test]
fn a_ledger_file_that_cannot_be_read_fails_healing_loudly_but_hides_nothing_else() {
    let node = Node::new(1);
    let (agent, pid) = afflicted(&node, LONG_LEASE_MS);
    kill_both(&node, agent);
    fs::write(node.home.path().join("ledger/r1.bad.json"), "{").unwrap();
    let (code, healed) = node.agent("heal");
    assert_eq!(code, 1);
    assert_eq!(healed["failed"][0]["file"], "r1.bad.json");
    assert_eq!(healed["undone"].as_array().unwrap().len(), 2);
    assert!(node.tables().is_empty());
    assert_ne!(node.process_state(pid), Some('T'));
}

#[test]
fn a_harness_of_another_protocol_or_without_a_hello_is_refused() {
    let node = Node::new(1);
    let mut agent = Channel::open(&node);
    let heal = agent.ask(RequestBody::Heal);
    assert_eq!(heal, Err("say hello first".into()));
    let hello = RequestBody::Hello {
        protocol: 99,
        run: "r1".into(),
        lease_ms: 1000,
        management: vec![],
        ssh_port: 22,
        probation_ms: 0,
        allow_host_clock: false,
        seed: 1,
    };
    let refused = agent.ask(hello).unwrap_err();
    assert!(refused.contains("protocol 99"), "{refused}");
}
