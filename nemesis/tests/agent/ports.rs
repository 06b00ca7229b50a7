//! Blocked ports, as clients see them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use nix::sys::signal::Signal;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::ports::BlockMode;

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually, pair};
use crate::traffic::{connect, request, serve_echo};

const PORT: u16 = 7700;

/// How long silence lasts before it counts as silence.
const SILENCE: Duration = Duration::from_millis(400);

/// Longer than an answer takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

fn block(from: &Node, mode: BlockMode) -> NodeFault {
    NodeFault::Block {
        from: vec![from.ip, from.ipv6],
        clients: false,
        port: PORT,
        mode,
    }
}

/// What becomes of an attempt to open a connection.
fn attempt(from: &Node, address: IpAddr, patience: Duration) -> io::Result<()> {
    let to = SocketAddr::new(address, PORT);
    from.inside(|| TcpStream::connect_timeout(&to, patience).map(drop))
}

/// Whether a byte sent on a connection comes back.
fn answers(connection: &mut TcpStream, patience: Duration) -> bool {
    connection.set_read_timeout(Some(patience)).unwrap();
    let mut byte = [0];
    connection.write_all(b"x").is_ok() && connection.read_exact(&mut byte).is_ok()
}

/// Sends a byte over UDP to a server that sends it back.
fn ask_over_udp(from: &Node, server: &UdpSocket, patience: Duration) -> io::Result<()> {
    let to = server.local_addr().unwrap();
    let any: IpAddr = match to {
        SocketAddr::V4(_) => "0.0.0.0".parse().unwrap(),
        SocketAddr::V6(_) => "::".parse().unwrap(),
    };
    let client = from.inside(|| UdpSocket::bind((any, 0)).unwrap());
    client.connect(to).unwrap();
    client.set_read_timeout(Some(patience)).unwrap();
    server.set_read_timeout(Some(patience)).unwrap();
    client.send(b"x")?;
    let mut byte = [0];
    if let Ok((_, back)) = server.recv_from(&mut byte) {
        server.send_to(&byte, back).unwrap();
    }
    client.recv(&mut byte).map(drop)
}

#[test]
fn each_mode_shuts_out_what_it_says_and_no_more() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    for (version, address) in [("v4", b.ip), ("v6", b.ipv6)] {
        serve_echo(&b, address, PORT);
        let udp = b.inside(|| UdpSocket::bind((address, PORT)).unwrap());
        eventually("the link is up", || attempt(&a, address, SILENCE).is_ok());
        for (mode, new, open_goes_on, over_udp) in [
            (
                BlockMode::Drop,
                ErrorKind::TimedOut,
                false,
                Some(ErrorKind::WouldBlock),
            ),
            (BlockMode::DropNew, ErrorKind::TimedOut, true, None),
            (
                BlockMode::Refuse,
                ErrorKind::ConnectionRefused,
                true,
                Some(ErrorKind::ConnectionRefused),
            ),
        ] {
            let fault = format!("{version}_{mode:?}").to_lowercase();
            let mut open = a.inside(|| connect(address, PORT)).unwrap();
            let installed = at_b.install(&fault, block(&a, mode));
            assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
            // Waited for in vain, or for as long as it takes.
            let until = |silent| if silent { SILENCE } else { PATIENCE };
            let refused = attempt(&a, address, until(new == ErrorKind::TimedOut));
            assert_eq!(refused.unwrap_err().kind(), new, "{fault}");
            let answered = answers(&mut open, until(!open_goes_on));
            assert_eq!(answered, open_goes_on, "{fault}");
            let asked = ask_over_udp(&a, &udp, until(over_udp.is_some()));
            let failure = asked.err().map(|error| error.kind());
            assert_eq!(failure, over_udp, "{fault}");
            let ended = at_b.undo(&fault);
            assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
            attempt(&a, address, PATIENCE).unwrap();
            ask_over_udp(&a, &udp, PATIENCE).unwrap();
            eventually("what was open goes on", || answers(&mut open, SILENCE));
        }
    }
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn others_other_ports_and_management_are_not_blocked() {
    let (a, b) = pair();
    let mut at_b = Channel::open(&b);
    at_b.hello(LONG_LEASE_MS, &[a.ip]);
    for port in [22, PORT, PORT + 1] {
        serve_echo(&b, b.ip, port);
    }
    let order = |clients, port| NodeFault::Block {
        from: vec!["10.99.0.77".parse().unwrap()],
        clients,
        port,
        mode: BlockMode::Drop,
    };
    let reaches = |port| a.inside(|| request(b.ip, port, b"x").is_ok());
    at_b.install("others", order(false, PORT));
    assert!(reaches(PORT));
    assert_eq!(at_b.undo("others").outcome, Outcome::Skipped);
    at_b.install("clients", order(true, PORT));
    assert!(!reaches(PORT));
    assert!(reaches(PORT + 1));
    at_b.install("management", order(true, 22));
    assert!(reaches(22), "the management connection is never blocked");
    let ended = at_b.undo("management");
    assert_eq!(ended.outcome, Outcome::Skipped);
    let spared = format!("packets counted by rule `management {} 22`", a.ip);
    assert_ne!(seen(&ended, &spared), "0");
    at_b.undo("clients");
    assert!(reaches(PORT));
}

#[test]
fn a_noop_block_is_skipped_and_blocks_nothing() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    let installed = at_b.install_noop("noop", block(&a, BlockMode::Refuse));
    assert_eq!(installed.outcome, Outcome::Skipped);
    attempt(&a, b.ip, PATIENCE).unwrap();
    assert_eq!(at_b.undo("noop").outcome, Outcome::Skipped);
}

#[test]
fn a_cut_of_clients_spares_the_connection_to_the_agent() {
    let (a, b) = pair();
    let mut at_b = Channel::open(&b);
    at_b.hello(LONG_LEASE_MS, &[a.ip]);
    for port in [22, PORT] {
        serve_echo(&b, b.ip, port);
    }
    let reaches = |port| a.inside(|| request(b.ip, port, b"x").is_ok());
    let order = NodeFault::DropFrom {
        peers: vec![],
        clients: true,
    };
    assert_eq!(at_b.install("cut", order).outcome, Outcome::Installed);
    assert!(!reaches(PORT));
    assert!(reaches(22));
    assert_eq!(at_b.undo("cut").outcome, Outcome::Installed);
    assert!(reaches(PORT));
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}

#[test]
fn after_the_agents_death_the_port_is_open_again() {
    let (a, b) = pair();
    let mut at_b = Channel::greet(&b, LONG_LEASE_MS);
    serve_echo(&b, b.ip, PORT);
    at_b.install("refuse", block(&a, BlockMode::Refuse));
    assert!(attempt(&a, b.ip, PATIENCE).is_err());
    at_b.signal(Signal::SIGKILL);
    eventually("the watchdog is done", || b.watchdogs().is_empty());
    attempt(&a, b.ip, PATIENCE).unwrap();
    assert_eq!(b.tables(), [""; 0]);
    assert_eq!(b.agent("leftovers").0, 0);
}
