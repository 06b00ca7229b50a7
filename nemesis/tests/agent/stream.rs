//! TCP connections that go wrong, as clients see them.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::ports::{Side, StreamMode};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually, pair};
use crate::traffic::{connect, request, serve_echo};

const PORT: u16 = 7700;

/// How long silence lasts before it counts as silence.
const SILENCE: Duration = Duration::from_millis(400);

/// Longer than anything that has to happen takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn stream(from: &Node, mode: StreamMode) -> NodeFault {
    NodeFault::Stream {
        from: vec![from.ip, from.ipv6],
        clients: false,
        port: PORT,
        mode,
    }
}

fn open(from: &Node, address: IpAddr) -> TcpStream {
    let to = SocketAddr::new(address, PORT);
    let connection = from.inside(|| TcpStream::connect_timeout(&to, PATIENCE).unwrap());
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

/// Everything that comes until the connection ends, and in what pieces.
fn read_all(connection: &mut TcpStream) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = connection.read(&mut bytes) {
        pieces.push(bytes[..length].to_vec());
    }
    pieces
}

/// Has the fault in force while `act` is done over IPv4 and IPv6, with a connection opened before which must
/// go on; then sees to it that all is well.
fn under(mode: StreamMode, what: &str, act: impl Fn(&Node, IpAddr)) {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    for (fault, address) in [("v4", b.ip), ("v6", b.ipv6)] {
        serve_echo(&b, address, PORT);
        let mut before = a.inside(|| connect(address, PORT)).unwrap();
        let installed = at_b.install(fault, stream(&a, mode));
        assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
        act(&a, address);
        before.write_all(b"x").unwrap();
        before.read_exact(&mut [0]).unwrap();
        let ended = at_b.undo(fault);
        assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
        assert_ne!(seen(&ended, what), "0");
        before.write_all(b"y").unwrap();
        before.read_exact(&mut [0]).unwrap();
        a.inside(|| request(address, PORT, b"well again")).unwrap();
    }
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn a_connection_that_hangs_is_accepted_and_says_nothing() {
    under(
        StreamMode::Hang,
        "connections left without a word",
        |a, address| {
            let mut connection = open(a, address);
            connection.set_read_timeout(Some(SILENCE)).unwrap();
            connection.write_all(b"anyone there?").unwrap();
            assert!(connection.read(&mut [0]).is_err(), "no greeting, no end");
        },
    );
}

#[test]
fn an_answer_is_cut_after_exactly_so_many_bytes() {
    let mode = StreamMode::Cut {
        after_bytes: 3000,
        of: Side::Answers,
    };
    under(mode, "connections cut", |a, address| {
        let mut connection = open(a, address);
        let body: Vec<u8> = (0..5000_u32).map(|n| (n % 251) as u8).collect();
        connection.write_all(&body).unwrap();
        let got = read_all(&mut connection).concat();
        assert_eq!(got.len(), 3000);
        assert_eq!(got[..5], *b"hello");
        assert_eq!(got[5..], body[..2995]);
    });
}

#[test]
fn a_request_that_is_cut_never_arrives_as_a_whole() {
    let mode = StreamMode::Cut {
        after_bytes: 1000,
        of: Side::Requests,
    };
    under(mode, "connections cut", |a, address| {
        let mut connection = open(a, address);
        connection.write_all(&[7; 5000]).unwrap();
        let got = read_all(&mut connection).concat();
        assert!(got.len() <= 5 + 1000, "{} bytes came back", got.len());
        let mut short = open(a, address);
        short.write_all(&[7; 999]).unwrap();
        short.read_exact(&mut [0; 5 + 999]).unwrap();
    });
}

#[test]
fn sliced_bytes_arrive_in_small_pieces_and_all_of_them() {
    let mode = StreamMode::Slice {
        bytes: 10,
        pause_ms: 20,
    };
    under(mode, "pieces passed on", |a, address| {
        // Who has to wait for a processor reads several pieces at once.
        eventually("pieces are read one by one", || {
            let mut connection = open(a, address);
            let begun = Instant::now();
            connection.write_all(&[7; 95]).unwrap();
            connection.shutdown(Shutdown::Write).unwrap();
            let pieces = read_all(&mut connection);
            assert_eq!(pieces.concat().len(), 100);
            // Ten of requests, and as many pauses but the last before the last can be answered.
            assert!(begun.elapsed() >= Duration::from_millis(180));
            pieces.len() >= 5
        });
    });
}

#[test]
fn a_slow_close_comes_when_it_says() {
    let mode = StreamMode::SlowClose { hold_ms: 500 };
    under(mode, "closes held back", |a, address| {
        let mut connection = open(a, address);
        connection.write_all(b"quick").unwrap();
        connection.read_exact(&mut [0; 10]).unwrap();
        let begun = Instant::now();
        connection.shutdown(Shutdown::Write).unwrap();
        assert_eq!(connection.read(&mut [0]).unwrap(), 0);
        // The server hears of the client's end late, and the client of the server's.
        assert!(begun.elapsed() >= Duration::from_millis(1000));
    });
}

#[test]
fn others_and_noop_connections_pass_and_the_fault_is_skipped() {
    let (a, b) = pair();
    let mut at_b = Channel::open(&b);
    at_b.hello(LONG_LEASE_MS, &[a.ip]);
    for port in [22, PORT] {
        serve_echo(&b, b.ip, port);
    }
    let order = |clients, port| NodeFault::Stream {
        from: vec!["10.99.0.77".parse().unwrap()],
        clients,
        port,
        mode: StreamMode::Hang,
    };
    let reaches = |port| a.inside(|| request(b.ip, port, b"x").is_ok());
    at_b.install("others", order(false, PORT));
    assert!(reaches(PORT));
    assert_eq!(at_b.undo("others").outcome, Outcome::Skipped);
    let installed = at_b.install_noop("noop", order(true, PORT));
    assert_eq!(installed.outcome, Outcome::Skipped);
    assert!(reaches(PORT));
    assert_eq!(at_b.undo("noop").outcome, Outcome::Skipped);
    at_b.install("management", order(true, 22));
    assert!(reaches(22), "management is never led astray");
}

#[test]
fn after_the_agents_death_connections_reach_the_service_again() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    at_b.install("hang", stream(&a, StreamMode::Hang));
    let mut hanging = open(&a, b.ip);
    at_b.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || b.watchdogs().is_empty());
    a.inside(|| request(b.ip, PORT, b"x")).unwrap();
    assert!(read_all(&mut hanging).is_empty(), "it ends without a word");
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
    let processes = b.run(&["sh", "-c", "cat /proc/[0-9]*/stat"]);
    let processes = String::from_utf8(processes.stdout).unwrap();
    let lives = |line: &str| line.contains("(shakedown-serve") && !line.contains(") Z");
    assert!(!processes.lines().any(lives), "{processes}");
}
