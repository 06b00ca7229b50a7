//! The run loop of one scenario: starts items when they are due, follows the system's phases, and
//! ends with every load stopped and every fault undone, whatever happened.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use shakedown_checker::history::{Event, EventKind, Process, WindowMark};
use shakedown_nemesis::protocol::{Notice, RequestBody};
use shakedown_reports::results::{ActionResult, FaultResult, Span};
use shakedown_workloads::load::{LoadError, StageSummary};
use shakedown_workloads::stop::{StopSignal, Stopper, stop_pair};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::faults::{self, ActiveFault, PreparedFault};
use super::progress::Progress;
use super::scene::{CheckpointTaken, Scene};
use super::schedule::{Item, Schedule, Step};

/// How often the number of completed operations is looked at while a trigger waits for it.
const OPERATIONS_POLL: Duration = Duration::from_millis(1);
/// How long items still under way at the end are waited for.
const WIND_DOWN: Duration = Duration::from_secs(30);

/// What happened between deployment and the final read.
#[derive(Default)]
pub(crate) struct Conducted {
    pub(crate) faults: Vec<FaultResult>,
    /// Load stages that ran.
    pub(crate) stages: Vec<Span>,
    pub(crate) actions: Vec<ActionResult>,
    pub(crate) checkpoints: Vec<CheckpointTaken>,
    pub(crate) captures: BTreeMap<String, String>,
    pub(crate) phases: Vec<Span>,
    pub(crate) marks: BTreeMap<String, BTreeSet<String>>,
    pub(crate) unfinished: Vec<String>,
    /// Failures of the harness itself.
    pub(crate) errors: Vec<String>,
    pub(crate) interrupted: bool,
}

/// How a task of the loop ended.
enum Done {
    Load(usize, u64, Result<StageSummary, LoadError>),
    Installed(usize, ActiveFault),
    Probed(usize, ActiveFault),
    Undone(usize, FaultResult),
    Action(usize, Result<ActionResult, String>),
    Checkpoint(usize, Result<CheckpointTaken, String>),
}

struct Conductor {
    scene: Arc<Scene>,
    schedule: Schedule,
    tasks: JoinSet<Done>,
    stoppers: HashMap<usize, Stopper>,
    prepared: HashMap<usize, PreparedFault>,
    active: HashMap<usize, ActiveFault>,
    /// Faults whose end was due while they were being probed.
    undo_after_probe: BTreeSet<usize>,
    open_phase: Option<(String, u64)>,
    rules: Vec<(String, Regex)>,
    progress: Progress,
    out: Conducted,
}

/// Runs the items of a scenario to their end, its time-out or an interruption.
pub(crate) async fn conduct(
    scene: Arc<Scene>,
    notices: &mut UnboundedReceiver<(String, Notice)>,
    mut interrupt: StopSignal,
    progress: Progress,
) -> Conducted {
    let schedule = Schedule::new(&scene.scenario);
    let mut conductor = Conductor {
        scene,
        schedule,
        tasks: JoinSet::new(),
        stoppers: HashMap::new(),
        prepared: HashMap::new(),
        active: HashMap::new(),
        undo_after_probe: BTreeSet::new(),
        open_phase: None,
        rules: Vec::new(),
        progress,
        out: Conducted::default(),
    };
    conductor.watch_logs().await;
    conductor.prepare_faults().await;
    let deadline_ns = conductor.scene.clock.now_ns() + conductor.scene.scenario.timeout.as_nanos();
    while conductor.out.errors.is_empty() {
        let now_ns = conductor.scene.clock.now_ns();
        let operations = conductor.scene.sink.totals().completed();
        let (steps, wake) = conductor.schedule.due(now_ns, operations);
        let acted = !steps.is_empty();
        for step in steps {
            conductor.step(step).await;
        }
        if conductor.schedule.finished() || now_ns >= deadline_ns {
            break;
        }
        if acted {
            // What has just begun may be what something else waits for.
            continue;
        }
        let mut wake_ns = wake.unwrap_or(deadline_ns).min(deadline_ns);
        if conductor.schedule.watches_operations() {
            wake_ns = wake_ns.min(now_ns + OPERATIONS_POLL.as_nanos() as u64);
        }
        let wake = conductor.scene.clock.instant(wake_ns).into();
        tokio::select! {
            Some(done) = conductor.tasks.join_next(), if !conductor.tasks.is_empty() => conductor.done(done).await,
            Some((node, notice)) = notices.recv() => conductor.notice(&node, notice).await,
            () = tokio::time::sleep_until(wake) => {}
            () = interrupt.stopped() => {
                conductor.out.interrupted = true;
                break;
            }
        }
    }
    conductor.wind_down(notices).await;
    conductor.out
}

impl Conductor {
    /// Has the agents watch the logs that announce phases and marks.
    async fn watch_logs(&mut self) {
        let scene = self.scene.clone();
        for (number, rule) in scene.system.event.iter().enumerate() {
            let regex = match Regex::new(&rule.pattern) {
                Ok(regex) => regex,
                Err(error) => {
                    return self
                        .out
                        .errors
                        .push(format!("pattern of lane `{}`: {error}", rule.lane));
                }
            };
            self.rules.push((rule.lane.clone(), regex));
            for placed in scene
                .deployment
                .placed
                .iter()
                .filter(|p| p.spec.name == rule.service)
            {
                let (path, pattern) = (placed.log.clone(), rule.pattern.clone());
                let watch = RequestBody::Watch {
                    watch: number as u64,
                    path,
                    pattern,
                };
                if let Err(error) = scene.fleet.ask(&placed.node.name, watch).await {
                    self.out.errors.push(error.to_string());
                }
            }
        }
    }

