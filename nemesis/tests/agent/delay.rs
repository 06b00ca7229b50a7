//! Packets held back on their way.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use shakedown_nemesis::effects::Effects;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::Outcome;

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually, pair};
use crate::traffic::{request, serve_echo};

const PORT: u16 = 7700;

/// Far more than a request takes between two nodes of one machine.
const DELAY_MS: u32 = 400;

fn delay(from: &Node, port: Option<u16>, jitter_ms: u32) -> NodeFault {
    hold(vec![from.ip, from.ipv6], port, DELAY_MS, jitter_ms)
}

fn hold(from: Vec<IpAddr>, port: Option<u16>, delay_ms: u32, jitter_ms: u32) -> NodeFault {
    NodeFault::Shape {
        from,
        clients: false,
        port,
        answers: false,
        effects: Effects {
            delay_ms,
            jitter_ms,
            ..Effects::default()
        },
    }
}

/// How long a request takes. Held are the first packet of the connection, the one that ends its
/// opening and brings the request, and those that acknowledge; so two delays at the least.
fn takes(client: &Node, server: IpAddr, port: u16) -> Duration {
    client.inside(|| {
        let begun = Instant::now();
        request(server, port, b"x").unwrap();
        begun.elapsed()
    })
}

fn is_delayed(took: Duration) -> bool {
    took >= 2 * Duration::from_millis(DELAY_MS.into())
}

/// Waits until a request is not delayed: a single one may be, for want of a processor.
fn passes_at_once(client: &Node, server: IpAddr, port: u16) {
    eventually("a request passes at once", || {
        !is_delayed(takes(client, server, port))
    });
}

fn held(counted: &str) -> u64 {
    counted.parse().unwrap()
}

#[test]
fn packets_are_held_as_long_as_the_fault_and_counted_with_how_long() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    for (fault, address) in [("v4", b.ip), ("v6", b.ipv6)] {
        serve_echo(&b, address, PORT);
        passes_at_once(&a, address, PORT);
        let installed = at_b.install(fault, delay(&a, None, 0));
        assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
        assert!(is_delayed(takes(&a, address, PORT)));
        // The last packet of the connection is on its way yet.
        std::thread::sleep(2 * Duration::from_millis(DELAY_MS.into()));
        let ended = at_b.undo(fault);
        assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
        assert!(held(seen(&ended, "packets counted by rule `shaped`")) >= 3);
        let times = seen(&ended, "held until now");
        let shortest: f64 = times.split([' ', ',']).nth(3).unwrap().parse().unwrap();
        assert!(shortest >= DELAY_MS.into(), "{times}");
        passes_at_once(&a, address, PORT);
    }
    assert_eq!(b.agent("leftovers").0, 0);
    assert_eq!(b.tables(), [""; 0]);
}

#[test]
fn only_the_named_port_and_sender_are_held_up_and_management_never() {
    let (a, b) = pair();
    let mut at_b = Channel::open(&b);
    at_b.hello(LONG_LEASE_MS, &[a.ip]);
    for port in [22, PORT, PORT + 1] {
        serve_echo(&b, b.ip, port);
    }
    let installed = at_b.install("port", delay(&a, Some(PORT), 100));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let least = 2 * Duration::from_millis((DELAY_MS - 100).into());
    assert!(takes(&a, b.ip, PORT) >= least);
    passes_at_once(&a, b.ip, PORT + 1);
    at_b.install("all", delay(&a, None, 0));
    passes_at_once(&a, b.ip, 22);
    let other = hold(vec!["10.99.0.77".parse().unwrap()], None, DELAY_MS, 0);
    for fault in ["port", "all"] {
        at_b.undo(fault);
    }
    at_b.install("other", other);
    passes_at_once(&a, b.ip, PORT);
    assert_eq!(at_b.undo("other").outcome, Outcome::Skipped);
}

#[test]
fn packets_held_when_the_fault_ends_go_on_their_way() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    let order = hold(vec![a.ip], Some(PORT), 10_000, 0);
    at_b.install("long", order);
    let took = std::thread::scope(|scope| {
        let client = scope.spawn(|| takes(&a, b.ip, PORT));
        eventually("a packet is held", || {
            let queues = b.run(&["cat", "/proc/net/netfilter/nfnetlink_queue"]);
            let queues = String::from_utf8(queues.stdout).unwrap();
            let waiting = queues.split_whitespace().nth(2).unwrap_or("0").to_owned();
            waiting != "0"
        });
        at_b.undo("long");
        client.join().unwrap()
    });
    // Held to the end, each of two would have taken so long.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn the_death_of_the_queue_process_lets_packets_pass_and_is_told() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    at_b.install("delay", delay(&a, None, 0));
    assert!(is_delayed(takes(&a, b.ip, PORT)));
    let (_, left) = b.agent("leftovers");
    let process = left[0]["remains"][1].as_str().unwrap();
    let pid = process.split(' ').nth(1).unwrap();
    b.run(&["kill", "-9", pid]);
    passes_at_once(&a, b.ip, PORT);
    let ended = at_b.undo("delay");
    assert_eq!(ended.outcome, Outcome::Indeterminate, "{ended:?}");
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn when_the_agent_is_killed_neither_rules_nor_process_stay() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    at_b.install("delay", delay(&a, None, 0));
    at_b.prepare("another", delay(&a, None, 0));
    assert!(is_delayed(takes(&a, b.ip, PORT)));
    at_b.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || b.watchdogs().is_empty());
    passes_at_once(&a, b.ip, PORT);
    assert_eq!(b.agent("leftovers").0, 0);
    assert_eq!(b.tables(), [""; 0]);
    let processes = b.run(&["sh", "-c", "cat /proc/[0-9]*/stat"]);
    let processes = String::from_utf8(processes.stdout).unwrap();
    let lives = |line: &str| line.contains("(shakedown-queue") && !line.contains(") Z");
    assert!(!processes.lines().any(lives), "{processes}");
}

#[test]
fn a_noop_delay_is_skipped_and_holds_nothing() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    let installed = at_b.install_noop("noop", delay(&a, None, 0));
    assert_eq!(installed.outcome, Outcome::Skipped);
    passes_at_once(&a, b.ip, PORT);
    assert_eq!(at_b.undo("noop").outcome, Outcome::Skipped);
}
