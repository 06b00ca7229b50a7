//! One connection with a fault.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use super::counts::Counters;
use crate::ports::{Side, StreamMode};

/// Bytes passed on at a time.
const BUFFER: usize = 64 << 10;

/// How long a client may take to end its side of a connection that was cut.
const CUT_PATIENCE: Duration = Duration::from_secs(1);

/// Reads what comes, and says nothing.
pub(super) fn swallow(mut client: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    while client.read(&mut bytes)? > 0 {}
    // The client has nothing more to say, but may well listen.
    loop {
        thread::park();
    }
}

/// Passes bytes on in both directions, as the mode says, until the connection ends.
pub(super) fn pass_on(
    client: TcpStream,
    service: TcpStream,
    mode: StreamMode,
    counters: &'static Counters,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    service.set_nodelay(true)?;
    let (from_client, to_client) = (client.try_clone()?, client);
    let (from_service, to_service) = (service.try_clone()?, service);
    let requests = Way {
        from: from_client,
        to: to_service,
        side: Side::Requests,
        mode,
        counters,
    };
    let answers = Way {
        from: from_service,
        to: to_client,
        side: Side::Answers,
        mode,
        counters,
    };
    let requests = thread::Builder::new().spawn(move || requests.run())?;
    let answered = answers.run();
    let _ = requests.join();
    answered
}

/// One direction.
struct Way {
    from: TcpStream,
    to: TcpStream,
    side: Side,
    mode: StreamMode,
    counters: &'static Counters,
}

impl Way {
    fn run(mut self) -> io::Result<()> {
        let ended = match self.mode {
            StreamMode::Cut { after_bytes, of } if of == self.side => return self.cut(after_bytes),
            StreamMode::Slice { bytes, pause_ms } => self.slice(bytes, pause_ms),
            _ => self.copy(u64::MAX).map(drop),
        };
        if let StreamMode::SlowClose { hold_ms } = self.mode {
            self.counters.affected();
            thread::sleep(Duration::from_millis(hold_ms.into()));
        }
        // A side that is gone has been told already.
        let _ = self.to.shutdown(Shutdown::Write);
        ended
    }

    /// Passes on up to so many bytes; true if there were as many.
    fn copy(&mut self, most: u64) -> io::Result<bool> {
        let mut left = most;
        let mut bytes = vec![0; BUFFER];
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let length = self.from.read(&mut bytes[..room])?;
            if length == 0 {
                return Ok(false);
            }
            self.to.write_all(&bytes[..length])?;
            self.counters.bytes(length);
            left -= length as u64;
        }
        Ok(true)
    }

    /// Both sides see the connection end once the bytes have passed.
    fn cut(mut self, after_bytes: u64) -> io::Result<()> {
        if self.copy(after_bytes)? {
            self.counters.affected();
        }
        self.to.shutdown(Shutdown::Write)?;
        self.from.shutdown(Shutdown::Both)?;
        // Closed with bytes unread, the connection would be reset, and bytes on their way be lost.
        self.to.set_read_timeout(Some(CUT_PATIENCE))?;
        let mut bytes = [0; 4096];
        while self.to.read(&mut bytes).is_ok_and(|length| length > 0) {}
        let _ = self.to.shutdown(Shutdown::Both);
        Ok(())
    }

    fn slice(&mut self, most: u32, pause_ms: u32) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(most).unwrap_or(BUFFER).min(BUFFER)];
        loop {
            let length = self.from.read(&mut bytes)?;
            if length == 0 {
                return Ok(());
            }
            self.to.write_all(&bytes[..length])?;
            self.counters.bytes(length);
            self.counters.affected();
            thread::sleep(Duration::from_millis(pause_ms.into()));
        }
    }
}
