//! Workloads on objects in the run loop.

use crate::clock::RunClock;
use crate::load::{LoadError, StageSummary, run};
use crate::objects::actor::{Asked, ObjectActor};
use crate::objects::{Client, ObjectLoad, Objects};
use crate::sink::EventSink;
use crate::stop::StopSignal;

/// Carries out a load: `load.processes` processes, each with a client of its own (`make_client` gets the
/// process's index in the load).
///
/// Every invocation is handed to `sink` before it is sent. After an indeterminate operation a process goes on
/// under a new number: its own plus 1000. When `stop` is set no new operation starts and those under way are
/// finished.
///
/// What is offered depends on the seed and the loads before alone. With `count`, or with `rate` and `for`, it is
/// always the same; in a closed loop with `for` only how far each process gets differs. Among loads that
/// overlap in time, the order in which they begin counts, too.
///
/// # Errors
/// If the mix does not fit the workload, there are too many processes, or the history takes no more events.
/// Then the other processes finish their operations and stop, too.
///
/// # Panics
/// If a client panics.
pub async fn drive<C, F>(
    load: &ObjectLoad,
    objects: &Objects,
    mut make_client: F,
    clock: RunClock,
    sink: &EventSink,
    stop: &StopSignal,
) -> Result<StageSummary, LoadError>
where
    C: Client,
    F: FnMut(u32) -> C,
{
    let weights = load.weights(objects.spec())?;
    let slots = objects.take(load.processes)?;
    let actors = (0..).zip(slots).map(|(index, slot)| {
        let asked = Asked {
            weights: weights.clone(),
            processes: load.processes,
        };
        ObjectActor::new(objects, slot, make_client(index), asked)
    });
    run(load.pace(), actors.collect(), clock, sink, stop).await
}
