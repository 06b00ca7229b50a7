//! Questions for names that fail, as the program sees it that asks.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::ports::DnsMode;

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually, pair};

/// How long silence lasts before it counts as silence.
const SILENCE: Duration = Duration::from_millis(400);

/// Longer than an answer takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks for `a.bc`.
const QUESTION: &[u8] = b"\xab\xcd\x01\x00\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x01\0\x01";

/// A server for names on a node that answers every question by the question, with no error.
fn serve_names(node: &Node, address: IpAddr) {
    let (udp, tcp) = node.inside(|| {
        let udp = UdpSocket::bind((address, 53)).unwrap();
        (udp, TcpListener::bind((address, 53)).unwrap())
    });
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, asker)) = udp.recv_from(&mut bytes) {
            bytes[2] |= 0x80;
            let _ = udp.send_to(&bytes[..length], asker);
        }
    });
    thread::spawn(move || {
        for client in tcp.incoming() {
            let mut client = client.unwrap();
            let mut bytes = vec![0; 2 + QUESTION.len()];
            if client.read_exact(&mut bytes).is_ok() {
                bytes[4] |= 0x80;
                let _ = client.write_all(&bytes);
            }
        }
    });
}

/// The error code of the answer to a question asked over UDP.
fn ask(from: &Node, server: IpAddr, patience: Duration) -> io::Result<u8> {
    let any: IpAddr = match server {
        IpAddr::V4(_) => "0.0.0.0".parse().unwrap(),
        IpAddr::V6(_) => "::".parse().unwrap(),
    };
    let client = from.inside(|| UdpSocket::bind((any, 0)).unwrap());
    client.set_read_timeout(Some(patience)).unwrap();
    // Connected, it hears only answers that come from where the question went.
    client.connect((server, 53)).unwrap();
    client.send(QUESTION)?;
    let mut answer = [0; 512];
    let length = client.recv(&mut answer)?;
    assert_eq!(answer[..2], QUESTION[..2]);
    assert_eq!(answer[12..length], QUESTION[12..]);
    Ok(answer[3] & 0xf)
}

/// The same over TCP.
fn ask_over_tcp(from: &Node, server: IpAddr, patience: Duration) -> io::Result<u8> {
    let to = SocketAddr::new(server, 53);
    let mut client = from.inside(|| TcpStream::connect_timeout(&to, patience))?;
    client.set_read_timeout(Some(patience)).unwrap();
    let length = u16::try_from(QUESTION.len()).unwrap().to_be_bytes();
    client.write_all(&[&length, QUESTION].concat())?;
    let mut answer = vec![0; 2 + QUESTION.len()];
    client.read_exact(&mut answer)?;
    Ok(answer[5] & 0xf)
}

#[test]
fn questions_get_the_error_that_was_asked_for_or_none_at_all() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    for (version, server) in [("v4", a.ip), ("v6", a.ipv6)] {
        serve_names(&a, server);
        eventually("names are resolved", || ask(&b, server, SILENCE).is_ok());
        for (mode, code) in [
            (DnsMode::Servfail, Some(2)),
            (DnsMode::Nxdomain, Some(3)),
            (DnsMode::Refused, Some(5)),
            (DnsMode::Drop, None),
        ] {
            let fault = format!("{version}_{mode:?}").to_lowercase();
            let installed = at_b.install(&fault, NodeFault::Dns { mode });
            assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
            let patience = if code.is_some() { PATIENCE } else { SILENCE };
            assert_eq!(ask(&b, server, patience).ok(), code, "{fault}");
            assert_eq!(ask_over_tcp(&b, server, patience).ok(), code, "{fault}");
            let ended = at_b.undo(&fault);
            assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
            if code.is_some() {
                assert_eq!(seen(&ended, "false answers"), "2");
            }
            assert_eq!(ask(&b, server, PATIENCE).unwrap(), 0, "after {fault}");
            let over_tcp = ask_over_tcp(&b, server, PATIENCE);
            assert_eq!(over_tcp.unwrap(), 0, "after {fault}");
        }
    }
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn a_fault_on_questions_that_nobody_asks_or_a_noop_one_is_skipped() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_names(&a, a.ip);
    let order = NodeFault::Dns {
        mode: DnsMode::Servfail,
    };
    at_b.install("unasked", order.clone());
    assert_eq!(at_b.undo("unasked").outcome, Outcome::Skipped);
    assert_eq!(at_b.install_noop("noop", order).outcome, Outcome::Skipped);
    assert_eq!(ask(&b, a.ip, PATIENCE).unwrap(), 0);
    assert_eq!(at_b.undo("noop").outcome, Outcome::Skipped);
}

#[test]
fn after_the_agents_death_names_are_resolved_again() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_names(&a, a.ip);
    let mode = DnsMode::Refused;
    at_b.install("dns", NodeFault::Dns { mode });
    assert_eq!(ask(&b, a.ip, PATIENCE).unwrap(), 5);
    at_b.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || b.watchdogs().is_empty());
    assert_eq!(ask(&b, a.ip, PATIENCE).unwrap(), 0);
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}
