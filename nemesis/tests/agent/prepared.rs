//! Faults that are prepared first and strike later.

use shakedown_nemesis::fault::{KillSignal, NodeFault};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::RequestBody;

use nix::sys::signal::Signal;

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually, pair};
use crate::service::{family, start};
use crate::traffic::probe;

fn cut(peer: &Node) -> NodeFault {
    NodeFault::DropFrom {
        peers: vec![peer.ip],
        clients: false,
    }
}

fn kill() -> NodeFault {
    NodeFault::Kill {
        service: "web".into(),
        restart: true,
        signal: KillSignal::Kill,
    }
}

fn pause() -> NodeFault {
    NodeFault::Pause {
        service: "web".into(),
    }
}

#[test]
fn a_prepared_cut_has_no_effect_until_it_is_installed() {
    let (a, b) = pair();
    let (mut at_a, mut at_b) = (
        Channel::greet(&a, LONG_LEASE_MS),
        Channel::greet(&b, LONG_LEASE_MS),
    );
    at_b.prepare("cut", cut(&a));
    assert_eq!(b.tables(), [""; 0]);
    assert!(probe(&mut at_a, &mut at_b, b.ip, 1, 20_000) > 0);
    let installed = at_b.install("cut", cut(&a));
    assert_eq!(installed.outcome, Outcome::Installed);
    assert_eq!(probe(&mut at_a, &mut at_b, b.ip, 2, 300), 0);
    assert_eq!(at_b.undo("cut").outcome, Outcome::Installed);
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn a_fault_prepared_and_never_installed_is_skipped_and_leaves_nothing() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    let service = start(&mut at_b, &family(&b));
    let terminate = NodeFault::Kill {
        service: "web".into(),
        restart: true,
        signal: KillSignal::Terminate,
    };
    for (fault, order) in [
        ("cut", cut(&a)),
        ("kill", kill()),
        ("terminate", terminate),
        ("pause", pause()),
    ] {
        at_b.prepare(fault, order);
        let ended = at_b.undo(fault);
        assert_eq!(ended.outcome, Outcome::Skipped);
        assert_eq!(seen(&ended, "fault"), "prepared, never installed");
    }
    assert_ne!(b.process_state(service), None, "it was never ended");
    assert_eq!(b.agent("leftovers").0, 0);
    eventually("the watchdog is dismissed", || b.watchdogs().is_empty());
}

#[test]
fn what_was_prepared_is_cleared_away_when_the_agent_is_killed() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    at_b.prepare("cut", cut(&a));
    assert_eq!(b.agent("leftovers").1[0]["fault"], "r1.cut");
    at_b.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || b.watchdogs().is_empty());
    assert_eq!(b.agent("leftovers").0, 0);
    let processes = b.run(&["sh", "-c", "cat /proc/[0-9]*/stat"]);
    let processes = String::from_utf8(processes.stdout).unwrap();
    let waits = |line: &str| line.contains("(nft)") && !line.contains("(nft) Z");
    assert!(!processes.lines().any(waits), "{processes}");
}

#[test]
fn another_order_under_the_name_of_a_prepared_fault_is_refused() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    at_b.prepare("cut", cut(&a));
    let other = RequestBody::Install {
        fault: "cut".into(),
        order: cut(&b),
        noop: false,
    };
    assert!(at_b.ask(other).unwrap_err().contains("another order"));
    assert_eq!(
        at_b.install("cut", cut(&a)).outcome,
        Outcome::Installed,
        "the prepared one still strikes"
    );
}

#[test]
fn a_fault_healed_between_preparation_and_strike_is_in_the_ledger_again_when_it_strikes() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    start(&mut at_b, &family(&b));
    let faults = [("cut", cut(&a)), ("pause", pause())];
    for (fault, order) in faults.clone() {
        at_b.prepare(fault, order);
    }
    assert_eq!(b.agent("heal").0, 0);
    assert_eq!(b.agent("leftovers").0, 0);
    for (fault, order) in faults {
        assert_eq!(at_b.install(fault, order).outcome, Outcome::Installed);
    }
    let (_, left) = b.agent("leftovers");
    assert_eq!(left[0]["fault"], "r1.cut");
    assert_eq!(left[1]["fault"], "r1.pause");
}

#[test]
fn a_pause_prepared_before_its_service_was_restarted_strikes_and_undoes_the_new_one() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let first = start(&mut agent, &family(&node));
    agent.prepare("pause", pause());
    let stop = RequestBody::Stop {
        service: "web".into(),
        timeout_ms: 20_000,
    };
    agent.ask(stop).unwrap();
    let second = start(&mut agent, &family(&node));
    assert_ne!(first, second);
    assert_eq!(agent.install("pause", pause()).outcome, Outcome::Installed);
    assert_eq!(node.process_state(second), Some('T'));
    // Killed, so that only the ledger can tell whom to continue.
    agent.signal(Signal::SIGKILL);
    eventually("the service is continued", || {
        node.process_state(second).is_some_and(|state| state != 'T')
    });
}

#[test]
fn a_pause_prepared_before_its_service_was_restarted_is_shown_to_have_lasted() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    start(&mut agent, &family(&node));
    agent.prepare("pause", pause());
    let stop = RequestBody::Stop {
        service: "web".into(),
        timeout_ms: 20_000,
    };
    agent.ask(stop).unwrap();
    start(&mut agent, &family(&node));
    assert_eq!(agent.install("pause", pause()).outcome, Outcome::Installed);
    assert_eq!(agent.undo("pause").outcome, Outcome::Installed);
}
