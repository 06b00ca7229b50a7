//! A harness's end of an agent's channel.

use std::fs;
use std::io::Read;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::frame::{FrameDecoder, write_frame};
use shakedown_nemesis::outcome::NodeOutcome;
use shakedown_nemesis::protocol::{Message, Notice, PROTOCOL_VERSION, Reply, Request, RequestBody};

use crate::node::{Node, only_child};

/// Long enough that only a test which wants it sees the lease run out.
pub(crate) const LONG_LEASE_MS: u64 = 60_000;

const PATIENCE: Duration = Duration::from_secs(30);

/// An agent that serves.
pub(crate) struct Channel {
    entered: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Message>,
    notices: Vec<Notice>,
    next_id: u64,
}

impl Channel {
    /// Starts an agent on a node, without a word.
    pub(crate) fn open(node: &Node) -> Self {
        let path = std::env::var("PATH").unwrap();
        Self::open_with_path(node, &path)
    }

    /// The same, with another `PATH` to find programs in.
    pub(crate) fn open_with_path(node: &Node, path: &str) -> Self {
        let mut entered = node
            .command(env!("CARGO_BIN_EXE_shakedown-agent"))
            .args(["serve", "--state", node.state()])
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = entered.stdout.take().unwrap();
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut decoder = FrameDecoder::default();
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                for message in decoder.push(&bytes[..length]).unwrap() {
                    let _ = sender.send(message);
                }
            }
        });
        Self {
            input: entered.stdin.take(),
            entered,
            messages,
            notices: Vec::new(),
            next_id: 0,
        }
    }

    /// Starts an agent on a node and greets it.
    pub(crate) fn greet(node: &Node, lease_ms: u64) -> Self {
        let mut channel = Self::open(node);
        channel.hello(lease_ms, &[]);
        channel
    }

    /// As [`Channel::greet`], and faults on packets must be confirmed so soon.
    pub(crate) fn greet_on_probation(node: &Node, lease_ms: u64, probation_ms: u64) -> Self {
        let mut channel = Self::open(node);
        channel.say_hello(lease_ms, &[], probation_ms);
        channel
    }

    /// Says hello as run `r1`; the faults healed.
    pub(crate) fn hello(&mut self, lease_ms: u64, management: &[std::net::IpAddr]) -> Vec<String> {
        self.say_hello(lease_ms, management, 0)
    }

    fn say_hello(
        &mut self,
        lease_ms: u64,
        management: &[std::net::IpAddr],
        probation_ms: u64,
    ) -> Vec<String> {
        let hello = RequestBody::Hello {
            protocol: PROTOCOL_VERSION,
            run: "r1".into(),
            lease_ms,
            management: management.to_vec(),
            ssh_port: 22,
            probation_ms,
            allow_host_clock: false,
            seed: 1,
        };
        match self.ask(hello).unwrap() {
            Reply::Hello {
                healed, missing, ..
            } => {
                assert_eq!(missing, [""; 0], "nft is needed");
                healed
            }
            other => panic!("{other:?}"),
        }
    }

    /// Sends a request; its number.
    pub(crate) fn send(&mut self, body: RequestBody) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        let input = self.input.as_mut().expect("the channel is open");
        write_frame(input, &Request { id, body }).unwrap();
        id
    }

    /// The next answer, whichever request it belongs to.
    pub(crate) fn next_reply(&mut self) -> (u64, Result<Reply, String>) {
        loop {
            match self.messages.recv_timeout(PATIENCE).expect("an answer") {
                Message::Reply { id, result } => return (id, result),
                Message::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, body: RequestBody) -> Result<Reply, String> {
        let asked = self.send(body);
        let (id, result) = self.next_reply();
        assert_eq!(id, asked, "no other request is open");
        result
    }

    pub(crate) fn notice(&mut self) -> Notice {
        if !self.notices.is_empty() {
            return self.notices.remove(0);
        }
        match self.messages.recv_timeout(PATIENCE).expect("a notice") {
            Message::Notice(notice) => notice,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn prepare(&mut self, fault: &str, order: NodeFault) {
        let prepared = self.ask(RequestBody::Prepare {
            fault: fault.into(),
            order,
            noop: false,
        });
        assert_eq!(prepared, Ok(Reply::Done));
    }

    pub(crate) fn install(&mut self, fault: &str, order: NodeFault) -> NodeOutcome {
        self.install_or_not(fault, order, false)
    }

    pub(crate) fn install_noop(&mut self, fault: &str, order: NodeFault) -> NodeOutcome {
        self.install_or_not(fault, order, true)
    }

    fn install_or_not(&mut self, fault: &str, order: NodeFault, noop: bool) -> NodeOutcome {
        outcome(self.ask(RequestBody::Install {
            fault: fault.into(),
            order,
            noop,
        }))
    }

    pub(crate) fn undo(&mut self, fault: &str) -> NodeOutcome {
        outcome(self.ask(RequestBody::Undo {
            fault: fault.into(),
        }))
    }

    /// The agent's pid outside the node.
    pub(crate) fn pid(&self) -> i32 {
        only_child(self.entered.id())
    }

    /// Sends the process that reads a queue for the agent a signal.
    pub(crate) fn signal_queue(&self, signal: Signal) {
        let agent = self.pid();
        let reads = |pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains("(shakedown-queue)")
                && stat.rsplit(')').next().unwrap().split_whitespace().nth(1)
                    == Some(&agent.to_string())
        };
        let entries = fs::read_dir("/proc").unwrap();
        let mut pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let reader = pids.find(reads).expect("a process that reads a queue");
        kill(Pid::from_raw(reader), signal).unwrap();
    }

    /// Sends the agent a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Ends the harness's side and waits for the agent's end.
    pub(crate) fn close(mut self) -> ExitStatus {
        self.input = None;
        self.entered.wait().unwrap()
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let _ = self.entered.kill();
        let _ = self.entered.wait();
    }
}

fn outcome(reply: Result<Reply, String>) -> NodeOutcome {
    match reply.unwrap() {
        Reply::Fault(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// What was seen of something, in the evidence of an outcome.
pub(crate) fn seen<'a>(outcome: &'a NodeOutcome, what: &str) -> &'a str {
    let evidence = outcome.evidence.iter().find(|e| e.what == what);
    &evidence
        .unwrap_or_else(|| panic!("no `{what}` in {outcome:#?}"))
        .seen
}
