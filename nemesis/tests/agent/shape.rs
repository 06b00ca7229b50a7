//! Bad links, as programs at their ends see them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use shakedown_nemesis::effects::{Distribution, Effects};
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::{NodeOutcome, Outcome};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually, pair};
use crate::traffic::{request, serve_echo};

const PORT: u16 = 7700;

fn shape(from: &Node, effects: Effects) -> NodeFault {
    NodeFault::Shape {
        from: vec![from.ip, from.ipv6],
        clients: false,
        port: Some(PORT),
        answers: false,
        effects,
    }
}

/// How long nothing may come, after every packet has, before that counts as the end.
const SILENCE: Duration = Duration::from_millis(400);

/// How long nothing may come while packets are missing: they may be lost, or wait for a processor.
const PATIENCE: Duration = Duration::from_secs(5);

/// Room for every packet that is sent here, bytes: who reads them may have to wait for a processor.
const ROOM: usize = 16 << 20;

/// Sends numbered packets to a node and gathers those that arrive: number, content, and when.
fn send(from: &Node, to: &Node, address: IpAddr, packets: u32) -> Vec<(u32, Vec<u8>, Duration)> {
    let server = to.inside(|| UdpSocket::bind((address, PORT)).unwrap());
    setsockopt(&server, sockopt::RcvBufForce, &ROOM).unwrap();
    let any: IpAddr = match address {
        IpAddr::V4(_) => "0.0.0.0".parse().unwrap(),
        IpAddr::V6(_) => "::".parse().unwrap(),
    };
    let client = from.inside(|| UdpSocket::bind((any, 0)).unwrap());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..packets {
                let to = SocketAddr::new(address, PORT);
                client.send_to(&content(number), to).unwrap();
                // So that no queue on the way is ever full.
                if number % 8 == 7 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let mut arrived = Vec::new();
        let mut bytes = [0; 2000];
        let mut missing: BTreeSet<u32> = (0..packets).collect();
        loop {
            let patience = if missing.is_empty() {
                SILENCE
            } else {
                PATIENCE
            };
            server.set_read_timeout(Some(patience)).unwrap();
            let Ok(length) = server.recv(&mut bytes) else {
                break;
            };
            let number = u32::from_be_bytes(*bytes.first_chunk().unwrap());
            missing.remove(&number);
            arrived.push((number, bytes[..length].to_vec(), begun.elapsed()));
        }
        arrived
    })
}

/// What the packet of a number holds: the number, then bytes that follow from it.
fn content(number: u32) -> Vec<u8> {
    let filling = (0..96_u32).map(|place| (number + place) as u8);
    number.to_be_bytes().into_iter().chain(filling).collect()
}

fn copies(arrived: &[(u32, Vec<u8>, Duration)]) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for (number, _, _) in arrived {
        *counts.entry(*number).or_default() += 1;
    }
    counts
}

/// The first number in a piece of evidence.
fn count(outcome: &NodeOutcome, what: &str) -> u64 {
    let seen = seen(outcome, what);
    seen.split(' ').next().unwrap().parse().unwrap()
}

/// Installs the fault, sends, undoes it, sends again to see that it ended; what arrived meanwhile, and the
/// outcome.
fn under(effects: Effects, packets: u32, v6: bool) -> (Vec<(u32, Vec<u8>, Duration)>, NodeOutcome) {
    let (a, b) = pair();
    let address = if v6 { b.ipv6 } else { b.ip };
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    // IPv6 takes its time to find neighbours on a new link.
    eventually("packets arrive", || send(&a, &b, address, 1).len() == 1);
    let installed = at_b.install("bad", shape(&a, effects));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let arrived = send(&a, &b, address, packets);
    let ended = at_b.undo("bad");
    let after = send(&a, &b, address, 200);
    let right: Vec<_> = (0..200).map(|n| (n, content(n))).collect();
    let got: Vec<_> = after.into_iter().map(|(n, bytes, _)| (n, bytes)).collect();
    assert_eq!(got, right, "all is well after the end");
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
    (arrived, ended)
}

