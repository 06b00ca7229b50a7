//! Whether a client tells the truth about operations that meet a fault.
//!
//! [`run`] puts a proxy between a client and a real server. Each operation meets one fault, at each of the exchanges it
//! has with the server, over a new and over a kept connection. Then the server is looked at without the
//! proxy: what the client called certain must be so, and nothing may have happened twice. A read that is called ok must
//! have seen what is there.
//!
//! One client at a time, so nothing else changes the server meanwhile.

mod probe;
mod proxy;
mod report;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::{sleep, timeout};

pub use proxy::Fault;
pub use report::{KitReport, Said, Trial};

use crate::objects::answers::misfit;
use crate::objects::{Answer, Client, Invocation, KnownError, Spec};
use probe::{BATCH, Probe, spec_of};
use proxy::Proxy;

/// Past its time-out a client has so much longer, before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(5);
/// Exchanges of one operation that faults are tried at, at most.
const EXCHANGES: u32 = 12;
/// Attempts at what nothing should be in the way of: on a busy machine time may run out without any fault.
const ATTEMPTS: u32 = 3;
/// What is wrong with an error that came without a fault.
const NO_FAULT: &str = "and there was no fault";

/// Why a client could not be tested.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// There is no such workload.
    #[error("no workload {kind:?}: expected {}", Spec::kinds().collect::<Vec<_>>().join(", "))]
    Kind {
        /// What was asked for.
        kind: String,
    },
    /// The proxy could not be started.
    #[error("could not start the proxy")]
    Proxy(#[source] io::Error),
    /// Without a fault, and without the proxy, an operation did not end ok.
    #[error("without any fault, {} ended with {said}", asked.f)]
    Healthy {
        /// The operation.
        asked: Box<Invocation>,
        /// How it ended.
        said: Box<Said>,
    },
}

/// Tests a client of this kind of workload against a server. `make_client` makes one that speaks to the given
/// address, and gives up an operation after `client_timeout`.
///
/// The server keeps what the operations wrote. Takes some hundred operations, a third of which wait for their time-out.
///
/// # Errors
/// If the server cannot be asked without faults.
///
/// # Panics
/// If the client panics.
pub async fn run<C, F>(
    kind: &str,
    server: SocketAddr,
    client_timeout: Duration,
    mut make_client: F,
) -> Result<KitReport, KitError>
where
    C: Client,
    F: FnMut(&Spec, SocketAddr) -> C,
{
    let no_such = || KitError::Kind {
        kind: kind.to_owned(),
    };
    let spec = spec_of(kind).ok_or_else(no_such)?;
    let delay = client_timeout * 2;
    let proxy = Proxy::start(server, delay).await.map_err(KitError::Proxy)?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut kit = Kit {
        direct: make_client(&spec, server),
        kept: make_client(&spec, proxy.address()),
        spec,
        proxy,
        delay,
        patience: client_timeout + PATIENCE,
        make_client,
        // Keys that an earlier test has not used.
        next_key: since_1970.unwrap_or_default().as_millis() as i64 * 1000,
        batch: Vec::new(),
        earlier: Value::Null,
        reversed: false,
        report: KitReport::default(),
    };
    kit.writes().await?;
    kit.reads().await?;
    Ok(kit.report)
}

struct Kit<C, F> {
    spec: Spec,
    proxy: Proxy,
    /// Looks at the server without the proxy.
    direct: C,
    /// Goes on from one fault to the next.
    kept: C,
    /// How long what is delayed is; after it, everything has arrived.
    delay: Duration,
    patience: Duration,
    make_client: F,
    next_key: i64,
    /// Operations that were not looked at yet, and where they are in the report.
    batch: Vec<(Probe, usize)>,
    /// What was there before the batch.
    earlier: Value,
    reversed: bool,
    report: KitReport,
}

