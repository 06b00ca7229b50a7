//! One SSH session: connects (again, if that may help), checks the host key, logs in, and is closed explicitly.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use ssh2::{ErrorCode, Session};

use super::{ControlError, Target, host_key, login, tunnel};

/// Codes of libssh2 for a connection that broke or never spoke: BANNER_RECV, SOCKET_SEND, TIMEOUT,
/// SOCKET_DISCONNECT, SOCKET_TIMEOUT, SOCKET_RECV, BAD_SOCKET.
const BROKEN: [i32; 7] = [-2, -7, -9, -13, -30, -43, -45];

/// A session that is logged in, in non-blocking mode.
pub(crate) struct Connection {
    pub(crate) session: Session,
    /// The session's socket, or that of a tunnel; libssh2 has its own handle.
    stream: OwnedFd,
}

/// Why an attempt to connect failed.
pub(crate) enum Failure {
    /// May pass: refused, reset, or no greeting.
    Transient(String),
    /// Will not pass.
    Final(ControlError),
}

impl Connection {
    /// Connects and logs in.
    pub(crate) fn open(target: &Target) -> Result<Connection, ControlError> {
        let patience = &target.access.patience;
        // Behind a jump host, names are that host's to resolve.
        let addresses = match target.jump {
            Some(_) => Vec::new(),
            None => resolve(target)?,
        };
        let mut wait = patience.backoff;
        let mut attempt = 1;
        loop {
            match attempt_once(target, &addresses) {
                Ok(connection) => return Ok(connection),
                Err(Failure::Final(e)) => return Err(e),
                Err(Failure::Transient(problem)) if attempt >= patience.attempts => {
                    return Err(unreachable(target, attempt, problem));
                }
                Err(Failure::Transient(_)) => {}
            }
            thread::sleep(wait);
            wait *= 2;
            attempt += 1;
        }
    }

    /// The socket, to wait on.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Cuts the connection, so that whatever is still open on it fails at once instead of waiting for the server.
    pub(crate) fn cut(&self) {
        // It may be cut already.
        let _ = shutdown(self.stream.as_raw_fd(), Shutdown::Both);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.set_blocking(true);
        self.session.set_timeout(500);
        // The server sees the end of the connection in any case; this only makes its log friendlier.
        let _ = self.session.disconnect(None, "done", None);
    }
}

fn resolve(target: &Target) -> Result<Vec<SocketAddr>, ControlError> {
    let unresolved = |source| ControlError::Unresolved {
        node: target.node.clone(),
        host: target.host.clone(),
        source,
    };
    let found = (target.host.as_str(), target.port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = found.map_err(unresolved)?.collect();
    if addresses.is_empty() {
        return Err(unresolved(io::Error::other("no addresses")));
    }
    Ok(addresses)
}

fn attempt_once(target: &Target, addresses: &[SocketAddr]) -> Result<Connection, Failure> {
    let io_failed = |e: io::Error| Failure::Transient(e.to_string());
    let stream: OwnedFd = match &target.jump {
        Some(jump) => tunnel::open(target, jump)?.into(),
        None => {
            let stream = connect(target, addresses)?;
            stream.set_nodelay(true).map_err(io_failed)?;
            stream.into()
        }
    };
    let handshake = |e: ssh2::Error| handshake_failure(target, &e);
    let mut session = Session::new().map_err(handshake)?;
    session.set_timeout(milliseconds(target.access.patience.handshake));
    session.set_tcp_stream(stream.try_clone().map_err(io_failed)?);
    let known = host_key::known_keys(&session, target).map_err(Failure::Final)?;
    host_key::prefer_known_kinds(&session, &known).map_err(handshake)?;
    session.handshake().map_err(handshake)?;
    host_key::verify(&session, target, &known).map_err(Failure::Final)?;
    login::log_in(&session, target).map_err(Failure::Final)?;
    session.set_blocking(false);
    Ok(Connection { session, stream })
}

/// The first address that answers; else the failure of the last.
fn connect(target: &Target, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut failure = Failure::Transient("no addresses".to_owned());
    for address in addresses {
        match TcpStream::connect_timeout(address, target.access.patience.connect) {
            Ok(stream) => return Ok(stream),
            Err(e) => {
                let passing = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset];
                failure = if passing.contains(&e.kind()) {
                    Failure::Transient(e.to_string())
                } else {
                    Failure::Final(unreachable(target, 1, e.to_string()))
                };
            }
        }
    }
    Err(failure)
}

fn handshake_failure(target: &Target, e: &ssh2::Error) -> Failure {
    if is_broken(e) {
        return Failure::Transient(format!("connected, but no SSH greeting: {}", e.message()));
    }
    Failure::Final(ControlError::Handshake {
        node: target.node.clone(),
        address: target.address(),
        problem: e.message().to_owned(),
    })
}

fn unreachable(target: &Target, attempts: u32, problem: String) -> ControlError {
    ControlError::Unreachable {
        node: target.node.clone(),
        address: target.address(),
        attempts,
        problem,
    }
}

/// Whether an error says that the connection is gone.
pub(crate) fn is_broken(e: &ssh2::Error) -> bool {
    matches!(e.code(), ErrorCode::Session(code) if BROKEN.contains(&code))
}

/// libssh2 counts in milliseconds, and takes 0 for forever.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis())
        .unwrap_or(u32::MAX)
        .max(1)
}
