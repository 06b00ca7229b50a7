//! Stands between clients and a service: accepts what rules lead here, and connects to where it was meant
//! to go.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};

use super::connection;
use super::counts::Counters;
use crate::ports::StreamMode;

/// How long the service may take to accept.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Serves in threads of its own; the port that rules are to lead connections to.
pub(super) fn serve(
    service_port: u16,
    mode: StreamMode,
    counters: &'static Counters,
) -> io::Result<u16> {
    // One socket for IPv4 and IPv6, unless the kernel has only the former.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming() {
            // Without threads or descriptors left, this client's connection ends, and others may do better.
            let Ok(client) = client else { continue };
            counters.connection();
            let _ =
                thread::Builder::new().spawn(move || take(client, service_port, mode, counters));
        }
    });
    Ok(port)
}

/// One connection, to its end. That it breaks is nothing to report: such is the fault, or its client.
fn take(client: TcpStream, service_port: u16, mode: StreamMode, counters: &'static Counters) {
    if mode == StreamMode::Hang {
        counters.affected();
        let _ = connection::swallow(client);
        return;
    }
    let meant = meant_for(&client, service_port);
    let service = meant.and_then(|to| TcpStream::connect_timeout(&to, CONNECT_PATIENCE));
    match service {
        Ok(service) => {
            let _ = connection::pass_on(client, service, mode, counters);
        }
        Err(_) => counters.unreachable(),
    }
}

/// Where a connection went before rules led it here.
fn meant_for(client: &TcpStream, service_port: u16) -> io::Result<SocketAddr> {
    if let Ok(to) = getsockopt(client, sockopt::OriginalDst) {
        let address = IpAddr::from(to.sin_addr.s_addr.to_ne_bytes());
        return Ok(SocketAddr::new(address, u16::from_be(to.sin_port)));
    }
    if let Ok(to) = getsockopt(client, sockopt::Ip6tOriginalDst) {
        let address = IpAddr::from(to.sin6_addr.s6_addr);
        return Ok(SocketAddr::new(address, u16::from_be(to.sin6_port)));
    }
    let here = client.local_addr()?.ip().to_canonical();
    Ok(SocketAddr::new(here, service_port))
}
