//! The agent's conversation: requests in, answers and notices out, and the end of either.
//!
//! One thread reads, so that the harness is heard and its pings are answered whatever the agent is busy with; another
//! does what is asked, one request after the other.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use regex::Regex;

use super::addresses;
use super::disk;
use super::error::AgentError;
use super::lease::Lease;
use super::nft;
use super::probe::{self, Probes};
use super::process::ProcessId;
use super::service;
use super::session::{Session, Terms, management};
use super::state_dir::StateDir;
use super::tenure::Tenure;
use super::undo;
use super::watch;
use super::watchdog::Watchdog;
use crate::frame::{read_frame, write_frame};
use crate::protocol::{
    Message, Notice, PROTOCOL_VERSION, Reply, Request, RequestBody, is_fault_name,
};

/// Messages that may wait for the harness to read them.
const OUT_QUEUE: usize = 4096;

/// A lease shorter than this would end between two requests.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// How often the lease is looked at before there is one.
const IDLE: Duration = Duration::from_millis(50);

/// How often processes are looked for under which a fault in place is to hold and doesn't yet.
const NEW_PROCESSES_EVERY: Duration = Duration::from_millis(50);

/// How long a run waits for the agent of one that is just ending.
const ENDING: Duration = Duration::from_secs(5);

struct Agent {
    state: StateDir,
    me: ProcessId,
    out: SyncSender<Message>,
    probes: Arc<Probes>,
    lease: Lease,
    session: Mutex<Option<Session>>,
    /// The session's; beaten without waiting for what the session is doing.
    watchdog: Mutex<Option<Arc<Watchdog>>>,
    /// Set when the channel is gone: what was asked and isn't begun is not done any more.
    over: AtomicBool,
    /// None before hello, and after the lease ran out: then another run may have the node.
    tenure: Mutex<Option<Tenure>>,
}

