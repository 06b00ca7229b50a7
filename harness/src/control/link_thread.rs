//! The thread behind an agent link. It alone touches the session: it waits for the socket and for orders at once, so
//! that a request leaves, and an answer is handed on, without delay.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shakedown_nemesis::frame::{FrameDecoder, encode};
use shakedown_nemesis::protocol::{Message, Notice, Reply, Request, RequestBody};
use ssh2::Channel;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::agent_link::dead;
use super::connection::Connection;
use super::exchange::{self, Broken};
use super::{AgentError, Remote, SshRemote, quote};

/// Patience for the agent to end after its input has ended.
const FAREWELL: Duration = Duration::from_secs(5);

/// Bytes of the agent's standard error kept, to explain its end.
const STDERR_KEPT: usize = 4096;

/// What a link asks of its thread.
pub(crate) enum Order {
    /// Send a request; its answer goes to `answer` within `limit`.
    Ask {
        body: RequestBody,
        limit: Duration,
        answer: oneshot::Sender<Result<Reply, AgentError>>,
    },
    /// End the agent.
    End,
}

/// A request without answer yet.
struct Pending {
    what: &'static str,
    limit: Duration,
    deadline: Instant,
    /// `None` for the thread's own pings.
    answer: Option<oneshot::Sender<Result<Reply, AgentError>>>,
}

pub(crate) struct Thread {
    node: String,
    connection: Connection,
    channel: Channel,
    inbox: Receiver<Order>,
    woken: UnixStream,
    notices: UnboundedSender<(String, Notice)>,
    lease: Duration,
    pending: HashMap<u64, Pending>,
    next_id: u64,
    last_sent: Instant,
    /// Since when something is sent and nothing at all has come back.
    unheard_since: Option<Instant>,
    outgoing: Vec<u8>,
    decoder: FrameDecoder,
    stderr: Vec<u8>,
    /// When to stop waiting for the agent's end, once it was told to end.
    ending: Option<Instant>,
    eof_sent: bool,
}

impl Thread {
    /// Starts the agent on a session of its own; [`Thread::run`] then serves the link.
    pub(crate) fn start(
        remote: &SshRemote,
        agent: &str,
        lease: Duration,
        inbox: Receiver<Order>,
        woken: UnixStream,
        notices: UnboundedSender<(String, Notice)>,
    ) -> Result<Thread, AgentError> {
        let node = remote.node().to_owned();
        let connection = remote.dedicated()?;
        let patience = remote.target().access.patience.handshake;
        let command = remote.wrap(&format!("exec {} serve", quote(agent)));
        let channel = exchange::open_channel(&connection, patience).and_then(|mut channel| {
            exchange::start(&connection, &mut channel, &command, patience)?;
            Ok(channel)
        });
        let channel = channel.map_err(|broken| {
            connection.cut();
            let reason = match broken {
                Broken::Timeout => format!("it could not be started within {patience:?}"),
                Broken::Lost(problem) => format!("it could not be started: {problem}"),
                Broken::Local(e) => format!("it could not be started: {e}"),
            };
            dead(&node, reason)
        })?;
        Ok(Thread {
            node,
            connection,
            channel,
            inbox,
            woken,
            notices,
            lease,
            pending: HashMap::new(),
            next_id: 1,
            last_sent: Instant::now(),
            unheard_since: None,
            outgoing: Vec::new(),
            decoder: FrameDecoder::default(),
            stderr: Vec::new(),
            ending: None,
            eof_sent: false,
        })
    }

    /// Serves the link until it is told to end or the connection is gone. Everything unanswered then fails.
    pub(crate) fn run(mut self) {
        let reason = loop {
            match self.turn() {
                Ok(()) => {}
                Err(reason) => break reason,
            }
        };
        let said = String::from_utf8_lossy(&self.stderr);
        let reason = match said.trim() {
            "" => reason,
            said => format!("{reason}; it said: {said}"),
        };
        for (_, pending) in self.pending.drain() {
            if let Some(answer) = pending.answer {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(Err(dead(&self.node, reason.clone())));
            }
        }
        self.connection.cut();
        if self.ending.is_some() {
            // The last order has been taken; whoever waits for this thread to end must not wait for another.
            return;
        }
        // Orders that came too late, and those still to come, fail with the same words.
        while let Ok(order) = self.inbox.recv() {
            match order {
                Order::Ask { answer, .. } => {
                    let _ = answer.send(Err(dead(&self.node, reason.clone())));
                }
                Order::End => return,
            }
        }
    }

    /// One round: orders, bytes out, bytes in, deadlines, then wait. An error is the reason for the link's end.
    fn turn(&mut self) -> Result<(), String> {
        self.take_orders()?;
        if self.ending.is_none() && self.last_sent.elapsed() >= self.lease / 3 {
            self.enqueue(RequestBody::Ping, self.lease, None)?;
        }
        self.write()?;
        self.read()?;
        if self.channel.eof() {
            return Err("it ended".to_owned());
        }
        let next = self.expire()?;
        if self.channel.read_window().available == 0 {
            self.wait(next)?;
        }
        Ok(())
    }

