//! The link to the agent on one node: requests in, answers and notices out.

use std::io::Write;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use shakedown_nemesis::protocol::{Notice, PROTOCOL_VERSION, Reply, RequestBody};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::link_thread::{Order, Thread};
use super::{AgentError, Remote, SshRemote, agent_upload};

/// How a link behaves.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Names this run on the nodes; `[a-z0-9_]{1,24}`.
    pub run: String,
    /// The agent undoes all faults when it hears nothing for this long. The link sends a ping after a third of it, and is
    /// dead when nothing at all is heard from the agent for a whole lease.
    pub lease: Duration,
    /// For the answer to a request, on top of the time that the request itself allows.
    pub answer: Duration,
    /// Addresses, besides that of this connection, whose SSH traffic no fault may touch.
    pub management: Vec<IpAddr>,
    /// The agent undoes a fault on packets by itself unless it is confirmed so soon after it was installed; zero if it
    /// need not be.
    pub probation: Duration,
    /// Whether faults may set the node's own clock.
    pub allow_host_clock: bool,
    /// Lots of faults are drawn from this, the node's name and the fault's.
    pub seed: u64,
}

impl LinkOptions {
    /// A lease of 15 seconds, 30 seconds for an answer, no probation.
    pub fn new(run: impl Into<String>) -> LinkOptions {
        LinkOptions {
            run: run.into(),
            lease: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            management: Vec::new(),
            probation: Duration::ZERO,
            allow_host_clock: false,
            seed: 0,
        }
    }
}

/// What an agent says when it is greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloReply {
    /// Faults that an earlier agent left behind and that are undone now.
    pub healed: Vec<String>,
    /// What the node lacks for some faults.
    pub missing: Vec<String>,
    /// All addresses by which others may reach it.
    pub addresses: Vec<IpAddr>,
    /// Where the node sees this machine's SSH connections come from: a NAT's or jump host's address, if there is one.
    pub harness: IpAddr,
}

/// A running agent. Dropping the link ends the agent, which undoes its faults.
pub struct AgentLink {
    node: String,
    answer: Duration,
    orders: mpsc::Sender<Order>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl AgentLink {
    /// Uploads the agent if the node lacks this build of it, starts it on a session and a thread of its own, and greets
    /// it. Notices go to `notices`, with the node's name, until the link is dropped. Blocks.
    ///
    /// # Errors
    /// SSH fails, the binary cannot be read, or the agent does not start or is of another version.
    pub fn open(
        remote: &SshRemote,
        binary: &Path,
        options: &LinkOptions,
        notices: UnboundedSender<(String, Notice)>,
    ) -> Result<(AgentLink, HelloReply), AgentError> {
        let node = remote.node().to_owned();
        let prepared = agent_upload::prepare(remote, binary)?;
        let (orders, inbox) = mpsc::channel();
        let (wake, woken) = socket_pair(&node)?;
        let thread = Thread::start(
            remote,
            &prepared.agent,
            options.lease,
            inbox,
            woken,
            notices,
        )?;
        let handle = thread::Builder::new()
            .name(format!("agent {node}"))
            .spawn(move || thread.run())
            .map_err(|e| dead(&node, format!("no thread for it: {e}")))?;
        let link = AgentLink {
            node,
            answer: options.answer,
            orders,
            wake,
            thread: Some(handle),
        };
        let mut management = options.management.clone();
        management.push(prepared.harness);
        let greeting = RequestBody::Hello {
            protocol: PROTOCOL_VERSION,
            run: options.run.clone(),
            lease_ms: u64::try_from(options.lease.as_millis()).unwrap_or(u64::MAX),
            management,
            ssh_port: prepared.ssh_port,
            probation_ms: u64::try_from(options.probation.as_millis()).unwrap_or(u64::MAX),
            allow_host_clock: options.allow_host_clock,
            seed: xxh3_64_with_seed(link.node.as_bytes(), options.seed),
        };
        let hello = link.greet(greeting, prepared.harness)?;
        Ok((link, hello))
    }

    fn greet(&self, hello: RequestBody, harness: IpAddr) -> Result<HelloReply, AgentError> {
        match self.request(hello)? {
            Reply::Hello {
                protocol: PROTOCOL_VERSION,
                healed,
                missing,
                addresses,
            } => Ok(HelloReply {
                healed,
                missing,
                addresses,
                harness,
            }),
            other => Err(AgentError::Nonsense {
                node: self.node.clone(),
                answer: format!("{other:?}"),
            }),
        }
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Sends a request and waits for its answer. Not for use inside an async runtime: see [`AgentLink::call`].
    ///
    /// # Errors
    /// The agent refuses, does not answer in time, or is gone.
    pub fn request(&self, body: RequestBody) -> Result<Reply, AgentError> {
        let answer = self.send(body);
        answer.blocking_recv().unwrap_or_else(|_| Err(self.gone()))
    }

    /// Sends a request at once, before the returned future is first polled; the future waits for its answer.
    ///
    /// # Errors
    /// As [`AgentLink::request`].
    pub fn call(
        &self,
        body: RequestBody,
    ) -> impl Future<Output = Result<Reply, AgentError>> + Send + 'static + use<> {
        let answer = self.send(body);
        let gone = self.gone();
        async move { answer.await.unwrap_or(Err(gone)) }
    }

    fn send(&self, body: RequestBody) -> oneshot::Receiver<Result<Reply, AgentError>> {
        let (answer, receiver) = oneshot::channel();
        let limit = self.answer + own_time(&body);
        // If the thread is gone, `answer` is dropped with the order, and the receiver sees that.
        let _ = self.orders.send(Order::Ask {
            body,
            limit,
            answer,
        });
        self.wake();
        receiver
    }

    fn wake(&self) {
        // A full buffer wakes the thread just as well; a closed one means that it is gone, which the caller sees.
        let _ = (&self.wake).write(&[0]);
    }

    fn gone(&self) -> AgentError {
        dead(&self.node, "it was closed".to_owned())
    }

    /// Ends the agent, which undoes its faults, and waits until it is done, for some seconds at most.
    pub fn close(mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already, and there is nothing more to lose.
            let _ = thread.join();
        }
    }

    fn end(&self) {
        // It may be gone already.
        let _ = self.orders.send(Order::End);
        self.wake();
    }
}

impl Drop for AgentLink {
    fn drop(&mut self) {
        self.end();
    }
}

fn socket_pair(node: &str) -> Result<(UnixStream, UnixStream), AgentError> {
    let make = || {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        Ok((wake, woken))
    };
    make().map_err(|e: std::io::Error| dead(node, format!("no socket to wake its thread: {e}")))
}

pub(crate) fn dead(node: &str, reason: String) -> AgentError {
    AgentError::Dead {
        node: node.to_owned(),
        reason,
    }
}

/// The time a request itself allows the agent to take.
fn own_time(body: &RequestBody) -> Duration {
    match body {
        RequestBody::Stop { timeout_ms, .. } | RequestBody::StopAll { timeout_ms } => {
            Duration::from_millis(*timeout_ms)
        }
        RequestBody::ProbeCount { wait_ms, .. } => Duration::from_millis(*wait_ms),
        _ => Duration::ZERO,
    }
}
