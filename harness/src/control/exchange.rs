//! Runs one command on a session: feeds standard input, takes both outputs as they come, all within a time limit.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel, ErrorCode};

use super::connection::Connection;
use super::remote::Status;

/// libssh2's EAGAIN.
const WOULD_BLOCK: ErrorCode = ErrorCode::Session(-37);

/// Bytes taken from one stream before the other, and the clock, are looked at again.
const AT_ONCE: usize = 1 << 20;

/// Why an exchange ended early.
pub(crate) enum Broken {
    /// The time limit passed.
    Timeout,
    /// The connection failed.
    Lost(String),
    /// A local source or sink failed.
    Local(io::Error),
}

impl From<ssh2::Error> for Broken {
    fn from(e: ssh2::Error) -> Broken {
        Broken::Lost(e.message().to_owned())
    }
}

/// How long an exchange may take.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// In all.
    Total(Duration),
    /// Without a byte moving.
    Stall(Duration),
}

impl Limit {
    fn duration(self) -> Duration {
        match self {
            Limit::Total(d) | Limit::Stall(d) => d,
        }
    }
}

/// Opens a channel on an idle session.
pub(crate) fn open_channel(connection: &Connection, patience: Duration) -> Result<Channel, Broken> {
    let deadline = Instant::now() + patience;
    until(connection, deadline, || {
        connection.session.channel_session()
    })
}

/// Starts the command on the channel.
pub(crate) fn start(
    connection: &Connection,
    channel: &mut Channel,
    command: &str,
    patience: Duration,
) -> Result<(), Broken> {
    let deadline = Instant::now() + patience;
    until(connection, deadline, || channel.exec(command))
}

/// Feeds and drains a started command until it ends.
pub(crate) fn converse(
    connection: &Connection,
    channel: &mut Channel,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
    limit: Limit,
) -> Result<Status, Broken> {
    let mut deadline = Instant::now() + limit.duration();
    let mut input = Input::new(stdin);
    loop {
        let mut moved = input.feed(channel)?;
        moved |= drain(channel, stdout)?;
        moved |= drain(&mut channel.stderr(), stderr)?;
        if channel.eof() {
            break;
        }
        if moved {
            if let Limit::Stall(patience) = limit {
                deadline = Instant::now() + patience;
            }
            if Instant::now() > deadline {
                return Err(Broken::Timeout);
            }
        } else if channel.read_window().available == 0 {
            // Reading one stream may have queued data of the other: then there is nothing to wait for.
            wait(connection, deadline, input.pending())?;
        }
    }
    until(connection, deadline, || channel.close())?;
    until(connection, deadline, || channel.wait_close())?;
    let signal = channel.exit_signal()?.exit_signal;
    Ok(match signal {
        Some(name) => Status::Signalled(name),
        None => Status::Exited(channel.exit_status()?),
    })
}

/// What is on its way into the command.
struct Input<'a> {
    source: &'a mut dyn Read,
    buffer: Vec<u8>,
    sent: usize,
    filled: usize,
    source_ended: bool,
    eof_sent: bool,
}

impl<'a> Input<'a> {
    fn new(source: &'a mut dyn Read) -> Input<'a> {
        Input {
            source,
            buffer: vec![0; 256 << 10],
            sent: 0,
            filled: 0,
            source_ended: false,
            eof_sent: false,
        }
    }

    fn pending(&self) -> bool {
        !self.eof_sent
    }

    /// Sends what the channel takes; says whether anything moved.
    fn feed(&mut self, channel: &mut Channel) -> Result<bool, Broken> {
        let mut moved = false;
        while !self.eof_sent {
            if self.sent == self.filled && !self.source_ended {
                self.filled = self.source.read(&mut self.buffer).map_err(Broken::Local)?;
                self.sent = 0;
                self.source_ended = self.filled == 0;
            }
            if self.sent == self.filled {
                match channel.send_eof() {
                    Ok(()) => self.eof_sent = true,
                    Err(e) if e.code() == WOULD_BLOCK => return Ok(moved),
                    Err(e) => return Err(e.into()),
                }
                return Ok(true);
            }
            match channel.write(&self.buffer[self.sent..self.filled]) {
                Ok(0) => return Ok(moved),
                Ok(n) => {
                    self.sent += n;
                    moved = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(moved),
                // The command ended without reading all: its status says why.
                Err(_) if channel.eof() => {
                    self.eof_sent = true;
                    return Ok(moved);
                }
                Err(e) => return Err(Broken::Lost(e.to_string())),
            }
        }
        Ok(moved)
    }
}

/// Copies what has arrived, up to [`AT_ONCE`]; says whether anything had.
fn drain(from: &mut dyn Read, to: &mut dyn Write) -> Result<bool, Broken> {
    let mut buffer = [0; 32 << 10];
    let mut moved = 0;
    // A command that writes faster than this reads must not keep the loop from its deadline.
    while moved < AT_ONCE {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                to.write_all(&buffer[..n]).map_err(Broken::Local)?;
                moved += n;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => return Err(Broken::Lost(e.to_string())),
        }
    }
    Ok(moved > 0)
}

/// Repeats a non-blocking call until it is done.
pub(crate) fn until<T>(
    connection: &Connection,
    deadline: Instant,
    mut call: impl FnMut() -> Result<T, ssh2::Error>,
) -> Result<T, Broken> {
    loop {
        match call() {
            Err(e) if e.code() == WOULD_BLOCK => wait(connection, deadline, false)?,
            other => return Ok(other?),
        }
    }
}

/// Waits until the socket can be read, or written if libssh2 was stopped by that.
fn wait(connection: &Connection, deadline: Instant, sending: bool) -> Result<(), Broken> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Broken::Timeout);
    }
    let mut events = PollFlags::POLLIN;
    let blocked_outbound = matches!(
        connection.session.block_directions(),
        BlockDirections::Outbound | BlockDirections::Both
    );
    if blocked_outbound {
        events |= PollFlags::POLLOUT;
    }
    // While sending, a full window also ends with a packet that libssh2 may have read already: look again soon.
    let longest = if sending {
        left.min(Duration::from_millis(50))
    } else {
        left
    };
    let timeout = PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(connection.socket(), events)];
    match poll(&mut fds, timeout) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(e) => Err(Broken::Lost(e.to_string())),
    }
}