    fn take_orders(&mut self) -> Result<(), String> {
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Ask {
                    body,
                    limit,
                    answer,
                }) => self.enqueue(body, limit, Some(answer))?,
                Ok(Order::End) | Err(TryRecvError::Disconnected) => {
                    if self.ending.is_none() {
                        self.ending = Some(Instant::now() + FAREWELL);
                    }
                    return Ok(());
                }
                Err(TryRecvError::Empty) => return Ok(()),
            }
        }
    }

    fn enqueue(
        &mut self,
        body: RequestBody,
        limit: Duration,
        answer: Option<oneshot::Sender<Result<Reply, AgentError>>>,
    ) -> Result<(), String> {
        let id = self.next_id;
        self.next_id += 1;
        let what = name_of(&body);
        let frame = encode(&Request { id, body }).map_err(|e| format!("{what}: {e}"))?;
        self.outgoing.extend_from_slice(&frame);
        self.last_sent = Instant::now();
        self.unheard_since.get_or_insert(self.last_sent);
        let pending = Pending {
            what,
            limit,
            deadline: self.last_sent + limit,
            answer,
        };
        self.pending.insert(id, pending);
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        while !self.outgoing.is_empty() {
            match self.channel.write(&self.outgoing) {
                Ok(0) => break,
                Ok(n) => drop(self.outgoing.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // What it said before it ended is still to be read.
                Err(_) if self.channel.eof() => break,
                Err(e) => return Err(format!("connection lost: {e}")),
            }
        }
        if self.ending.is_some() && self.outgoing.is_empty() && !self.eof_sent {
            // Would it block, the next round tries again; were it lost, reading tells.
            self.eof_sent = self.channel.send_eof().is_ok();
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), String> {
        let mut buffer = [0; 16 << 10];
        while let Some(n) = arrived(self.channel.read(&mut buffer))? {
            let messages = self.decoder.push(&buffer[..n]).map_err(|e| e.to_string())?;
            for message in messages {
                self.deliver(message);
            }
        }
        while let Some(n) = arrived(self.channel.stderr().read(&mut buffer))? {
            self.stderr.extend_from_slice(&buffer[..n]);
            let excess = self.stderr.len().saturating_sub(STDERR_KEPT);
            self.stderr.drain(..excess);
        }
        Ok(())
    }

    fn deliver(&mut self, message: Message) {
        self.unheard_since = None;
        match message {
            // Nobody may be listening any more; an answer may come after its deadline.
            Message::Notice(notice) => {
                let _ = self.notices.send((self.node.clone(), notice));
            }
            Message::Reply { id, result } => {
                let Some(pending) = self.pending.remove(&id) else {
                    return;
                };
                let Some(answer) = pending.answer else {
                    return;
                };
                let _ = answer.send(result.map_err(|reason| AgentError::Refused {
                    node: self.node.clone(),
                    request: pending.what.to_owned(),
                    reason,
                }));
            }
        }
    }

    /// Fails what is overdue; returns when to look again.
    fn expire(&mut self) -> Result<Instant, String> {
        let now = Instant::now();
        if self.ending.is_some_and(|end| now >= end) {
            return Err("it did not end when told to".to_owned());
        }
        let silence_ends = self.unheard_since.map(|since| since + self.lease);
        if silence_ends.is_some_and(|end| now >= end) {
            return Err(format!("no answer to anything for {:?}", self.lease));
        }
        for (_, overdue) in self.pending.extract_if(|_, p| p.deadline <= now) {
            let Some(answer) = overdue.answer else {
                continue;
            };
            let _ = answer.send(Err(AgentError::Timeout {
                node: self.node.clone(),
                request: overdue.what.to_owned(),
                limit: overdue.limit,
            }));
        }
        let next_ping = match self.ending {
            // Only the end is waited for; looked at often, as its pings are past.
            Some(_) => now + Duration::from_millis(50),
            None => self.last_sent + self.lease / 3,
        };
        let deadlines = self.pending.values().map(|p| p.deadline);
        Ok(deadlines
            .chain(silence_ends)
            .chain(self.ending)
            .fold(next_ping, Instant::min))
    }

    fn wait(&mut self, until: Instant) -> Result<(), String> {
        let mut events = PollFlags::POLLIN;
        if !self.outgoing.is_empty() {
            events |= PollFlags::POLLOUT;
        }
        let mut fds = [
            PollFd::new(self.connection.socket(), events),
            PollFd::new(self.woken.as_fd(), PollFlags::POLLIN),
        ];
        // Rounded up: a poll that ends a fraction of a millisecond early would be repeated in a busy loop.
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(format!("poll: {e}")),
        }
        // Only wakes; what it says is in the inbox.
        let _ = self.woken.read(&mut [0; 64]);
        Ok(())
    }
}

/// The number of bytes read; `None` if there are none now.
fn arrived(read: std::io::Result<usize>) -> Result<Option<usize>, String> {
    match read {
        Ok(0) => Ok(None),
        Ok(n) => Ok(Some(n)),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(format!("connection lost: {e}")),
    }
}

fn name_of(body: &RequestBody) -> &'static str {
    match body {
        RequestBody::Hello { .. } => "hello",
        RequestBody::Ping => "ping",
        RequestBody::Start(_) => "start a service",
        RequestBody::Stop { .. } => "stop a service",
        RequestBody::StopAll { .. } => "stop its services",
        RequestBody::Status { .. } => "tell a service's status",
        RequestBody::Disk { .. } => "make a disk",
        RequestBody::Layer { .. } => "put a layer over a disk",
        RequestBody::Prepare { .. } => "prepare a fault",
        RequestBody::Install { .. } => "install a fault",
        RequestBody::Confirm { .. } => "confirm a fault",
        RequestBody::Undo { .. } => "undo a fault",
        RequestBody::Heal => "heal",
        RequestBody::ProbeListen => "listen for probes",
        RequestBody::ProbeSend { .. } => "send probes",
        RequestBody::ProbeCount { .. } => "count probes",
        RequestBody::Clients { .. } => "hear where clients are",
        RequestBody::Watch { .. } => "watch a file",
    }
}
