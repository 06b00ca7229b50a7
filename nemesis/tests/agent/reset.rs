//! Resets of a share of data packets.

use std::io::ErrorKind;
use std::net::IpAddr;

use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::{NodeOutcome, Outcome};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, patient_pair};
use crate::traffic::{listen_only, request, serve_echo};

const PORT: u16 = 7700;

fn reset(from: &Node, probability: f64) -> NodeFault {
    NodeFault::Reset {
        port: PORT,
        from: vec![from.ip, from.ipv6],
        probability,
        containing: vec![],
    }
}

fn counted(outcome: &NodeOutcome, rule: &str) -> u64 {
    seen(outcome, &format!("packets counted by rule `{rule}`"))
        .parse()
        .unwrap()
}

/// Makes requests of one byte (the smallest a payload can be); how many were reset.
fn resets(client: &Node, server: IpAddr, requests: u32) -> u64 {
    client.inside(|| {
        let mut resets = 0;
        for _ in 0..requests {
            match request(server, PORT, b"x") {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => resets += 1,
                Err(error) => panic!("neither answered nor reset: {error}"),
            }
        }
        resets
    })
}

#[test]
fn a_quarter_of_requests_fails_and_the_counters_know_how_many() {
    let (a, b) = patient_pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    for (fault, address) in [("v4", b.ip), ("v6", b.ipv6)] {
        serve_echo(&b, address, PORT);
        assert_eq!(resets(&a, address, 50), 0, "none without the fault");
        let installed = at_b.install(fault, reset(&a, 0.25));
        assert_eq!(installed.outcome, Outcome::Installed);
        // 100 of 400 expected, standard deviation 8.7: six of them either way happen by chance
        // about twice in 10^9 runs.
        let failed = resets(&a, address, 400);
        assert!((48..=152).contains(&failed), "{failed} of 400");
        let ended = at_b.undo(fault);
        assert_eq!(ended.outcome, Outcome::Installed);
        assert_eq!(counted(&ended, "rejected"), failed);
        assert_eq!(counted(&ended, "data packets"), 400);
        assert_eq!(resets(&a, address, 50), 0, "none after it");
    }
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn connections_that_carry_no_data_to_the_port_pass_even_a_certain_reset() {
    let (a, b) = patient_pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    for (fault, address) in [("v4", b.ip), ("v6", b.ipv6)] {
        serve_echo(&b, address, PORT);
        at_b.install(fault, reset(&a, 1.0));
        for _ in 0..50 {
            a.inside(|| listen_only(address, PORT)).unwrap();
        }
        let ended = at_b.undo(fault);
        assert_eq!(counted(&ended, "data packets"), 0);
        assert_eq!(ended.outcome, Outcome::Skipped, "it had no effect");
        at_b.install(fault, reset(&a, 1.0));
        assert_eq!(resets(&a, address, 50), 50, "and data never passes");
        assert_eq!(at_b.undo(fault).outcome, Outcome::Installed);
    }
}

#[test]
fn a_reset_spares_other_sources_and_other_ports() {
    let (a, b) = patient_pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    serve_echo(&b, b.ip, PORT + 1);
    let elsewhere = NodeFault::Reset {
        port: PORT,
        from: vec!["10.99.0.77".parse().unwrap()],
        probability: 1.0,
        containing: vec![],
    };
    at_b.install("others", elsewhere);
    assert_eq!(resets(&a, b.ip, 20), 0);
    assert_eq!(at_b.undo("others").outcome, Outcome::Skipped);
    at_b.install("all", reset(&a, 1.0));
    for _ in 0..20 {
        a.inside(|| request(b.ip, PORT + 1, b"x")).unwrap();
    }
}

#[test]
fn a_noop_reset_and_one_of_probability_zero_are_skipped() {
    let (a, b) = patient_pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    assert_eq!(
        at_b.install_noop("noop", reset(&a, 1.0)).outcome,
        Outcome::Skipped
    );
    assert_eq!(resets(&a, b.ip, 20), 0);
    assert_eq!(at_b.undo("noop").outcome, Outcome::Skipped);
    at_b.install("zero", reset(&a, 0.0));
    assert_eq!(resets(&a, b.ip, 20), 0);
    let ended = at_b.undo("zero");
    assert_eq!(ended.outcome, Outcome::Skipped);
    assert_eq!(counted(&ended, "data packets"), 20);
}

fn reset_containing(from: &Node, probability: f64, patterns: &[&str]) -> NodeFault {
    NodeFault::Reset {
        port: PORT,
        from: vec![from.ip, from.ipv6],
        probability,
        containing: patterns.iter().map(|pattern| (*pattern).into()).collect(),
    }
}

#[test]
fn only_requests_whose_payload_matches_are_reset() {
    let (a, b) = patient_pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    for (fault, address) in [("v4", b.ip), ("v6", b.ipv6)] {
        serve_echo(&b, address, PORT);
        let order = reset_containing(&a, 1.0, &[r#""shard":5[,}]"#, r"(?-u)\x00\xff"]);
        let installed = at_b.install(fault, order);
        assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
        let ask = |payload: &[u8]| a.inside(|| request(address, PORT, payload));
        for spared in [
            br#"{"shard":4}"#.as_slice(),
            br#"{"shard":55}"#,
            b"\x00\xfe",
        ] {
            ask(spared).unwrap();
        }
        for hit in [br#"{"shard":5}"#.as_slice(), b"a\x00\xffb"] {
            let error = ask(hit).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        let ended = at_b.undo(fault);
        assert_eq!(ended.outcome, Outcome::Installed);
        for (rule, count) in [
            ("data packets", 5),
            ("inspected", 5),
            ("payloads that match", 2),
            ("rejected", 2),
        ] {
            assert_eq!(counted(&ended, rule), count, "{rule}");
        }
        ask(br#"{"shard":5}"#).unwrap();
    }
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn a_share_of_matching_requests_is_spared_and_reaches_the_server_once() {
    let (a, b) = patient_pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    at_b.install("half", reset_containing(&a, 0.5, &["x"]));
    let failed = resets(&a, b.ip, 200);
    // 100 expected, standard deviation 7.1: six of them either way.
    assert!((57..=143).contains(&failed), "{failed} of 200");
    let ended = at_b.undo("half");
    assert_eq!(counted(&ended, "payloads that match"), 200);
    assert_eq!(counted(&ended, "rejected"), failed);
}

#[test]
fn a_reset_by_content_that_nothing_matches_or_a_noop_one_is_skipped() {
    let (a, b) = patient_pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    at_b.install("other", reset_containing(&a, 1.0, &["nobody says this"]));
    assert_eq!(resets(&a, b.ip, 20), 0);
    let ended = at_b.undo("other");
    assert_eq!(ended.outcome, Outcome::Skipped);
    assert_eq!(counted(&ended, "inspected"), 20);
    let installed = at_b.install_noop("noop", reset_containing(&a, 1.0, &["x"]));
    assert_eq!(installed.outcome, Outcome::Skipped);
    assert_eq!(resets(&a, b.ip, 20), 0);
    assert_eq!(at_b.undo("noop").outcome, Outcome::Skipped);
}
