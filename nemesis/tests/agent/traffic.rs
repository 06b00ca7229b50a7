//! Traffic between nodes: probes through agents, and TCP servers and clients of the tests' own.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use shakedown_nemesis::protocol::{Reply, RequestBody};

use crate::channel::Channel;
use crate::node::Node;

/// Sends five probe packets from one agent to another; how many arrive. `wait_ms` is how long none may
/// arrive before that counts as none.
pub(crate) fn probe(
    from: &mut Channel,
    to: &mut Channel,
    address: IpAddr,
    nonce: u64,
    wait_ms: u64,
) -> u64 {
    let Ok(Reply::Probe { port }) = to.ask(RequestBody::ProbeListen) else {
        panic!("no probe socket");
    };
    let sent = from.ask(RequestBody::ProbeSend {
        to: SocketAddr::new(address, port),
        nonce,
        count: 5,
    });
    assert_eq!(sent, Ok(Reply::Done));
    let wanted = 1;
    match to.ask(RequestBody::ProbeCount {
        nonce,
        wanted,
        wait_ms,
    }) {
        Ok(Reply::Count { packets, .. }) => packets,
        other => panic!("{other:?}"),
    }
}

/// A server on a node that greets each client and then sends back what it gets.
pub(crate) fn serve_echo(node: &Node, address: IpAddr, port: u16) {
    let listener = node.inside(|| TcpListener::bind((address, port)).unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            thread::spawn(move || echo(client));
        }
    });
}

fn echo(mut client: TcpStream) -> io::Result<()> {
    // A client whose packet was rejected is gone without a word to this side.
    client.set_read_timeout(Some(Duration::from_secs(20)))?;
    client.write_all(b"hello")?;
    let mut bytes = [0; 64];
    loop {
        match client.read(&mut bytes)? {
            0 => return Ok(()),
            length => client.write_all(&bytes[..length])?,
        }
    }
}

/// Connects, reads the greeting and leaves: sends SYN, ACK and FIN, but no data.
pub(crate) fn listen_only(address: IpAddr, port: u16) -> io::Result<()> {
    connect(address, port).map(drop)
}

/// One request of `request` on a connection of its own; it is answered or the connection breaks.
pub(crate) fn request(address: IpAddr, port: u16, request: &[u8]) -> io::Result<()> {
    let mut server = connect(address, port)?;
    server.write_all(request)?;
    let mut answer = vec![0; request.len()];
    server.read_exact(&mut answer)?;
    assert_eq!(answer, request);
    Ok(())
}

/// Opens a connection and reads the greeting.
pub(crate) fn connect(address: IpAddr, port: u16) -> io::Result<TcpStream> {
    // The kernel opens the connection; the answer takes a thread that may have to wait for a processor.
    let opened = Duration::from_secs(5);
    let mut server = TcpStream::connect_timeout(&SocketAddr::new(address, port), opened)?;
    server.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut greeting = [0; 5];
    server.read_exact(&mut greeting)?;
    assert_eq!(&greeting, b"hello");
    Ok(server)
}
