//! Partitions, seen from both sides.

use std::net::IpAddr;

use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::RequestBody;

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{eventually, pair};
use crate::service::{family, start};
use crate::traffic::{probe, request, serve_echo};

/// How long no probe may arrive before that counts as none; they take microseconds.
const SILENCE_MS: u64 = 300;
const ARRIVES_MS: u64 = 20_000;

fn drop_from(peers: &[IpAddr]) -> NodeFault {
    NodeFault::DropFrom {
        peers: peers.to_vec(),
        clients: false,
    }
}

#[test]
fn a_one_way_cut_stops_one_direction_and_lets_the_other_pass_for_both_families() {
    let (a, b) = pair();
    let (mut at_a, mut at_b) = (
        Channel::greet(&a, LONG_LEASE_MS),
        Channel::greet(&b, LONG_LEASE_MS),
    );
    for (nonce, address) in [(1, b.ip), (2, b.ipv6)] {
        assert!(probe(&mut at_a, &mut at_b, address, nonce, ARRIVES_MS) > 0);
    }
    let installed = at_b.install("cut", drop_from(&[a.ip, a.ipv6]));
    assert_eq!(installed.outcome, Outcome::Installed);
    for (nonce, address) in [(3, b.ip), (4, b.ipv6)] {
        assert_eq!(probe(&mut at_a, &mut at_b, address, nonce, SILENCE_MS), 0);
    }
    for (nonce, address) in [(5, a.ip), (6, a.ipv6)] {
        let packets = probe(&mut at_b, &mut at_a, address, nonce, ARRIVES_MS);
        assert!(packets > 0, "the other way is open");
    }
    let ended = at_b.undo("cut");
    assert_eq!(ended.outcome, Outcome::Installed);
    for address in [a.ip, a.ipv6] {
        let dropped = seen(
            &ended,
            &format!("packets counted by rule `dropped {address}`"),
        );
        assert!(dropped.parse::<u64>().unwrap() >= 5, "{dropped}");
    }
    assert_eq!(seen(&ended, "table shakedown_r1_cut after undo"), "deleted");
    for (nonce, address) in [(7, b.ip), (8, b.ipv6)] {
        assert!(probe(&mut at_a, &mut at_b, address, nonce, ARRIVES_MS) > 0);
    }
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn a_two_way_cut_stops_both_directions() {
    let (a, b) = pair();
    let (mut at_a, mut at_b) = (
        Channel::greet(&a, LONG_LEASE_MS),
        Channel::greet(&b, LONG_LEASE_MS),
    );
    at_a.install("cut", drop_from(&[b.ip]));
    at_b.install("cut", drop_from(&[a.ip]));
    assert_eq!(probe(&mut at_a, &mut at_b, b.ip, 1, SILENCE_MS), 0);
    assert_eq!(probe(&mut at_b, &mut at_a, a.ip, 2, SILENCE_MS), 0);
    assert_eq!(at_a.undo("cut").outcome, Outcome::Installed);
    assert_eq!(at_b.undo("cut").outcome, Outcome::Installed);
    assert!(probe(&mut at_a, &mut at_b, b.ip, 3, ARRIVES_MS) > 0);
    assert!(probe(&mut at_b, &mut at_a, a.ip, 4, ARRIVES_MS) > 0);
    for node in [&a, &b] {
        assert_eq!(node.tables(), [""; 0]);
        assert_eq!(node.agent("leftovers").0, 0);
    }
}

#[test]
fn a_cut_that_no_packet_ran_into_had_no_effect_and_is_skipped() {
    let (_a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    // Nobody has this address.
    at_b.install("cut", drop_from(&["10.99.0.77".parse().unwrap()]));
    assert_eq!(at_b.undo("cut").outcome, Outcome::Skipped);
}

#[test]
fn a_noop_cut_is_skipped_and_stops_nothing() {
    let (a, b) = pair();
    let (mut at_a, mut at_b) = (
        Channel::greet(&a, LONG_LEASE_MS),
        Channel::greet(&b, LONG_LEASE_MS),
    );
    let installed = at_b.install_noop("cut", drop_from(&[a.ip]));
    assert_eq!(installed.outcome, Outcome::Skipped);
    assert!(probe(&mut at_a, &mut at_b, b.ip, 1, ARRIVES_MS) > 0);
    assert_eq!(at_b.undo("cut").outcome, Outcome::Skipped);
}

#[test]
fn management_traffic_passes_a_cut_from_the_management_address_itself() {
    let (a, b) = pair();
    let mut at_a = Channel::greet(&a, LONG_LEASE_MS);
    let mut at_b = Channel::open(&b);
    at_b.hello(LONG_LEASE_MS, &[a.ip, a.ipv6]);
    for address in [b.ip, b.ipv6] {
        serve_echo(&b, address, 22);
    }
    at_b.install("cut", drop_from(&[a.ip, a.ipv6]));
    assert_eq!(probe(&mut at_a, &mut at_b, b.ip, 1, SILENCE_MS), 0);
    // Forget the neighbours: finding them again is part of what must pass.
    assert!(b.run(&["ip", "neighbour", "flush", "all"]).status.success());
    for address in [b.ip, b.ipv6] {
        a.inside(|| request(address, 22, b"still here")).unwrap();
    }
}

#[test]
fn a_second_fault_of_the_same_name_is_refused_and_the_first_stays() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    at_b.install("cut", drop_from(&[a.ip]));
    let again = RequestBody::Install {
        fault: "cut".into(),
        order: drop_from(&[a.ip]),
        noop: false,
    };
    assert_eq!(
        at_b.ask(again),
        Err("fault `cut` is in place already".into())
    );
    assert_eq!(b.tables(), ["shakedown_r1_cut"]);
}

#[test]
fn a_foreign_table_of_the_same_name_is_left_alone_and_the_fault_is_refused() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    b.run(&["nft", "add", "table", "inet", "shakedown_r1_cut"]);
    let order = RequestBody::Install {
        fault: "cut".into(),
        order: drop_from(&[a.ip]),
        noop: false,
    };
    assert!(at_b.ask(order).unwrap_err().contains("not in the ledger"));
    assert_eq!(b.tables(), ["shakedown_r1_cut"]);
    let (code, left) = b.agent("leftovers");
    assert_eq!(code, 1, "a table of ours without a fault is told: {left}");
}