#[test]
fn the_share_asked_for_is_lost_and_the_evidence_counts_exactly_those() {
    for v6 in [false, true] {
        let effects = Effects {
            loss_percent: 20.0,
            ..Effects::default()
        };
        let (arrived, ended) = under(effects, 2000, v6);
        // 400 expected, standard deviation 18: six of them either way.
        let lost = 2000 - arrived.len() as u64;
        assert!((292..=508).contains(&lost), "{lost} of 2000");
        assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
        assert_eq!(count(&ended, "lost"), lost);
    }
}

#[test]
fn the_share_asked_for_arrives_twice_and_is_the_same_both_times() {
    for v6 in [false, true] {
        let effects = Effects {
            duplicate_percent: 25.0,
            ..Effects::default()
        };
        let (arrived, ended) = under(effects, 1000, v6);
        assert!(arrived.iter().all(|(n, bytes, _)| *bytes == content(*n)));
        let copies = copies(&arrived);
        assert_eq!(copies.len(), 1000, "none is lost");
        assert!(copies.values().all(|count| [1, 2].contains(count)));
        let doubled = copies.values().filter(|count| **count == 2).count() as u64;
        // 250 expected, standard deviation 14: six of them either way.
        assert!((166..=334).contains(&doubled), "{doubled} of 1000");
        assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
        assert_eq!(count(&ended, "doubled"), doubled);
        assert_eq!(count(&ended, "packets counted by rule `copies`"), doubled);
    }
}

#[test]
fn damage_is_noticed_by_the_kernel_unless_checksums_are_made_to_match() {
    for (v6, unnoticed) in [(false, false), (true, false), (false, true), (true, true)] {
        let effects = Effects {
            corrupt_percent: 20.0,
            corrupt_unnoticed: unnoticed,
            ..Effects::default()
        };
        let (arrived, ended) = under(effects, 1000, v6);
        let damaged = count(&ended, "damaged");
        // 200 expected, standard deviation 13: six of them either way.
        assert!((122..=278).contains(&damaged), "{damaged} of 1000");
        assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
        if unnoticed {
            assert_eq!(arrived.len(), 1000, "all reach the program");
            let wrong: Vec<_> = (0..1000_u32)
                .zip(&arrived)
                .filter(|(number, (_, bytes, _))| *bytes != content(*number))
                .collect();
            assert_eq!(wrong.len() as u64, damaged);
            for (number, (_, bytes, _)) in wrong {
                let bits = bytes.iter().zip(content(number));
                let turned: u32 = bits.map(|(a, b)| (a ^ b).count_ones()).sum();
                assert_eq!(turned, 1);
            }
        } else {
            assert!(arrived.iter().all(|(n, bytes, _)| *bytes == content(*n)));
            assert_eq!(arrived.len() as u64, 1000 - damaged);
        }
    }
}

#[test]
fn the_share_asked_for_is_overtaken() {
    let effects = Effects {
        reorder_percent: 10.0,
        reorder_by_ms: 20,
        ..Effects::default()
    };
    let (arrived, ended) = under(effects, 2000, false);
    assert_eq!(copies(&arrived).len(), 2000, "none is lost");
    let mut foremost = 0;
    let overtaken = arrived.iter().filter(|(number, ..)| {
        foremost = foremost.max(*number);
        foremost > *number
    });
    let overtaken = overtaken.count() as u64;
    // 200 expected, standard deviation 13: six of them either way.
    assert!((120..=280).contains(&overtaken), "{overtaken} of 2000");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    assert_eq!(count(&ended, "overtaken"), overtaken);
}

#[test]
fn a_slow_link_lets_no_more_bytes_pass_than_it_says_and_drops_what_finds_no_room() {
    // A packet is 128 bytes with its headers: 100 of them a second.
    let effects = Effects {
        rate: 12_800,
        backlog_ms: 1000,
        ..Effects::default()
    };
    let (arrived, ended) = under(effects, 400, false);
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    let last = arrived.last().unwrap().2;
    let allowed = last.as_secs_f64() * 100.0;
    assert!(
        arrived.len() as f64 <= allowed + 1.0,
        "{} in {last:?}",
        arrived.len()
    );
    // A second's worth waits, and what was sent meanwhile.
    assert!((100..=200).contains(&arrived.len()), "{}", arrived.len());
    let numbers: Vec<u32> = arrived.iter().map(|(number, ..)| *number).collect();
    assert!(numbers.is_sorted());
}

