//! Groups of nodes that fall apart, seen by packets between every two of them.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use shakedown_nemesis::fault::Fault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::plan::{Topology, compile};
use shakedown_nemesis::split::Split;

use crate::channel::{Channel, LONG_LEASE_MS};
use crate::node::{eventually, group};

const PORT: u16 = 7700;
const NODES: u8 = 5;

/// Which node's packets arrive at which other, by their numbers.
type Reached = BTreeSet<(u8, u8)>;

/// Sends a packet from every node to every other one, and looks which have come by now.
fn exchange(sockets: &[UdpSocket], reached: &mut Reached) {
    for (from, socket) in (1..).zip(sockets) {
        for to in (1..=NODES).filter(|to| *to != from) {
            // A table that is loaded just now may refuse it.
            let _ = socket.send_to(&[from], (format!("10.99.0.{to}").as_str(), PORT));
        }
    }
    thread::sleep(Duration::from_millis(20));
    for (to, socket) in (1..).zip(sockets) {
        let mut from = [0];
        while socket.recv(&mut from).is_ok() {
            reached.insert((from[0], to));
        }
    }
}

/// Waits until packets have arrived on all of these ways, and looks once more; on which they have by then.
fn reach_each_other(sockets: &[UdpSocket], expected: &Reached) -> Reached {
    // What was under way before doesn't count.
    exchange(sockets, &mut Reached::new());
    let mut reached = Reached::new();
    eventually("packets on every way that is open", || {
        exchange(sockets, &mut reached);
        reached.is_superset(expected)
    });
    exchange(sockets, &mut reached);
    reached
}

fn name(number: u8) -> String {
    format!("n{number}")
}

#[test]
fn each_shape_cuts_off_whom_it_says_and_no_others_until_its_end() {
    let (_switch, nodes) = group(NODES);
    let mut agents: Vec<Channel> = (nodes.iter())
        .map(|node| Channel::greet(node, LONG_LEASE_MS))
        .collect();
    let sockets: Vec<UdpSocket> = (nodes.iter())
        .map(|node| node.inside(|| UdpSocket::bind((node.ip, PORT)).unwrap()))
        .collect();
    for socket in &sockets {
        socket.set_nonblocking(true).unwrap();
    }
    let names: Vec<String> = (1..=NODES).map(name).collect();
    let topology: Topology = (names.iter().cloned())
        .zip(nodes.iter().map(|node| vec![node.ip]))
        .collect();
    let all: Reached = (1..=NODES)
        .flat_map(|a| (1..=NODES).map(move |b| (a, b)))
        .filter(|(a, b)| a != b)
        .collect();
    let first_from = |others: &[u8]| others.iter().map(|other| (1, *other)).collect::<Vec<_>>();
    let between = |ones: &[u8], others: &[u8]| -> Vec<(u8, u8)> {
        let pairs = ones
            .iter()
            .flat_map(|one| others.iter().map(|o| (*one, *o)));
        pairs.collect()
    };
    for (split, cut) in [
        (Split::Isolate { one: name(1) }, first_from(&[2, 3, 4, 5])),
        (Split::Halves, between(&[1, 2, 3], &[4, 5])),
        (Split::MajorityMinority, between(&[1, 2, 3], &[4, 5])),
        (
            Split::MajoritiesRing,
            vec![(1, 3), (1, 4), (2, 4), (2, 5), (3, 5)],
        ),
        (Split::Bridge, between(&[1, 2], &[4, 5])),
        (
            Split::Pairs {
                pairs: vec![(name(2), name(4))],
            },
            vec![(2, 4)],
        ),
    ] {
        assert_eq!(reach_each_other(&sockets, &all), all, "before {split:?}");
        let fault = Fault::Split {
            nodes: names.clone(),
            split: split.clone(),
        };
        let orders = compile(&fault, &topology).unwrap();
        let agent = |node: &String| names.iter().position(|name| name == node).unwrap();
        for (node, order) in &orders {
            let installed = agents[agent(node)].install("split", order.clone());
            assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
        }
        let open: Reached = (all.iter())
            .filter(|(a, b)| !cut.contains(&(*a, *b)) && !cut.contains(&(*b, *a)))
            .copied()
            .collect();
        assert_eq!(reach_each_other(&sockets, &open), open, "{split:?}");
        for (node, _) in &orders {
            let ended = agents[agent(node)].undo("split");
            assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
        }
    }
    assert_eq!(reach_each_other(&sockets, &all), all);
    for node in &nodes {
        assert_eq!(node.tables(), [""; 0]);
        assert_eq!(node.agent("leftovers").0, 0);
    }
}
