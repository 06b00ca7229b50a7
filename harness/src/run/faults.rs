//! Faults on the cluster: orders to agents, probes between nodes, and what it all shows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use shakedown_nemesis::fault::{Fault, NodeFault};
use shakedown_nemesis::outcome::{Evidence, NodeOutcome, Outcome};
use shakedown_nemesis::plan::{self, Probe};
use shakedown_nemesis::protocol::{Reply, RequestBody};
use shakedown_reports::results::FaultResult;

use super::fleet::{Fleet, FleetError};

/// Probe packets sent per direction.
const PROBE_PACKETS: u32 = 5;
/// How long none may arrive where none should, milliseconds.
const SILENCE_MS: u64 = 150;
/// How long they may take where all should arrive, milliseconds: a loaded node reads them late, and is not cut off.
const ARRIVAL_MS: u64 = 5000;

/// A fault that can strike at any moment.
pub(crate) struct PreparedFault {
    name: String,
    /// Its name on the nodes: unique within the run, of the form agents accept.
    id: String,
    fault: Fault,
    orders: Vec<(String, NodeFault)>,
}

/// A fault in force.
pub(crate) struct ActiveFault {
    /// Its name in the scenario.
    pub(crate) name: String,
    id: String,
    fault: Fault,
    orders: Vec<(String, NodeFault)>,
    start_ns: u64,
    outcomes: Vec<(String, Outcome)>,
    evidence: Vec<(String, String, String)>,
}

/// Installs faults on a fleet and takes their evidence.
pub(crate) struct Nemesis {
    noop: bool,
    nonce: AtomicU64,
}

impl Nemesis {
    /// With `noop`, everything is done but the effect.
    pub(crate) fn new(noop: bool, seed: u64) -> Self {
        Nemesis {
            noop,
            nonce: AtomicU64::new(seed << 16),
        }
    }

    /// Whether faults are to have no effect.
    pub(crate) fn noop(&self) -> bool {
        self.noop
    }

    /// Works out the orders for a fault and has the agents do ahead of time whatever takes time, so that
    /// it strikes within milliseconds. `number` is its place in the scenario: the same one never twice.
    ///
    /// # Errors
    /// If the fault makes no sense on this cluster, or an agent refuses it.
    pub(crate) async fn prepare(
        &self,
        fleet: &Fleet,
        (number, name): (usize, &str),
        fault: Fault,
    ) -> Result<PreparedFault, FleetError> {
        let orders = plan::compile(&fault, &fleet.topology()).map_err(FleetError::Fault)?;
        let id = format!("f{}", number + 1);
        let requests = orders.iter().map(|(node, order)| {
            let body = RequestBody::Prepare {
                fault: id.clone(),
                order: order.clone(),
                noop: self.noop,
            };
            (node.clone(), body)
        });
        for (_, reply) in fleet.ask_all(requests.collect()).await {
            reply?;
        }
        Ok(PreparedFault {
            name: name.to_owned(),
            id,
            fault,
            orders,
        })
    }

    /// Installs a fault on all its nodes at the same time. A node that fails to install it is not an
    /// error but part of the outcome.
    pub(crate) async fn install(
        &self,
        fleet: &Fleet,
        prepared: PreparedFault,
        now_ns: impl Fn() -> u64,
    ) -> ActiveFault {
        let PreparedFault {
            name,
            id,
            fault,
            orders,
        } = prepared;
        let installs = orders.iter().map(|(node, order)| async {
            let body = RequestBody::Install {
                fault: id.clone(),
                order: order.clone(),
                noop: self.noop,
            };
            let reply = fleet.ask(node, body).await;
            let answered_ns = now_ns();
            let confirmed = if reply.is_ok() && order.filters_packets() && !self.noop {
                Some(confirm(fleet, node, &id).await)
            } else {
                None
            };
            (node.clone(), reply, answered_ns, confirmed)
        });
        let (mut replies, mut confirmed, mut start_ns) = (Vec::new(), Vec::new(), 0);
        for (node, reply, answered_ns, answer) in join_all(installs).await {
            start_ns = start_ns.max(answered_ns);
            confirmed.extend(answer.map(|answer| (node.clone(), answer)));
            replies.push((node, reply));
        }
        let mut active = ActiveFault {
            name,
            id,
            fault,
            orders,
            start_ns,
            outcomes: Vec::new(),
            evidence: Vec::new(),
        };
        active.take(replies, "install");
        for (node, answer) in confirmed {
            let (outcome, seen) = match answer {
                Ok(seen) => (Outcome::Installed, seen),
                Err(error) => (Outcome::Indeterminate, error.to_string()),
            };
            active.outcomes.push((node.clone(), outcome));
            let what = "management connection after install".to_owned();
            active.evidence.push((node, what, seen));
        }
        active
    }

    /// Shows a fault from outside, where that can be done: sends packets between the nodes concerned.
    pub(crate) async fn probe(&self, fleet: &Fleet, active: &mut ActiveFault) {
        self.probe_each(fleet, active, "while in force", |probe| {
            probe.expected_blocked
        })
        .await;
    }