#[test]
fn a_cut_that_nobody_confirms_is_undone_by_the_agent_although_its_lease_goes_on() {
    let (a, b) = pair();
    let mut at_b = Channel::greet_on_probation(&b, LONG_LEASE_MS, 500);
    let installed = at_b.install("cut", drop_from(&[a.ip]));
    assert_eq!(installed.outcome, Outcome::Installed);
    eventually("the cut is undone", || {
        // Heard, but not what it waits for.
        at_b.ask(RequestBody::Ping).unwrap();
        b.tables().is_empty()
    });
    let late = at_b.ask(RequestBody::Confirm {
        fault: "cut".into(),
    });
    assert!(late.unwrap_err().contains("not in place any more"));
    let ended = at_b.undo("cut");
    assert_ne!(ended.outcome, Outcome::Installed);
    assert!(seen(&ended, "fault").contains("did not confirm in time"));
}

#[test]
fn a_cut_that_is_confirmed_stays_and_other_faults_need_not_be() {
    let (a, b) = pair();
    let mut at_b = Channel::greet_on_probation(&b, LONG_LEASE_MS, 4000);
    let service = family(&b);
    start(&mut at_b, &service);
    let service = service.name;
    at_b.install("pause", NodeFault::Pause { service });
    at_b.install("cut", drop_from(&[a.ip]));
    at_b.ask(RequestBody::Confirm {
        fault: "cut".into(),
    })
    .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(b.tables(), ["shakedown_r1_cut"], "longer than it had");
    assert_eq!(at_b.undo("pause").outcome, Outcome::Installed);
}
