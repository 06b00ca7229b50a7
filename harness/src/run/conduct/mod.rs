//! The run loop of one scenario: starts items when they are due, follows the system's phases, and
//! ends with every load stopped and every fault undone, whatever happened.

mod steps;
mod windows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use shakedown_nemesis::protocol::Notice;
use shakedown_reports::results::{ActionResult, FaultResult, MemberSpan, Span};
use shakedown_workloads::load::{LoadError, StageSummary};
use shakedown_workloads::stop::{StopSignal, Stopper};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::faults::{ActiveFault, PreparedFault};
use super::fleet::FleetError;
use super::operator::ActiveOperation;
use super::progress::Progress;
use super::scene::{CheckpointTaken, Scene};
use super::schedule::{PHASE, Schedule};

/// How often the number of completed operations is looked at while a trigger waits for it.
const OPERATIONS_POLL: Duration = Duration::from_millis(1);
/// Longest time that lines which the scenario expects, but nobody has seen, are waited for at the end.
const LATE_LINES: Duration = Duration::from_secs(10);
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
    /// Where each member of the system stood, and when.
    pub(crate) members: Vec<MemberSpan>,
    pub(crate) marks: BTreeMap<String, BTreeSet<String>>,
    pub(crate) unfinished: Vec<String>,
    /// Failures of the harness itself.
    pub(crate) errors: Vec<String>,
    pub(crate) interrupted: bool,
}

/// What is in force: inflicted by agents, or done to the system by its operators.
enum InForce {
    Fault(ActiveFault),
    Operation(ActiveOperation),
}

impl InForce {
    fn name(&self) -> &str {
        match self {
            InForce::Fault(active) => &active.name,
            InForce::Operation(active) => &active.name,
        }
    }

    /// When it took effect; an operation: when it was begun.
    fn start_ns(&self) -> u64 {
        match self {
            InForce::Fault(active) => active.start_ns(),
            InForce::Operation(active) => active.start_ns,
        }
    }
}

/// How a task of the loop ended.
enum Done {
    Load(usize, u64, Result<StageSummary, LoadError>),
    Installed(usize, Box<Result<InForce, FleetError>>),
    Probed(usize, Box<InForce>),
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
    active: HashMap<usize, InForce>,
    /// Faults whose end was due while they were being probed.
    undo_after_probe: BTreeSet<usize>,
    /// When each name last appeared in a lane of the system's log.
    marked: HashMap<(String, String), u64>,
    open_phase: Option<(String, u64)>,
    /// Where each member now stands, by lane and member, and since when.
    open_members: BTreeMap<(String, String), (String, u64)>,
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
        marked: HashMap::new(),
        open_phase: None,
        open_members: BTreeMap::new(),
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
    /// Has the agents prepare the faults, so that each strikes at once when it is due. Those of a storm
    /// are prepared as they come, since there may be very many, and so are those of the primary.
    async fn prepare_faults(&mut self) {
        let scene = self.scene.clone();
        for (i, item) in scene.scenario.fault.iter().enumerate() {
            let on_nodes = item.parameters.operation().is_none();
            if item.in_storm.is_some() || item.parameters.names_primary() || !on_nodes {
                continue;
            }
            match scene.prepare_fault(i).await {
                Ok(prepared) => drop(self.prepared.insert(i, prepared)),
                Err(error) => self
                    .out
                    .errors
                    .push(format!("fault `{}`: {error}", item.name.get_ref())),
            }
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
        self.await_expected(notices).await;
        let now_ns = self.scene.clock.now_ns();
        self.close_phase(now_ns).await;
        self.close_members(now_ns);
    }

    /// Lines that were written before the end may still be on their way from a busy node.
    async fn await_expected(&mut self, notices: &mut UnboundedReceiver<(String, Notice)>) {
        let deadline = tokio::time::Instant::now() + LATE_LINES;
        while !self.out.interrupted && !self.expected_seen() {
            tokio::select! {
                Some((node, notice)) = notices.recv() => self.notice(&node, notice).await,
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    fn expected_seen(&self) -> bool {
        let expect = &self.scene.scenario.expect;
        let phases = expect.phases.iter().map(|name| (PHASE, name));
        let marks = (expect.marks.iter())
            .flat_map(|(lane, names)| names.iter().map(move |name| (lane.as_str(), name)));
        (phases.chain(marks)).all(|(lane, name)| self.schedule.has_mark(lane, name))
    }
}
