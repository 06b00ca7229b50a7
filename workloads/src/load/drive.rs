//! The run loop: processes that take turns, record, send, and record what came of it.

use std::io;

use tokio::task::JoinSet;

use crate::client::{Client, Completion};
use crate::clock::RunClock;
use crate::documents::{Actor, KeySpace, KeySpaceError, Mix};
use crate::load::LoadSpec;
use crate::load::events::{Request, operations};
use crate::load::pacer::{self, Schedule};
use crate::load::turns::Turns;
use crate::sink::{EventSink, RecorderStopped};
use crate::stop::StopSignal;

/// Operations of a stage (documents written, and reads), by how they ended.
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
    fn add(&mut self, other: StageSummary) {
        self.offered += other.offered;
        self.ok += other.ok;
        self.failed += other.failed;
        self.indeterminate += other.indeterminate;
    }
}

/// Why a stage could not be carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The stage's keys are not to be had.
    #[error(transparent)]
    Keys(#[from] KeySpaceError),
    /// The history takes no more events; nothing was sent that it does not know.
    #[error(transparent)]
    Recorder(#[from] RecorderStopped),
    /// The open loop's clock could not be started.
    #[error("could not start the load pacer thread")]
    Pacer(#[source] io::Error),
}

/// Carries out a stage: `spec.processes` processes, each with a client of its own (`make_client`
/// gets the process's index in the stage), on the key group `spec.keys`.
///
/// Every invocation is handed to `sink` before its request is sent. After an indeterminate
/// completion a process goes on under a new number, since the old one's request may still be under
/// way. When `stop` is set no new request starts and those under way are finished.
///
/// What is offered depends on the key space's seed and the stages before alone. With `count`, or
/// with `rate` and `for`, it is always the same; in a closed loop with `for` only how far each
/// process gets differs.
///
/// # Errors
/// If the keys are in use by another stage, or the history takes no more events. Then the other
/// processes finish their requests and stop, too.
///
/// # Panics
/// If a client panics.
pub async fn drive<C, F>(
    spec: &LoadSpec,
    keys: &KeySpace,
    mut make_client: F,
    clock: RunClock,
    sink: &EventSink,
    stop: &StopSignal,
) -> Result<StageSummary, LoadError>
where
    C: Client,
    F: FnMut(u32) -> C,
{
    let actors = keys.actors(&spec.keys, spec.processes)?;
    let mut tasks = JoinSet::new();
    for ((index, actor), turns) in (0..).zip(actors).zip(turns(spec, clock)?) {
        let worker = Worker {
            actor,
            client: make_client(index),
            turns,
            mix: spec.mix,
            batch: spec.batch.get(),
            left: spec.quota(index),
            clock,
            sink: sink.clone(),
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

/// The turns of each process.
fn turns(spec: &LoadSpec, clock: RunClock) -> Result<Vec<Turns>, LoadError> {
    let processes = spec.processes.get();
    let start_ns = clock.now_ns();
    let length_ns = spec.duration.map(|length| length.as_nanos());
    let Some(rate) = spec.rate else {
        let deadline_ns = length_ns.map(|length| start_ns.saturating_add(length));
        let turns = || Turns::BackToBack { deadline_ns };
        return Ok((0..processes).map(|_| turns()).collect());
    };
    let schedule = Schedule {
        start_ns,
        rate,
        length_ns,
    };
    let receivers = pacer::spawn(schedule, processes, clock).map_err(LoadError::Pacer)?;
    Ok(receivers.into_iter().map(Turns::Paced).collect())
}

/// One process.
struct Worker<C> {
    actor: Actor,
    client: C,
    turns: Turns,
    mix: Mix,
    batch: u32,
    /// Operations it may still offer.
    left: u64,
    clock: RunClock,
    sink: EventSink,
    stop: StopSignal,
}

impl<C: Client> Worker<C> {
    async fn run(mut self) -> Result<StageSummary, RecorderStopped> {
        let mut summary = StageSummary::default();
        while self.left > 0 {
            let Some(turn) = self.turns.next(self.clock, &mut self.stop).await else {
                break;
            };
            let most = u32::try_from(self.left).map_or(self.batch, |left| left.min(self.batch));
            let operation = self.actor.next(&self.mix, most);
            let count = operations(&operation);
            self.left -= count;
            let request = Request {
                operation: &operation,
                first_op: self.sink.next_ops(count),
                process: self.actor.process(),
            };
            let invoked = request.invocations(self.clock.now_ns(), turn.intended_ns);
            self.sink.record(invoked).await?;
            summary.offered += count;

            self.actor.begin();
            let completion = self.client.invoke(&operation).await;
            let completed_ns = self.clock.now_ns();
            match &completion {
                Completion::Done { .. } | Completion::Corrupt { .. } => summary.ok += count,
                Completion::Failed { .. } => summary.failed += count,
                Completion::Indeterminate { .. } => summary.indeterminate += count,
            }
            let settled = !matches!(completion, Completion::Indeterminate { .. });
            let completed = request.completions(completed_ns, completion);
            self.sink.record(completed).await?;
            self.actor.end(settled);
        }
        Ok(summary)
    }
}
