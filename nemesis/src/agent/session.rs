//! One run on one node: from a `Hello` to the end of the channel.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::clock;
use super::error::AgentError;
use super::evidence::evidence;
use super::inflict::{self, Order, Prepared};
use super::ledger;
use super::local;
use super::process::ProcessId;
use super::rules::Management;
use super::state_dir::{StateDir, StateLock};
use super::undo::{self, HealReport};
use super::watchdog::Watchdog;
use crate::fault::NodeFault;
use crate::outcome::{NodeOutcome, Outcome};

/// What a run asked for, and what became of it.
#[derive(Debug)]
pub(crate) struct Session {
    state: StateDir,
    agent: ProcessId,
    terms: Terms,
    watchdog: Arc<Watchdog>,
    /// Faults that wait to strike.
    prepared: HashMap<String, Prepared>,
    /// Faults in place, as far as this agent knows, and what installing them showed.
    in_place: HashMap<String, NodeOutcome>,
    /// Those of them that hold for processes that come later, too.
    following: HashSet<String>,
    /// Faults on packets that are to be undone at that moment unless they are confirmed before.
    unconfirmed: HashMap<String, Instant>,
    /// Faults that ended, asked for or not.
    ended: HashMap<String, NodeOutcome>,
}

/// What a run says of itself when it greets the agent.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) run: String,
    pub(crate) lease: Duration,
    /// How soon faults on packets must be confirmed; zero if they need not be.
    pub(crate) probation: Duration,
    pub(crate) seed: u64,
    pub(crate) allow_host_clock: bool,
    pub(crate) management: Management,
    /// Where the harness's clients speak from.
    pub(crate) clients: Vec<IpAddr>,
}

