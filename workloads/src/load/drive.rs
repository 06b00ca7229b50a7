//! The documents workload in the run loop.

use shakedown_checker::history::Event;

use crate::client::{Client, Completion};
use crate::clock::RunClock;
use crate::documents::{self, KeySpace, Mix};
use crate::load::events::{self, Request};
use crate::load::run::{Actor, LoadError, StageSummary, run};
use crate::load::spec::LoadSpec;
use crate::operation::Operation;
use crate::sink::EventSink;
use crate::stop::StopSignal;

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
    let writers = keys.actors(&spec.keys, spec.processes)?;
    let actors = (0..).zip(writers).map(|(index, writer)| DocumentActor {
        writer,
        client: make_client(index),
        mix: spec.mix,
        batch: spec.batch.get(),
    });
    run(spec.pace(), actors.collect(), clock, sink, stop).await
}

/// A writer of documents with its client.
struct DocumentActor<C> {
    writer: documents::Actor,
    client: C,
    mix: Mix,
    batch: u32,
}

impl<C> DocumentActor<C> {
    fn request<'a>(&self, operation: &'a Operation, first_op: u64) -> Request<'a> {
        Request {
            operation,
            first_op,
            process: self.writer.process(),
        }
    }
}

impl<C: Client> Actor for DocumentActor<C> {
    type Request = Operation;
    type Answer = Completion;

    fn next(&mut self, most: u64) -> Operation {
        let most = u32::try_from(most).map_or(self.batch, |most| most.min(self.batch));
        self.writer.next(&self.mix, most)
    }

    fn operations(operation: &Operation) -> u64 {
        events::operations(operation)
    }

    fn invocations(&self, operation: &Operation, op: u64, into: &mut Vec<Event>) {
        into.extend(self.request(operation, op).invocations());
    }

    async fn send(&mut self, operation: &Operation) -> Completion {
        self.writer.begin();
        self.client.invoke(operation).await
    }

    fn completions(
        &self,
        operation: &Operation,
        completion: Completion,
        op: u64,
        into: &mut Vec<Event>,
    ) {
        into.extend(self.request(operation, op).completions(completion));
    }

    fn end(&mut self, settled: bool) {
        self.writer.end(settled);
    }
}