    /// Takes the final evidence, undoes the fault, and shows that it ended.
    pub(crate) async fn undo(
        &self,
        fleet: &Fleet,
        mut active: ActiveFault,
        now_ns: impl Fn() -> u64,
    ) -> FaultResult {
        let requests = active.orders.iter().map(|(node, _)| {
            (
                node.clone(),
                RequestBody::Undo {
                    fault: active.id.clone(),
                },
            )
        });
        let replies = fleet.ask_all(requests.collect()).await;
        active.take(replies, "undo");
        let end_ns = now_ns();
        self.probe_each(fleet, &mut active, "after the end", |_| false)
            .await;
        let worst = |wanted| {
            active
                .outcomes
                .iter()
                .any(|(_, outcome)| *outcome == wanted)
        };
        let outcome = if worst(Outcome::Skipped) {
            "skipped"
        } else if worst(Outcome::Indeterminate) || active.outcomes.is_empty() {
            "indeterminate"
        } else {
            "installed"
        };
        FaultResult {
            name: active.name,
            kind: active.fault.kind().to_owned(),
            summary: plan::summary(&active.fault),
            start_ns: active.start_ns,
            end_ns,
            outcome: outcome.to_owned(),
            evidence: active.evidence,
        }
    }

    async fn probe_each(
        &self,
        fleet: &Fleet,
        active: &mut ActiveFault,
        when: &str,
        blocked: impl Fn(&Probe) -> bool + Copy,
    ) {
        let probes = plan::probes(&active.fault);
        // Each by every version of IP that both nodes have.
        let ways = |probe: &Probe| match fleet.both_protocols(&probe.from, &probe.to) {
            true => vec![(probe.clone(), false), (probe.clone(), true)],
            false => vec![(probe.clone(), false)],
        };
        let sent = probes
            .iter()
            .flat_map(ways)
            .map(|(probe, other)| async move {
                let nonce = self.nonce.fetch_add(1, Ordering::Relaxed);
                let nodes = (probe.from.as_str(), probe.to.as_str());
                let until = match blocked(&probe) {
                    true => (1, SILENCE_MS),
                    false => (u64::from(PROBE_PACKETS), ARRIVAL_MS),
                };
                let arrived = fleet.probe(nodes, other, nonce, PROBE_PACKETS, until);
                let arrived = arrived.await;
                (probe, other, arrived)
            });
        for (probe, other, arrived) in join_all(sent).await {
            let how = if other {
                " by the other IP version"
            } else {
                ""
            };
            let what = format!("probe {} -> {}{how} {when}", probe.from, probe.to);
            let expected_blocked = blocked(&probe);
            let (outcome, seen) = match arrived {
                Ok(0) if expected_blocked => (
                    Outcome::Installed,
                    format!("0 of {PROBE_PACKETS} packets arrived"),
                ),
                Ok(n) if !expected_blocked && n > 0 => (
                    Outcome::Installed,
                    format!("{n} of {PROBE_PACKETS} packets arrived"),
                ),
                Ok(n) if expected_blocked => (
                    Outcome::Skipped,
                    format!("{n} of {PROBE_PACKETS} packets arrived, though it should be cut"),
                ),
                Ok(_) => (
                    Outcome::Indeterminate,
                    "no packet arrived, though it should be open".to_owned(),
                ),
                Err(error) => (Outcome::Indeterminate, error.to_string()),
            };
            active.outcomes.push((probe.to.clone(), outcome));
            active.evidence.push((probe.to, what, seen));
        }
    }
}

impl ActiveFault {
    /// When it took effect.
    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    fn take(&mut self, replies: Vec<(String, Result<Reply, FleetError>)>, what: &str) {
        for (node, reply) in replies {
            let NodeOutcome { outcome, evidence } = match reply {
                Ok(Reply::Fault(outcome)) => outcome,
                Ok(other) => failed(what, format!("unexpected answer {other:?}")),
                Err(error) => failed(what, error.to_string()),
            };
            self.outcomes.push((node.clone(), outcome));
            for Evidence { what, seen } in evidence {
                let item = (node.clone(), what, seen);
                // An agent repeats at the end what it saw at the beginning.
                if !self.evidence.contains(&item) {
                    self.evidence.push(item);
                }
            }
        }
    }
}

/// Tells a node's agent that the answer to an install came through, without which it undoes the fault by itself; how
/// long its answer took.
async fn confirm(fleet: &Fleet, node: &str, fault: &str) -> Result<String, FleetError> {
    let asked = Instant::now();
    let fault = fault.to_owned();
    fleet.ask(node, RequestBody::Confirm { fault }).await?;
    let took_ms = asked.elapsed().as_secs_f64() * 1e3;
    Ok(format!("answers after {took_ms:.1} ms"))
}

fn failed(what: &str, seen: String) -> NodeOutcome {
    let evidence = vec![Evidence {
        what: what.to_owned(),
        seen,
    }];
    NodeOutcome {
        outcome: Outcome::Indeterminate,
        evidence,
    }
}