impl<C: Client, F: FnMut(&Spec, SocketAddr) -> C> Kit<C, F> {
    /// Writes that meet every fault.
    async fn writes(&mut self) -> Result<(), KitError> {
        for kept in [false, true] {
            let mut places = Places::default();
            while let Some((fault, exchange)) = places.next() {
                let mut attempts = 0;
                let struck = loop {
                    attempts += 1;
                    let probe = self.probe().await?;
                    let asked = probe.asked.clone();
                    let (mut trial, _) = self.trial(asked, fault, exchange, kept).await?;
                    let (struck, again) = (trial.struck, excused(&mut trial, attempts));
                    self.batch.push((probe, self.report.trials.len()));
                    self.report.trials.push(trial);
                    if !again {
                        break struck;
                    }
                };
                places.struck(struck);
            }
        }
        self.look().await
    }

    /// Reads that meet every fault, of what nobody changes any more.
    async fn reads(&mut self) -> Result<(), KitError> {
        let probe = self.probe().await?;
        healthy(&mut self.direct, &probe.asked, &self.spec).await?;
        let look = probe.look(&self.spec);
        let there = healthy(&mut self.direct, &look, &self.spec).await?;
        for kept in [false, true] {
            let mut places = Places::default();
            while let Some((fault, exchange)) = places.next() {
                let mut attempts = 0;
                let (mut trial, seen) = loop {
                    attempts += 1;
                    let (mut trial, seen) = self.trial(look.clone(), fault, exchange, kept).await?;
                    if !excused(&mut trial, attempts) {
                        break (trial, seen);
                    }
                };
                if let Some(seen) = seen.filter(|seen| !same(seen, &there)) {
                    trial.problem = Some(format!("it read {seen}, and there is {there}"));
                }
                places.struck(trial.struck);
                self.report.trials.push(trial);
            }
        }
        Ok(())
    }

    /// The next operation to be tried, prepared; looks at the last batch first if that is full.
    async fn probe(&mut self) -> Result<Probe, KitError> {
        if self.batch.len() == BATCH {
            self.look().await?;
        }
        self.next_key += 1;
        let probe = Probe::new(&self.spec, self.batch.len(), self.next_key, self.reversed);
        if self.batch.is_empty() {
            let look = probe.look(&self.spec);
            self.earlier = healthy(&mut self.direct, &look, &self.spec).await?;
        }
        if let Some(before) = &probe.before {
            healthy(&mut self.direct, before, &self.spec).await?;
        }
        Ok(probe)
    }

    /// One operation that meets a fault; and what it returned, if it is called ok.
    async fn trial(
        &mut self,
        asked: Invocation,
        fault: Fault,
        exchange: u32,
        kept: bool,
    ) -> Result<(Trial, Option<Value>), KitError> {
        let mut new;
        let client = if kept {
            let look = Probe::new(&self.spec, 0, self.next_key, false).look(&self.spec);
            healthy(&mut self.kept, &look, &self.spec).await?;
            &mut self.kept
        } else {
            new = (self.make_client)(&self.spec, self.proxy.address());
            &mut new
        };
        self.proxy.arm(fault, exchange);
        let (said, value) = ask(client, &asked, &self.spec, self.patience).await;
        let struck = self.proxy.disarm();
        let problem = match &said {
            Said::Defect(_) => Some("the client cannot account for it".to_owned()),
            Said::Nothing => Some(format!("no answer within {:?}", self.patience)),
            Said::Error(error, _)
                if !client.errors().iter().any(|known| known_as(known, error)) =>
            {
                Some("the client has not declared this error".to_owned())
            }
            Said::Error(..) if !struck => Some(NO_FAULT.to_owned()),
            _ => None,
        };
        if struck && fault == Fault::DelayRequest {
            // It arrives before anything else is done.
            sleep(self.delay).await;
        }
        let trial = Trial {
            fault,
            exchange,
            kept,
            struck,
            asked,
            said,
            happened: None,
            problem,
        };
        Ok((trial, value))
    }

