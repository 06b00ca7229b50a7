//! What the run loop does when an item is due, and when one has done its work.

use shakedown_checker::history::{Process, WindowMark};
use shakedown_reports::results::Span;
use shakedown_workloads::stop::stop_pair;

use super::{Conductor, Done, InForce};
use crate::run::faults::PreparedFault;
use crate::run::fleet::FleetError;
use crate::run::scene::Scene;
use crate::run::schedule::{Item, Step};

impl Scene {
    /// Lets a fault strike, prepared or not.
    async fn install(
        &self,
        fault: usize,
        prepared: Option<PreparedFault>,
    ) -> Result<InForce, FleetError> {
        let item = &self.scenario.fault[fault];
        if item.parameters.operation().is_some() {
            return Ok(InForce::Operation(self.begin_operation(item).await?));
        }
        let prepared = match prepared {
            Some(prepared) => prepared,
            None => self.prepare_fault(fault).await?,
        };
        let clock = self.clock;
        let installed = (self.nemesis).install(&self.fleet, prepared, || clock.now_ns());
        Ok(InForce::Fault(installed.await))
    }
}

impl Conductor {
    pub(super) async fn step(&mut self, step: Step) {
        let scene = self.scene.clone();
        let now_ns = scene.clock.now_ns();
        match step {
            Step::Begin(Item::Load(i)) => {
                let (stopper, stop) = stop_pair();
                self.stoppers.insert(i, stopper);
                self.schedule.began(Item::Load(i), now_ns);
                self.mark(
                    Process::OPERATOR,
                    WindowMark::START,
                    "load",
                    scene.scenario.load[i].name.get_ref(),
                )
                .await;
                self.tasks
                    .spawn(async move { Done::Load(i, now_ns, scene.drive(i, &stop).await) });
            }
            Step::Begin(Item::Fault(i)) => {
                let prepared = self.prepared.remove(&i);
                self.tasks.spawn(async move {
                    let installed = scene.install(i, prepared).await;
                    Done::Installed(i, Box::new(installed))
                });
            }
            Step::Begin(Item::Action(i)) => {
                self.schedule.began(Item::Action(i), now_ns);
                self.tasks.spawn(async move {
                    Done::Action(i, scene.act(i).await.map_err(|e| e.to_string()))
                });
            }
            Step::Begin(Item::Checkpoint(i)) => {
                self.schedule.began(Item::Checkpoint(i), now_ns);
                let name = scene.scenario.checkpoint[i].name.get_ref().clone();
                self.tasks
                    .spawn(async move { Done::Checkpoint(i, scene.checkpoint(&name).await) });
            }
            Step::End(Item::Load(i)) => {
                if let Some(stopper) = self.stoppers.get(&i) {
                    stopper.stop();
                }
            }
            Step::End(Item::Fault(i)) => self.undo(i),
            Step::End(Item::Action(_) | Item::Checkpoint(_)) => {}
        }
    }

    pub(super) fn undo(&mut self, i: usize) {
        let Some(active) = self.active.remove(&i) else {
            self.undo_after_probe.insert(i);
            return;
        };
        let scene = self.scene.clone();
        let marked = match &active {
            InForce::Fault(_) => false,
            InForce::Operation(active) => (active.mark.as_ref()).is_some_and(|mark| {
                let last_ns = self.marked.get(&(mark.lane.clone(), mark.name.clone()));
                last_ns.is_some_and(|last| *last >= active.start_ns)
            }),
        };
        self.tasks.spawn(async move {
            let clock = scene.clock;
            let result = match active {
                InForce::Fault(active) => {
                    let nemesis = &scene.nemesis;
                    (nemesis.undo(&scene.fleet, active, || clock.now_ns())).await
                }
                InForce::Operation(active) => scene.end_operation(active, marked).await,
            };
            Done::Undone(i, result)
        });
    }

    pub(super) async fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let scene = self.scene.clone();
        let now_ns = scene.clock.now_ns();
        match done {
            Err(panic) => self
                .out
                .errors
                .push(format!("a task of the harness panicked: {panic}")),
            Ok(Done::Load(i, start_ns, summary)) => {
                self.stoppers.remove(&i);
                self.schedule.ended(Item::Load(i), now_ns);
                let name = scene.scenario.load[i].name.get_ref();
                self.mark(Process::OPERATOR, WindowMark::END, "load", name)
                    .await;
                self.out.stages.push(Span {
                    name: name.clone(),
                    start_ns,
                    end_ns: now_ns,
                });
                if let Err(error) = summary {
                    self.out.errors.push(format!("load `{name}`: {error}"));
                }
            }
            Ok(Done::Installed(i, installed)) => {
                let active = match *installed {
                    Ok(active) => active,
                    Err(error) => {
                        let name = scene.scenario.fault[i].name.get_ref();
                        return self.out.errors.push(format!("fault `{name}`: {error}"));
                    }
                };
                self.schedule.began(Item::Fault(i), active.start_ns());
                self.progress.fault_began(active.name());
                self.mark(Process::NEMESIS, WindowMark::START, "fault", active.name())
                    .await;
                self.tasks.spawn(async move {
                    let probed = match active {
                        InForce::Fault(mut active) => {
                            scene.nemesis.probe(&scene.fleet, &mut active).await;
                            InForce::Fault(active)
                        }
                        operation => operation,
                    };
                    Done::Probed(i, Box::new(probed))
                });
            }
            Ok(Done::Probed(i, active)) => {
                self.active.insert(i, *active);
                if self.undo_after_probe.remove(&i) {
                    self.undo(i);
                }
            }
            Ok(Done::Undone(i, result)) => {
                self.schedule.ended(Item::Fault(i), result.end_ns);
                self.progress.fault_ended(&result.name);
                self.mark(Process::NEMESIS, WindowMark::END, "fault", &result.name)
                    .await;
                self.out.faults.push(result);
            }
            Ok(Done::Action(i, Ok(result))) => {
                self.schedule.ended(Item::Action(i), now_ns);
                if let Some(capture) = &scene.scenario.action[i].capture {
                    self.out
                        .captures
                        .insert(capture.clone(), result.output.clone());
                }
                self.out.actions.push(result);
            }
            Ok(Done::Action(i, Err(error))) => {
                self.schedule.ended(Item::Action(i), now_ns);
                self.out.errors.push(format!(
                    "action `{}`: {error}",
                    scene.scenario.action[i].name.get_ref()
                ));
            }
            Ok(Done::Checkpoint(i, taken)) => {
                self.schedule.ended(Item::Checkpoint(i), now_ns);
                match taken {
                    Ok(taken) => self.out.checkpoints.push(taken),
                    Err(error) => self.out.errors.push(error),
                }
            }
        }
    }
}
