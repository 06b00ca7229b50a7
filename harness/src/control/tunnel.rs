//! A way to a node through a jump host: a session there, and on it a channel to the node's SSH server. A thread of its own
//! passes bytes between that channel and a pair of sockets, of which the node's session has the other end.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel};

use super::Target;
use super::connection::{Connection, Failure};
use super::exchange::{self, Broken};

/// Most that is held of one direction, bytes.
const HELD: usize = 64 << 10;

/// A full window also ends with a packet that libssh2 may have read already: it is looked at again so soon, ms.
const LOOK_AGAIN_MS: u16 = 50;

/// Logs in to the jump host and asks it for a connection to the node. The tunnel ends when the socket is closed.
pub(crate) fn open(target: &Target, jump: &Target) -> Result<UnixStream, Failure> {
    let connection = Connection::open(jump).map_err(Failure::Final)?;
    let patience = target.access.patience.connect;
    let deadline = Instant::now() + patience;
    let asked = exchange::until(&connection, deadline, || {
        connection
            .session
            .channel_direct_tcpip(&target.host, target.port, None)
    });
    let channel = asked.map_err(|broken| {
        let problem = match broken {
            Broken::Timeout => format!("no connection within {patience:?}"),
            Broken::Lost(problem) => problem,
            Broken::Local(error) => error.to_string(),
        };
        Failure::Transient(format!("{} says: {problem}", jump.node))
    })?;
    let io_failed = |error: io::Error| Failure::Transient(error.to_string());
    let (near, far) = UnixStream::pair().map_err(io_failed)?;
    far.set_nonblocking(true).map_err(io_failed)?;
    let pump = Pump {
        connection,
        channel,
        socket: far,
        up: Vec::new(),
        down: Vec::new(),
    };
    thread::Builder::new()
        .name(format!("tunnel {}", target.node))
        .spawn(move || pump.run())
        .map_err(io_failed)?;
    Ok(near)
}

/// What passes bytes on. It alone touches the session to the jump host.
struct Pump {
    connection: Connection,
    channel: Channel,
    socket: UnixStream,
    /// On its way to the node.
    up: Vec<u8>,
    /// On its way here.
    down: Vec<u8>,
}

/// One side is closed, or broken: there is nobody to pass anything on to.
struct Over;

impl Pump {
    fn run(mut self) {
        while let Ok(moved) = self.turn() {
            if !moved && self.wait().is_err() {
                break;
            }
        }
        // Whoever has the other end of either sees the end of the connection.
        self.connection.cut();
    }

    /// Passes on what can be without waiting; says whether anything was.
    fn turn(&mut self) -> Result<bool, Over> {
        let got = fill(&mut self.down, &mut self.channel)?;
        // libssh2 also reads nothing when a packet is not whole yet.
        if got == Got::End && self.channel.eof() {
            return Err(Over);
        }
        let mut moved = got == Got::Some;
        moved |= empty(&mut self.down, &mut self.socket)?;
        match fill(&mut self.up, &mut self.socket)? {
            Got::End => return Err(Over),
            Got::Some => moved = true,
            Got::Nothing => {}
        }
        moved |= empty(&mut self.up, &mut self.channel)?;
        Ok(moved)
    }

    /// Waits until something may go on.
    fn wait(&self) -> Result<(), Over> {
        let mut session = PollFlags::empty();
        // What comes for a full buffer stays where it is.
        if self.down.is_empty() || !self.up.is_empty() {
            session |= PollFlags::POLLIN;
        }
        if matches!(
            self.connection.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        ) {
            session |= PollFlags::POLLOUT;
        }
        let mut socket = PollFlags::empty();
        if self.up.is_empty() {
            socket |= PollFlags::POLLIN;
        }
        if !self.down.is_empty() {
            socket |= PollFlags::POLLOUT;
        }
        let mut both = [
            PollFd::new(self.connection.socket(), session),
            PollFd::new(self.socket.as_fd(), socket),
        ];
        let longest = match self.up.is_empty() {
            true => PollTimeout::NONE,
            false => PollTimeout::from(LOOK_AGAIN_MS),
        };
        match poll(&mut both, longest) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(_) => Err(Over),
        }
    }
}

/// What there was to take.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Some,
    Nothing,
    End,
}

/// Takes what there is, if nothing is held.
fn fill(held: &mut Vec<u8>, from: &mut impl Read) -> Result<Got, Over> {
    if !held.is_empty() {
        return Ok(Got::Nothing);
    }
    held.resize(HELD, 0);
    let taken = from.read(held);
    held.truncate(*taken.as_ref().unwrap_or(&0));
    match taken {
        Ok(0) => Ok(Got::End),
        Ok(_) => Ok(Got::Some),
        Err(error) if passes(&error) => Ok(Got::Nothing),
        Err(_) => Err(Over),
    }
}

/// Hands on what is held; says whether anything went.
fn empty(held: &mut Vec<u8>, to: &mut impl Write) -> Result<bool, Over> {
    if held.is_empty() {
        return Ok(false);
    }
    match to.write(held) {
        Ok(0) => Err(Over),
        Ok(n) => {
            held.drain(..n);
            Ok(true)
        }
        Err(error) if passes(&error) => Ok(false),
        Err(_) => Err(Over),
    }
}

fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at a time, and every second time none.
    struct Slow {
        got: Vec<u8>,
        full: bool,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.full = !self.full;
            if self.full {
                return Err(ErrorKind::WouldBlock.into());
            }
            let n = bytes.len().min(3);
            self.got.extend(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_held_is_handed_on_in_order_and_nothing_is_taken_meanwhile() {
        let (mut held, mut from) = (Vec::new(), &b"in many pieces"[..]);
        let mut to = Slow {
            got: Vec::new(),
            full: false,
        };
        assert!(fill(&mut held, &mut from).is_ok_and(|got| got == Got::Some));
        while !held.is_empty() {
            assert!(fill(&mut held, &mut from).is_ok_and(|got| got == Got::Nothing));
            assert!(empty(&mut held, &mut to).is_ok());
        }
        assert_eq!(to.got, b"in many pieces");
        assert!(fill(&mut held, &mut from).is_ok_and(|got| got == Got::End));
        assert!(held.is_empty());
    }
}