    /// Looks at what came of the operations of a batch.
    async fn look(&mut self) -> Result<(), KitError> {
        sleep(self.delay).await;
        for (probe, at) in std::mem::take(&mut self.batch) {
            let look = probe.look(&self.spec);
            let seen = healthy(&mut self.direct, &look, &self.spec).await?;
            let happened = probe.happened(&self.spec, &self.earlier, &seen);
            let trial = &mut self.report.trials[at];
            let happened = match happened {
                Ok(happened) => happened,
                Err(why) => {
                    trial.problem = Some(why);
                    continue;
                }
            };
            trial.happened = Some(happened);
            match trial.said.certain() {
                Some(true) if !happened => {
                    trial.problem = Some("and it did not happen".to_owned());
                }
                Some(false) if happened => {
                    trial.problem = Some("and it did happen".to_owned());
                }
                _ => {}
            }
        }
        self.reversed = !self.reversed;
        Ok(())
    }
}

/// Where faults strike: all of them, at each exchange that an operation has.
#[derive(Debug, Default)]
struct Places {
    fault: usize,
    exchange: u32,
    /// Exchanges of the operation, once that is known.
    exchanges: Option<u32>,
}

impl Places {
    fn next(&self) -> Option<(Fault, u32)> {
        let fault = Fault::ALL.get(self.fault)?;
        Some((*fault, self.exchange))
    }

    /// Whether the fault at this place struck. If not, the operation has no such exchange.
    fn struck(&mut self, struck: bool) {
        let accept = self
            .next()
            .is_some_and(|(fault, _)| fault == Fault::CloseOnAccept);
        if !struck && !accept {
            self.exchanges = Some(self.exchange);
        }
        self.exchange += 1;
        let most = if accept {
            EXCHANGES
        } else {
            self.exchanges.unwrap_or(EXCHANGES)
        };
        if !struck || self.exchange >= most {
            self.fault += 1;
            self.exchange = 0;
        }
    }
}

/// Whether an error without a fault is no problem yet, as there are attempts left.
fn excused(trial: &mut Trial, attempts: u32) -> bool {
    let excused = attempts < ATTEMPTS && trial.problem.as_deref() == Some(NO_FAULT);
    if excused {
        trial.problem = None;
    }
    excused
}

/// Asks without any fault. What an earlier fault has left behind, or a busy machine, may cost an attempt; nothing that is
/// asked in this way does harm when it happens twice.
async fn healthy<C: Client>(
    client: &mut C,
    asked: &Invocation,
    spec: &Spec,
) -> Result<Value, KitError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match ask(client, asked, spec, PATIENCE).await {
            (Said::Ok, Some(value)) => return Ok(value),
            _ if attempts < ATTEMPTS => {}
            (said, _) => {
                return Err(KitError::Healthy {
                    asked: Box::new(asked.clone()),
                    said: Box::new(said),
                });
            }
        }
    }
}

async fn ask<C: Client>(
    client: &mut C,
    asked: &Invocation,
    spec: &Spec,
    patience: Duration,
) -> (Said, Option<Value>) {
    match timeout(patience, client.invoke(asked)).await {
        Err(_) => (Said::Nothing, None),
        Ok(Answer::Ok(value)) => match misfit(&spec.0, asked, &value) {
            Some(why) => (Said::Defect(why), None),
            None => (Said::Ok, Some(value)),
        },
        Ok(Answer::Error(error, text)) => (Said::Error(error, text), None),
        Ok(Answer::Defect(text)) => (Said::Defect(text), None),
    }
}

fn known_as(known: &KnownError, error: &KnownError) -> bool {
    known.name == error.name && known.effect == error.effect
}

/// Whether two reads saw the same; a set is listed in any order.
fn same(a: &Value, b: &Value) -> bool {
    let sorted = |value: &Value| {
        let mut items: Vec<Option<i64>> = value.as_array()?.iter().map(Value::as_i64).collect();
        items.sort_unstable();
        items.iter().all(Option::is_some).then_some(items)
    };
    match (sorted(a), sorted(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