    /// Has the agents prepare every fault, so that each strikes at once when it is due.
    async fn prepare_faults(&mut self) {
        let scene = self.scene.clone();
        for (i, item) in scene.scenario.fault.iter().enumerate() {
            let fault = faults::resolve(item, &scene.deployment.context().nodes);
            match scene
                .nemesis
                .prepare(&scene.fleet, item.name.get_ref(), fault)
                .await
            {
                Ok(prepared) => drop(self.prepared.insert(i, prepared)),
                Err(error) => self
                    .out
                    .errors
                    .push(format!("fault `{}`: {error}", item.name.get_ref())),
            }
        }
    }

    async fn step(&mut self, step: Step) {
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
                let prepared = self
                    .prepared
                    .remove(&i)
                    .expect("every fault is prepared before the first begins");
                self.tasks.spawn(async move {
                    let clock = scene.clock;
                    Done::Installed(
                        i,
                        scene
                            .nemesis
                            .install(&scene.fleet, prepared, || clock.now_ns())
                            .await,
                    )
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

    fn undo(&mut self, i: usize) {
        let Some(active) = self.active.remove(&i) else {
            self.undo_after_probe.insert(i);
            return;
        };
        let scene = self.scene.clone();
        self.tasks.spawn(async move {
            let clock = scene.clock;
            Done::Undone(
                i,
                scene
                    .nemesis
                    .undo(&scene.fleet, active, || clock.now_ns())
                    .await,
            )
        });
    }

    async fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
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
            Ok(Done::Installed(i, mut active)) => {
                self.schedule.began(Item::Fault(i), active.start_ns());
                self.progress.fault_began(&active.name);
                self.mark(Process::NEMESIS, WindowMark::START, "fault", &active.name)
                    .await;
                self.tasks.spawn(async move {
                    scene.nemesis.probe(&scene.fleet, &mut active).await;
                    Done::Probed(i, active)
                });
            }
            Ok(Done::Probed(i, active)) => {
                self.active.insert(i, active);
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

    async fn notice(&mut self, node: &str, notice: Notice) {
        match notice {
            Notice::Line { watch, line } => {
                let Some((lane, regex)) = self.rules.get(watch as usize) else {
                    return;
                };
                let Some(name) = regex.captures(&line).and_then(|c| c.name("name")) else {
                    return;
                };
                let (lane, name) = (lane.clone(), name.as_str().to_owned());
                if lane == "phase" {
                    self.enter_phase(&name).await;
                }
                self.out.marks.entry(lane).or_default().insert(name);
            }
            Notice::LeaseExpired { faults } => {
                let faults = faults.join(", ");
                self.out.errors.push(format!(
                    "{node}: the lease ran out and its faults were undone: {faults}"
                ));
            }
        }
    }

    async fn enter_phase(&mut self, phase: &str) {
        let now_ns = self.scene.clock.now_ns();
        self.schedule.phase(phase, now_ns);
        self.progress.phase(phase);
        self.close_phase(now_ns).await;
        if !self.scene.system.terminal_phases.contains(phase) {
            self.open_phase = Some((phase.to_owned(), now_ns));
            self.mark(Process::SYSTEM, WindowMark::START, "phase", phase)
                .await;
        }
    }

    async fn close_phase(&mut self, now_ns: u64) {
        if let Some((name, start_ns)) = self.open_phase.take() {
            self.mark(Process::SYSTEM, WindowMark::END, "phase", &name)
                .await;
            self.out.phases.push(Span {
                name,
                start_ns,
                end_ns: now_ns,
            });
        }
    }

    /// Records the start or end of a window in the history.
    async fn mark(&mut self, process: Process, f: &'static str, lane: &'static str, name: &str) {
        let mark = WindowMark {
            lane: lane.into(),
            name: name.to_owned(),
        };
        let event = Event {
            op: self.scene.sink.next_ops(1),
            process,
            kind: EventKind::Info,
            f: f.into(),
            time_ns: self.scene.clock.now_ns(),
            intended_ns: None,
            key: None,
            value: None,
            detail: Some(
                serde_json::to_string(&mark)
                    .expect("two strings")
                    .into_boxed_str(),
            ),
        };
        if let Err(error) = self.scene.sink.record([event]).await {
            self.out.errors.push(error.to_string());
        }
    }

    /// Stops what runs and undoes what is in force.
    async fn wind_down(&mut self, notices: &mut UnboundedReceiver<(String, Notice)>) {
        self.out.unfinished = self.schedule.unfinished();
        for i in self.schedule.active_loads() {
            if let Some(stopper) = self.stoppers.get(&i) {
                stopper.stop();
            }
        }
        for i in self.schedule.active_faults() {
            self.undo(i);
        }
        let deadline = tokio::time::Instant::now() + WIND_DOWN;
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(done) = self.tasks.join_next() => {
                    let installed = match &done { Ok(Done::Installed(i, _)) => Some(*i), _ => None };
                    self.done(done).await;
                    // A fault that was still being installed when the run ended is undone, too.
                    self.undo_after_probe.extend(installed);
                }
                Some((node, notice)) = notices.recv() => self.notice(&node, notice).await,
                () = tokio::time::sleep_until(deadline) => {
                    self.out.errors.push(format!("{} items did not end within {WIND_DOWN:?}", self.tasks.len()));
                    self.tasks.abort_all();
                    break;
                }
            }
        }
        let now_ns = self.scene.clock.now_ns();
        self.close_phase(now_ns).await;
    }
}