#[test]
fn tcp_gets_through_loss_doubles_damage_and_disorder_unharmed() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    let effects = Effects {
        loss_percent: 2.0,
        corrupt_percent: 2.0,
        duplicate_percent: 5.0,
        reorder_percent: 5.0,
        delay_ms: 4,
        jitter_ms: 2,
        distribution: Distribution::Pareto,
        ..Effects::default()
    };
    at_b.install("bad", shape(&a, effects));
    let body: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    a.inside(|| {
        for _ in 0..3 {
            request(b.ip, PORT, &body).unwrap();
        }
    });
    let ended = at_b.undo("bad");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
}

#[test]
fn packets_that_come_faster_than_they_are_read_are_lost_and_each_is_counted() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    let half = Effects {
        loss_percent: 50.0,
        ..Effects::default()
    };
    at_b.install("bad", shape(&a, half));
    // Nobody reads, and more come than the kernel keeps.
    at_b.signal_queue(Signal::SIGSTOP);
    let client = a.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    for number in 0..80_000 {
        client.send_to(&content(number), (b.ip, PORT)).unwrap();
    }
    at_b.signal_queue(Signal::SIGCONT);
    let ended = at_b.undo("bad");
    assert_eq!(ended.outcome, Outcome::Installed);
    let unread = count(&ended, "lost beyond what was asked");
    assert!(unread > 0);
    let lost = seen(&ended, "lost");
    let read: u64 = lost.split(' ').nth(2).unwrap().parse().unwrap();
    let came = count(&ended, "packets counted by rule `shaped`");
    assert_eq!(read + unread, came, "{ended:?}");
    assert_eq!(
        send(&a, &b, b.ip, 100).len(),
        100,
        "all is well after the end"
    );
}

#[test]
fn an_effect_that_no_packet_met_is_skipped_and_so_is_a_noop_one() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    let rare = Effects {
        loss_percent: 1e-7,
        delay_ms: 1,
        ..Effects::default()
    };
    at_b.install("rare", shape(&a, rare));
    assert_eq!(send(&a, &b, b.ip, 100).len(), 100);
    let ended = at_b.undo("rare");
    assert_eq!(ended.outcome, Outcome::Skipped, "{ended:?}");
    assert_eq!(count(&ended, "held until now"), 100);
    assert_eq!(count(&ended, "lost"), 0);
    let all = Effects {
        loss_percent: 100.0,
        ..Effects::default()
    };
    let installed = at_b.install_noop("noop", shape(&a, all));
    assert_eq!(installed.outcome, Outcome::Skipped);
    assert_eq!(send(&a, &b, b.ip, 100).len(), 100);
    assert_eq!(at_b.undo("noop").outcome, Outcome::Skipped);
}

#[test]
fn clients_answers_and_management_are_told_apart() {
    let (a, b) = pair();
    let mut at_b = Channel::open(&b);
    // The harness is where `a` is.
    at_b.hello(LONG_LEASE_MS, &[a.ip]);
    serve_echo(&b, b.ip, 22);
    serve_echo(&b, b.ip, PORT);
    let all = Effects {
        loss_percent: 100.0,
        ..Effects::default()
    };
    let order = |clients, port, answers| NodeFault::Shape {
        from: vec![],
        clients,
        port,
        answers,
        effects: all,
    };
    let reaches = |port| a.inside(|| request(b.ip, port, b"x").is_ok());
    at_b.install("clients", order(true, None, false));
    assert!(reaches(22), "management passes");
    assert!(!reaches(PORT));
    at_b.undo("clients");
    assert!(reaches(PORT));
    // What comes from that port of `a` would be answers.
    at_b.install("answers", order(true, Some(PORT), true));
    assert!(reaches(PORT));
    assert_eq!(at_b.undo("answers").outcome, Outcome::Skipped);
}

#[test]
fn after_the_agents_death_the_link_is_good_again() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    let effects = Effects {
        loss_percent: 50.0,
        duplicate_percent: 50.0,
        ..Effects::default()
    };
    at_b.install("bad", shape(&a, effects));
    assert_ne!(send(&a, &b, b.ip, 100).len(), 100);
    at_b.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || b.watchdogs().is_empty());
    assert_eq!(send(&a, &b, b.ip, 100).len(), 100);
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}
