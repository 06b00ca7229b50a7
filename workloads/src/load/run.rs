//! The run loop: processes that take turns, record, send, and record what came of it.

use std::io;

use shakedown_checker::history::{Event, EventKind};
use tokio::task::JoinSet;

use crate::clock::RunClock;
use crate::documents::KeySpaceError;
use crate::load::pace::Pace;
use crate::load::turns::Turns;
use crate::objects::{MixError, ProcessesError};
use crate::sink::{EventSink, RecorderStopped};
use crate::stop::StopSignal;

/// Operations of a stage, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageSummary {
    /// Operations sent.
    pub offered: u64,
    /// Certainly happened.
    pub ok: u64,
    /// Certainly did not happen.
    pub failed: u64,
    /// May have happened.
    pub indeterminate: u64,
}

impl StageSummary {
    pub(crate) fn add(&mut self, other: StageSummary) {
        self.offered += other.offered;
        self.ok += other.ok;
        self.failed += other.failed;
        self.indeterminate += other.indeterminate;
    }

    fn count(&mut self, completed: &[Event]) {
        for event in completed {
            match event.kind {
                EventKind::Invoke => {}
                EventKind::Ok => self.ok += 1,
                EventKind::Fail => self.failed += 1,
                EventKind::Info => self.indeterminate += 1,
            }
        }
    }
}

/// Why a stage could not be carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The stage's keys are not to be had.
    #[error(transparent)]
    Keys(#[from] KeySpaceError),
    /// There are not so many processes.
    #[error(transparent)]
    Processes(#[from] ProcessesError),
    /// The workload has no such functions.
    #[error(transparent)]
    Mix(#[from] MixError),
    /// The history takes no more events; nothing was sent that it does not know.
    #[error(transparent)]
    Recorder(#[from] RecorderStopped),
    /// The open loop's clock could not be started.
    #[error("could not start the load pacer thread")]
    Pacer(#[source] io::Error),
}

/// One process of a workload with its client, as the run loop sees it.
pub(crate) trait Actor: Send + 'static {
    /// What it asks for at a time: one operation or several.
    type Request: Send + Sync;
    /// What comes of that.
    type Answer: Send;

    /// The next request, of at most `most` operations.
    fn next(&mut self, most: u64) -> Self::Request;

    /// Operations in a request.
    fn operations(request: &Self::Request) -> u64;

    /// Writes the invocations of a request, one for each operation; `op` is the number of the first.
    fn invocations(&self, request: &Self::Request, op: u64, into: &mut Vec<Event>);

    /// Sends the request. The process must count as being in the middle of it if this never returns.
    fn send(&mut self, request: &Self::Request) -> impl Future<Output = Self::Answer> + Send;

    /// Writes the completions of a request, one for each operation.
    fn completions(
        &self,
        request: &Self::Request,
        answer: Self::Answer,
        op: u64,
        into: &mut Vec<Event>,
    );

    /// The completions are recorded. If the request is not settled, and so may still be under way, the actor
    /// becomes another logical process.
    fn end(&mut self, settled: bool);
}

/// Carries out a stage at this pace, with one actor for each process.
///
/// Every invocation is handed to `sink` before its request is sent. When `stop` is set no new request
/// starts and those under way are finished.
///
/// # Errors
/// If the history takes no more events. Then the other processes finish their requests and stop, too.
///
/// # Panics
/// If an actor panics.
pub(crate) async fn run<A: Actor>(
    pace: Pace,
    actors: Vec<A>,
    clock: RunClock,
    sink: &EventSink,
    stop: &StopSignal,
) -> Result<StageSummary, LoadError> {
    let turns = pace.turns(clock)?;
    let mut tasks = JoinSet::new();
    for ((index, actor), turns) in (0..).zip(actors).zip(turns) {
        let worker = Worker {
            actor,
            turns,
            left: pace.quota(index),
            exchange: Exchange::new(clock, sink.clone()),
            stop: stop.clone(),
        };
        tasks.spawn(worker.run());
    }
    let mut summary = StageSummary::default();
    let mut stopped = None;
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(Ok(part)) => summary.add(part),
            Ok(Err(error)) => stopped = Some(error),
            Err(join) => std::panic::resume_unwind(join.into_panic()),
        }
    }
    stopped.map_or(Ok(summary), |error| Err(error.into()))
}

/// One process.
struct Worker<A> {
    actor: A,
    turns: Turns,
    /// Operations it may still offer.
    left: u64,
    exchange: Exchange,
    stop: StopSignal,
}

impl<A: Actor> Worker<A> {
    async fn run(mut self) -> Result<StageSummary, RecorderStopped> {
        while self.left > 0 {
            let turn = self.turns.next(self.exchange.clock, &mut self.stop).await;
            let Some(turn) = turn else {
                break;
            };
            let request = self.actor.next(self.left);
            self.left -= A::operations(&request);
            let actor = &mut self.actor;
            self.exchange
                .carry_out(actor, &request, turn.intended_ns)
                .await?;
        }
        Ok(self.exchange.summary)
    }
}

/// Sends requests one after the other and records them.
#[derive(Debug)]
pub(crate) struct Exchange {
    clock: RunClock,
    sink: EventSink,
    /// What was sent so far.
    pub(crate) summary: StageSummary,
    events: Vec<Event>,
}

impl Exchange {
    pub(crate) fn new(clock: RunClock, sink: EventSink) -> Self {
        Exchange {
            clock,
            sink,
            summary: StageSummary::default(),
            events: Vec::new(),
        }
    }

    /// Records the invocations, sends the request, records what came of it.
    pub(crate) async fn carry_out<A: Actor>(
        &mut self,
        actor: &mut A,
        request: &A::Request,
        intended_ns: Option<u64>,
    ) -> Result<(), RecorderStopped> {
        let count = A::operations(request);
        let op = self.sink.next_ops(count);
        actor.invocations(request, op, &mut self.events);
        let time_ns = self.clock.now_ns();
        let invoked = self.events.drain(..).map(|event| Event {
            time_ns,
            intended_ns,
            ..event
        });
        self.sink.record(invoked).await?;
        self.summary.offered += count;

        let answer = actor.send(request).await;
        let time_ns = self.clock.now_ns();
        actor.completions(request, answer, op, &mut self.events);
        self.summary.count(&self.events);
        let settled = self
            .events
            .iter()
            .all(|event| event.kind != EventKind::Info);
        let completed = self
            .events
            .drain(..)
            .map(|event| Event { time_ns, ..event });
        self.sink.record(completed).await?;
        actor.end(settled);
        Ok(())
    }
}