/// Serves one harness until its channel ends, then undoes what it had installed.
///
/// # Errors
/// When a frame is broken or something could not be undone (the watchdog goes on trying then).
pub fn serve(
    state: StateDir,
    mut input: impl Read,
    output: impl Write + Send + 'static,
) -> Result<(), AgentError> {
    let (out, queue) = sync_channel(OUT_QUEUE);
    let me = ProcessId::of(std::process::id().cast_signed())
        .ok_or_else(|| AgentError::Refused("/proc does not show this process".to_owned()))?;
    let agent = Arc::new(Agent {
        state,
        me,
        out,
        probes: Arc::default(),
        lease: Lease::new(),
        session: Mutex::new(None),
        watchdog: Mutex::new(None),
        over: AtomicBool::new(false),
        tenure: Mutex::new(None),
    });
    {
        let agent = Arc::clone(&agent);
        thread::spawn(move || agent.write_out(&queue, output));
    }
    {
        let agent = Arc::clone(&agent);
        thread::spawn(move || agent.guard_lease());
    }
    {
        let agent = Arc::clone(&agent);
        thread::spawn(move || agent.extend_faults());
    }
    let (todo, asked) = channel();
    let worker = {
        let agent = Arc::clone(&agent);
        thread::spawn(move || agent.work(&asked))
    };
    let broken = loop {
        match read_frame(&mut input) {
            Ok(Some(request)) => agent.take(request, &todo),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    agent.over.store(true, Ordering::Relaxed);
    drop(todo);
    // Should it hang, so does this: the watchdog hears no more beats, ends this process and heals.
    let _ = worker.join();
    agent.end()?;
    match broken {
        None => Ok(()),
        Some(error) => Err(AgentError::Refused(error.to_string())),
    }
}

impl Agent {
    /// Takes one request: a ping is answered at once, what may wait long has a thread of its own, the others wait for
    /// their turn.
    fn take(self: &Arc<Self>, request: Request, todo: &Sender<Request>) {
        self.heard();
        match request.body {
            RequestBody::Ping => self.reply(request.id, &request.body),
            RequestBody::Stop { .. }
            | RequestBody::StopAll { .. }
            | RequestBody::Disk { .. }
            | RequestBody::Layer { .. }
            | RequestBody::ProbeCount { .. } => {
                let agent = Arc::clone(self);
                thread::spawn(move || agent.reply(request.id, &request.body));
            }
            // Fails only when the worker has panicked; the harness then waits for an answer in vain, and says so.
            _ => drop(todo.send(request)),
        }
    }

    /// Does what is asked, in the order in which it was.
    fn work(&self, asked: &Receiver<Request>) {
        for request in asked {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            self.reply(request.id, &request.body);
        }
    }

    fn heard(&self) {
        self.lease.renew();
        let watchdog = self.watchdog.lock();
        if let Some(watchdog) = &*watchdog.unwrap_or_else(PoisonError::into_inner) {
            watchdog.beat();
        }
    }

    fn reply(&self, id: u64, body: &RequestBody) {
        let result = self.answer(body).map_err(|error| error.to_string());
        // Fails only when the writer is gone, and then so is the harness.
        let _ = self.out.send(Message::Reply { id, result });
    }

    fn answer(&self, body: &RequestBody) -> Result<Reply, AgentError> {
        if !matches!(body, RequestBody::Hello { .. } | RequestBody::Ping) {
            self.still_holds()?;
        }
        match body {
            RequestBody::Hello {
                protocol,
                run,
                lease_ms,
                management: named,
                ssh_port,
                probation_ms,
                allow_host_clock,
                seed,
            } => {
                let lease = Duration::from_millis(*lease_ms);
                check_hello(*protocol, run, lease)?;
                let management = management(named, *ssh_port);
                self.hold(run, ENDING)?;
                let terms = Terms {
                    run: run.clone(),
                    lease,
                    probation: Duration::from_millis(*probation_ms),
                    seed: *seed,
                    allow_host_clock: *allow_host_clock,
                    clients: management.iter().map(|(address, _)| *address).collect(),
                    management,
                };
                let fresh = Session::new(&self.state, self.me.clone(), terms);
                self.hello(fresh, lease)
            }
            RequestBody::Ping => Ok(Reply::Done),
            RequestBody::Start(spec) => Ok(Reply::Service(service::start(&self.state, spec)?)),
            RequestBody::Stop {
                service,
                timeout_ms,
            } => {
                let patience = Duration::from_millis(*timeout_ms);
                Ok(Reply::Service(service::stop(
                    &self.state,
                    service,
                    patience,
                )?))
            }
            RequestBody::StopAll { timeout_ms } => {
                service::stop_all(&self.state, Duration::from_millis(*timeout_ms))?;
                Ok(Reply::Done)
            }
            RequestBody::Status { service } => {
                Ok(Reply::Service(service::status(&self.state, service)?))
            }
            RequestBody::Disk { path, size_mib } => {
                disk::create(&self.state.lock()?, path, *size_mib)?;
                Ok(Reply::Done)
            }
            RequestBody::Layer { path } => {
                disk::cover(&self.state.lock()?, path)?;
                Ok(Reply::Done)
            }
            RequestBody::Prepare { fault, order, noop } => {
                self.in_session(|s| s.prepare(fault, order, *noop))?;
                Ok(Reply::Done)
            }
            RequestBody::Install { fault, order, noop } => {
                let outcome = self.in_session(|s| s.install(fault, order, *noop))?;
                Ok(Reply::Fault(outcome))
            }
            RequestBody::Confirm { fault } => {
                self.in_session(|session| session.confirm(fault))?;
                Ok(Reply::Done)
            }
            RequestBody::Undo { fault } => Ok(Reply::Fault(
                self.in_session(|session| session.undo(fault))?,
            )),
            RequestBody::Heal => {
                let report = self.in_session(Session::heal)?;
                report.check()?;
                Ok(Reply::Healed {
                    faults: report.names(),
                })
            }
            RequestBody::ProbeListen => {
                let port = self.probes.listen().map_err(|error| {
                    AgentError::Refused(format!("no socket for probes: {error}"))
                })?;
                Ok(Reply::Probe { port })
            }
            RequestBody::ProbeSend { to, nonce, count } => {
                probe::send(*to, *nonce, *count)
                    .map_err(|error| AgentError::Refused(format!("probe to {to}: {error}")))?;
                Ok(Reply::Done)
            }
            RequestBody::ProbeCount {
                nonce,
                wanted,
                wait_ms,
            } => {
                let patience = Duration::from_millis(*wait_ms);
                let (packets, from) = self.probes.count(*nonce, *wanted, patience);
                Ok(Reply::Count { packets, from })
            }
            RequestBody::Clients { addresses } => {
                self.in_session(|session| {
                    session.set_clients(addresses);
                    Ok(())
                })?;
                Ok(Reply::Done)
            }
            RequestBody::Watch {
                watch,
                path,
                pattern,
            } => {
                let pattern = Regex::new(pattern)
                    .map_err(|error| AgentError::Refused(format!("pattern: {error}")))?;
                let path = Path::new(path);
                watch::watch(*watch, path, pattern, self.out.clone())
                    .map_err(AgentError::file("watch", path))?;
                Ok(Reply::Done)
            }
        }
    }

    /// Takes the node for a run, if no other has it.
    fn hold(&self, run: &str, patience: Duration) -> Result<(), AgentError> {
        let mut tenure = self.tenure.lock().unwrap_or_else(PoisonError::into_inner);
        if tenure.is_none() {
            *tenure = Some(Tenure::take(&self.state, run, patience)?);
        }
        Ok(())
    }

    /// Sees to it that the node is this run's: it may have been let go when the lease ran out.
    fn still_holds(&self) -> Result<(), AgentError> {
        let run = self
            .session()
            .as_ref()
            .map(|session| session.run().to_owned());
        run.map_or(Ok(()), |run| self.hold(&run, Duration::ZERO))
    }

    /// Heals the node, whoever left something, and begins a run.
    fn hello(&self, fresh: Session, lease: Duration) -> Result<Reply, AgentError> {
        let mut session = self.session();
        if let Some(earlier) = session.as_mut() {
            earlier.heal()?.check()?;
        }
        let report = undo::heal(&self.state)?;
        report.check()?;
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        *watchdog = Some(fresh.watchdog());
        drop(watchdog);
        *session = Some(fresh);
        self.lease.begin(lease);
        let missing = nft::tables().err().map(|error| error.to_string());
        Ok(Reply::Hello {
            protocol: PROTOCOL_VERSION,
            healed: report.names(),
            missing: missing.into_iter().collect(),
            addresses: addresses::addresses(),
        })
    }

    fn in_session<T>(
        &self,
        act: impl FnOnce(&mut Session) -> Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        match self.session().as_mut() {
            Some(session) => act(session),
            None => Err(AgentError::Refused("say hello first".to_owned())),
        }
    }

    fn guard_lease(&self) {
        loop {
            match self.lease.left() {
                None => thread::sleep(IDLE),
                Some(Duration::ZERO) => {
                    self.expire();
                    self.lease.renew();
                }
                Some(left) => thread::sleep(left),
            }
        }
    }

    /// Clocks stay wrong in programs that a service executes, limits hold, and both in whatever starts it again; faults
    /// that nobody confirms end.
    fn extend_faults(&self) {
        loop {
            thread::sleep(NEW_PROCESSES_EVERY);
            // What could not be done is tried again; the last look tells what never was.
            let _ = self.session().as_mut().map(Session::extend);
            if let Some(Err(error)) = self.session().as_mut().map(Session::end_unconfirmed) {
                eprintln!("shakedown-agent: {error}");
            }
        }
    }

    fn expire(&self) {
        let due = || self.lease.left() == Some(Duration::ZERO);
        let ended = self.in_session(|session| session.end_own("because the lease ran out", due));
        match ended {
            Ok(faults) if faults.is_empty() => {}
            Ok(faults) => {
                // Must not wait: a harness that reads nothing has the queue full.
                let _ = self
                    .out
                    .try_send(Message::Notice(Notice::LeaseExpired { faults }));
            }
            Err(error) => eprintln!("shakedown-agent: {error}"),
        }
        // A harness that died without closing the channel must not keep the node from others.
        if due() {
            *self.tenure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// The channel is gone.
    fn end(&self) -> Result<(), AgentError> {
        match self.session().as_mut() {
            Some(session) => {
                session.end_own("because the channel ended", || true)?;
                disk::remove_idle(&self.state.lock()?)
            }
            None => Ok(()),
        }
    }

    fn write_out(&self, queue: &Receiver<Message>, mut output: impl Write) {
        for message in queue {
            if let Err(error) = write_frame(&mut output, &message) {
                eprintln!("shakedown-agent: {error}");
                let failed = self.end().is_err();
                // The main thread may wait for input for ever. The watchdog goes on if this failed.
                std::process::exit(failed.into());
            }
        }
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_hello(protocol: u32, run: &str, lease: Duration) -> Result<(), AgentError> {
    if protocol != PROTOCOL_VERSION {
        return Err(AgentError::Refused(format!(
            "the harness speaks protocol {protocol}, this agent {PROTOCOL_VERSION}"
        )));
    }
    if !is_fault_name(run) {
        return Err(AgentError::Name {
            what: "run",
            name: run.to_owned(),
            allowed: "[a-z0-9_]{1,24}",
        });
    }
    if lease < SHORTEST_LEASE {
        return Err(AgentError::Refused(format!(
            "a lease of {} ms is shorter than {} ms",
            lease.as_millis(),
            SHORTEST_LEASE.as_millis()
        )));
    }
    Ok(())
}