impl Session {
    pub(crate) fn new(state: &StateDir, agent: ProcessId, terms: Terms) -> Self {
        Self {
            state: state.clone(),
            watchdog: Arc::new(Watchdog::new(agent.clone(), terms.lease)),
            terms,
            agent,
            prepared: HashMap::new(),
            in_place: HashMap::new(),
            following: HashSet::new(),
            unconfirmed: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    /// The run's name.
    pub(crate) fn run(&self) -> &str {
        &self.terms.run
    }

    /// What must hear that the harness was heard.
    pub(crate) fn watchdog(&self) -> Arc<Watchdog> {
        Arc::clone(&self.watchdog)
    }

    /// From now on the harness's clients are taken to speak from these addresses.
    pub(crate) fn set_clients(&mut self, addresses: &[IpAddr]) {
        self.terms.clients = addresses.to_vec();
    }

    /// Does everything that takes time before a fault strikes.
    pub(crate) fn prepare(
        &mut self,
        fault: &str,
        order: &NodeFault,
        noop: bool,
    ) -> Result<(), AgentError> {
        let state = self.state.clone();
        let lock = state.lock()?;
        let prepared = self.make_ready(&lock, fault, order, noop)?;
        self.prepared.insert(fault.to_owned(), prepared);
        Ok(())
    }

    /// Lets a fault strike, prepared or not.
    pub(crate) fn install(
        &mut self,
        fault: &str,
        order: &NodeFault,
        noop: bool,
    ) -> Result<NodeOutcome, AgentError> {
        let ordered = Instant::now();
        let state = self.state.clone();
        let lock = state.lock()?;
        let prepared = match self.prepared.remove(fault) {
            Some(other) if !other.is_for(order, noop) => {
                self.prepared.insert(fault.to_owned(), other);
                return Err(AgentError::Refused(format!(
                    "fault `{fault}` was prepared with another order"
                )));
            }
            Some(prepared) if prepared.is_in_ledger(&lock)? => prepared,
            _ => self.make_ready(&lock, fault, order, noop)?,
        };
        let outcome = inflict::strike(&lock, prepared, ordered);
        match &outcome {
            Ok(outcome) => {
                self.ended.remove(fault);
                self.in_place.insert(fault.to_owned(), outcome.clone());
                if matches!(order, NodeFault::Clock { .. }) || local::follows(order) {
                    self.following.insert(fault.to_owned());
                }
                if order.filters_packets() && !noop && !self.terms.probation.is_zero() {
                    let due = Instant::now() + self.terms.probation;
                    self.unconfirmed.insert(fault.to_owned(), due);
                }
            }
            Err(_) => dismiss_if_idle(&self.watchdog, &lock)?,
        }
        outcome
    }

    /// Puts processes that came since under the faults in place that hold for them.
    pub(crate) fn extend(&mut self) -> Result<(), AgentError> {
        self.following
            .retain(|fault| self.in_place.contains_key(fault));
        if self.following.is_empty() {
            return Ok(());
        }
        let lock = self.state.lock()?;
        clock::extend(&lock).and(local::extend(&lock))
    }

    /// The harness has heard that a fault is installed: it stays.
    pub(crate) fn confirm(&mut self, fault: &str) -> Result<(), AgentError> {
        self.unconfirmed.remove(fault);
        if self.in_place.contains_key(fault) {
            return Ok(());
        }
        Err(AgentError::Refused(format!(
            "fault `{fault}` is not in place any more"
        )))
    }

    /// Undoes faults that should have been confirmed by now: they may have cut this node off.
    pub(crate) fn end_unconfirmed(&mut self) -> Result<(), AgentError> {
        let now = Instant::now();
        let due = self.unconfirmed.iter().filter(|(_, due)| **due <= now);
        let due: Vec<String> = due.map(|(fault, _)| fault.clone()).collect();
        if due.is_empty() {
            return Ok(());
        }
        let state = self.state.clone();
        let lock = state.lock()?;
        for fault in due {
            if let Some(entry) = ledger::find(&lock, &self.terms.run, &fault)? {
                let outcome = undo::finish(&lock, &entry)?;
                let by = "by the agent: the harness did not confirm in time that it still reaches this node";
                self.in_place.remove(&fault);
                self.ended.insert(fault.clone(), ended_early(outcome, by));
            }
            self.unconfirmed.remove(&fault);
        }
        dismiss_if_idle(&self.watchdog, &lock)
    }

    fn make_ready(
        &mut self,
        lock: &StateLock<'_>,
        fault: &str,
        order: &NodeFault,
        noop: bool,
    ) -> Result<Prepared, AgentError> {
        ledger::check_names(&self.terms.run, fault)?;
        self.watchdog.ensure(lock)?;
        let order = Order {
            agent: &self.agent,
            run: &self.terms.run,
            fault,
            order,
            noop,
            seed: xxh3_64_with_seed(fault.as_bytes(), self.terms.seed),
            allow_host_clock: self.terms.allow_host_clock,
            management: &self.terms.management,
            clients: &self.terms.clients,
        };
        let prepared = inflict::prepare(lock, order);
        if prepared.is_err() {
            dismiss_if_idle(&self.watchdog, lock)?;
        }
        prepared
    }

    /// Ends a fault. For one that ended earlier, says what was seen then.
    pub(crate) fn undo(&mut self, fault: &str) -> Result<NodeOutcome, AgentError> {
        self.unconfirmed.remove(fault);
        let lock = self.state.lock()?;
        let outcome = match ledger::find(&lock, &self.terms.run, fault)? {
            Some(entry) => match self.prepared.remove(fault) {
                Some(prepared) => inflict::abandon(&lock, prepared)?,
                None => undo::finish(&lock, &entry)?,
            },
            None => match self.in_place.get(fault) {
                Some(installed) => ended_early(installed.clone(), "by someone else"),
                None => {
                    return self
                        .ended
                        .get(fault)
                        .cloned()
                        .ok_or_else(|| AgentError::NoSuchFault(fault.to_owned()));
                }
            },
        };
        self.in_place.remove(fault);
        self.ended.insert(fault.to_owned(), outcome.clone());
        dismiss_if_idle(&self.watchdog, &lock)?;
        Ok(outcome)
    }

    /// Undoes everything in the ledger, other runs' faults too.
    pub(crate) fn heal(&mut self) -> Result<HealReport, AgentError> {
        let state = self.state.clone();
        let lock = state.lock()?;
        let report = undo::heal_all(&lock)?;
        self.ended_without_undo(&report, "by a request to heal");
        dismiss_if_idle(&self.watchdog, &lock)?;
        Ok(report)
    }

    /// Undoes what this agent installed, if `due` still says so once the lock is held. Returns the
    /// names of the faults that ended.
    pub(crate) fn end_own(
        &mut self,
        why: &str,
        due: impl Fn() -> bool,
    ) -> Result<Vec<String>, AgentError> {
        let state = self.state.clone();
        let lock = state.lock()?;
        if !due() {
            return Ok(Vec::new());
        }
        let report = undo::heal_patiently(&lock, &self.agent)?;
        let faults = self.ended_without_undo(&report, why);
        // What failed stays with the watchdog, which hears when this process ends.
        dismiss_if_idle(&self.watchdog, &lock)?;
        report.check()?;
        Ok(faults)
    }

    /// Moves faults from in place to ended: those of a report, and those that someone else (the
    /// watchdog, a person) undid before.
    fn ended_without_undo(&mut self, report: &HealReport, why: &str) -> Vec<String> {
        // They were in the ledger too; should they strike yet, they are prepared anew.
        self.prepared.clear();
        self.unconfirmed.clear();
        let failed = |fault: &str| {
            let file = format!("{}.{fault}.json", self.terms.run);
            report.failed.iter().any(|unhealed| unhealed.file == file)
        };
        let mut faults: Vec<String> = self
            .in_place
            .keys()
            .filter(|fault| !failed(fault))
            .cloned()
            .collect();
        faults.sort();
        for fault in &faults {
            let healed = report
                .undone
                .iter()
                .find(|undone| undone.run == self.terms.run && undone.fault == *fault);
            let installed = self.in_place.remove(fault);
            let outcome = match (healed, installed) {
                (Some(undone), _) => {
                    let mut outcome = undone.outcome.clone();
                    outcome
                        .evidence
                        .push(evidence("fault", format!("undone {why}")));
                    outcome
                }
                (None, Some(installed)) => ended_early(installed, "by someone else"),
                (None, None) => continue,
            };
            self.ended.insert(fault.clone(), outcome);
        }
        faults
    }
}

/// The outcome of a fault whose last evidence nobody here took.
fn ended_early(mut installed: NodeOutcome, by: &str) -> NodeOutcome {
    if installed.outcome == Outcome::Installed {
        installed.outcome = Outcome::Indeterminate;
    }
    installed.evidence.push(evidence(
        "fault",
        format!("undone {by} before it was asked to end"),
    ));
    installed
}

fn dismiss_if_idle(watchdog: &Watchdog, lock: &StateLock<'_>) -> Result<(), AgentError> {
    if ledger::list(lock)?.is_empty() {
        watchdog.dismiss();
    }
    Ok(())
}

/// The connections that faults must spare: those the harness names, and the one this agent was
/// started over, should the harness not know its own address (it may be translated on the way).
pub(crate) fn management(named: &[IpAddr], ssh_port: u16) -> Management {
    let mut all: Management = named.iter().map(|address| (*address, ssh_port)).collect();
    // "client-address client-port server-address server-port"; sshd(8).
    let connection = std::env::var("SSH_CONNECTION").unwrap_or_default();
    let fields: Vec<&str> = connection.split(' ').collect();
    if let [client, _, _, port] = fields[..]
        && let (Ok(client), Ok(port)) = (client.parse(), port.parse())
    {
        all.push((client, port));
    }
    all.sort();
    all.dedup();
    all
}
