//! Running scenarios one after the other on one set of nodes, and writing down what came of it.

mod act;
mod analyse;
mod clients;
mod command;
mod conduct;
mod deploy;
mod environment;
mod error_chain;
mod evaluate;
mod faults;
mod fleet;
mod gauges;
mod groups;
mod judge;
mod local_program;
mod logs;
mod nodes;
mod observed;
mod operations;
mod operator;
mod own_machine;
mod predictor;
mod primary;
mod programs;
mod progress;
mod reach;
mod recovery;
mod rejudge;
mod resolve;
mod scenario_run;
mod scene;
mod schedule;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shakedown_reports::render::render_run;
use shakedown_reports::results::{SCHEMA_VERSION, SuiteResults, Verdict};
use shakedown_workloads::stop::StopSignal;

pub use analyse::{AnalyseError, check_scenario_dir, describe};
pub use deploy::{DeployError, local_binary};
pub use fleet::FleetError;
pub use nodes::node_refs;
pub use observed::ObservedError;
pub use reach::check_nodes;
pub use rejudge::{DirJudged, RejudgeError, Rejudged, judge_scenario_dir, rejudge};

use crate::control::{Access, ControlError, NodeAddress, SshRemote};
use crate::plan::{Plan, PlanError};
use crate::rundir::{RunDir, RunDirError};
use crate::scenario::Scenario;
use crate::system::System;
pub(crate) use error_chain::error_chain;
use nodes::preflight;
use scenario_run::ScenarioRun;

/// A scenario about to run, or one repetition of it.
pub struct RunItem {
    /// The scenario.
    pub scenario: Scenario,
    /// It, resolved.
    pub plan: Plan,
    /// Number of the repetition, from 1; `None` if it runs once.
    pub repetition: Option<u32>,
    /// The command line that repeats it alone.
    pub command: String,
}

impl RunItem {
    fn place(&self) -> String {
        place_of(self.scenario.name.get_ref(), self.repetition)
    }
}

/// The directory of a scenario, or of a repetition of one, within the run directory.
fn place_of(name: &str, repetition: Option<u32>) -> String {
    match repetition {
        Some(repetition) => format!("{name}/rep-{repetition:02}"),
        None => name.to_owned(),
    }
}

/// Everything a run is told.
pub struct RunRequest {
    /// Names the run directory.
    pub name: String,
    /// What to run, in order.
    pub items: Vec<RunItem>,
    /// The systems they may name.
    pub systems: Vec<System>,
    /// The nodes, in the order in which plans deal them out.
    pub nodes: Vec<NodeAddress>,
    /// How to log in to them.
    pub access: Access,
    /// The seed all plans come from.
    pub seed: u64,
    /// Directory for run directories.
    pub out: PathBuf,
    /// Programs named on the command line instead of those beside this executable.
    pub binaries: BTreeMap<String, PathBuf>,
    /// Nodes that lack a system's packages get them by their package manager.
    pub install_packages: bool,
    /// The services of the last item go on running, without faults.
    pub leave_running: bool,
    /// Faults end when the harness was silent for this long.
    pub lease: Duration,
    /// Whether faults may set the clocks of nodes that have a kernel of their own.
    pub allow_host_clock: bool,
    /// The command line that repeats the run.
    pub command: String,
    /// Set when the run is to be cut short.
    pub interrupt: StopSignal,
}

/// Why a run could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A node.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A program is missing, or a node does not take it.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A node's name does not resolve.
    #[error(
        "node `{node}`: cannot resolve `{host}`: {reason}; give its address or add it to /etc/hosts"
    )]
    Resolve {
        /// The node.
        node: String,
        /// What was looked up.
        host: String,
        /// Why not.
        reason: String,
    },
    /// No node can be known to others by such an address.
    #[error(
        "node `{node}`: {address} {reason}: behind `=` belongs the address by which the other nodes and this machine \
         reach it"
    )]
    Unfit {
        /// The node.
        node: String,
        /// The address.
        address: IpAddr,
        /// Why not.
        reason: &'static str,
    },
    /// A node's agent, before anything has begun.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Some nodes cannot be used.
    #[error("{}", .0.join("\n       "))]
    Nodes(Vec<String>),
    /// The report.
    #[error(transparent)]
    Report(#[from] shakedown_reports::ReportError),
}

/// What a run left.
pub struct RunOutcome {
    /// The results, as in `results.json`.
    pub results: SuiteResults,
    /// The run directory.
    pub dir: PathBuf,
    /// The report, or what kept it, or a scenario's directory, from being written.
    pub report: Result<PathBuf, RunError>,
}

/// Runs every scenario and writes results and report. A scenario that fails in the harness has its
/// error in the results; the others still run, unless there is no place to write to.
///
/// # Errors
/// Only what keeps any scenario from starting: once one has run, its verdict must not get lost.
pub async fn run(request: RunRequest) -> Result<RunOutcome, RunError> {
    let started = Instant::now();
    let started_at = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let mut remotes = Vec::new();
    let mut known = Vec::new();
    for node in &request.nodes {
        let remote = SshRemote::new(node, &request.access)?;
        known.push(nodes::known(node, remote.target())?);
        remotes.push(Arc::new(remote));
    }
    let agent = deploy::local_binary("shakedown-agent", &request.binaries)?;
    for item in &request.items {
        let mut systems = request.systems.iter();
        let system = systems.find(|s| s.name == *item.scenario.system.get_ref());
        for program in system.into_iter().flat_map(|s| item.scenario.programs(s)) {
            deploy::local_binary(&program, &request.binaries)?;
        }
    }
    preflight(&remotes).await?;
    let provided = programs::provide(&request, &remotes, &known).await;
    provided.map_err(RunError::Nodes)?;
    for warning in reach::check(&remotes, &known, &agent).await? {
        eprintln!("warning: {warning}");
    }
    let dir = RunDir::create(&request.out, &request.name, request.seed)?;
    let mut results = no_results(&request, started_at);
    // What came of writing the report, unless there is more to write since.
    let mut report: Option<Result<PathBuf, RunError>> = None;
    for (number, item) in request.items.iter().enumerate() {
        let (scenario, plan) = (&item.scenario, &item.plan);
        if request.interrupt.is_stopped() {
            results.interrupted = true;
            report = None;
            break;
        }
        let place = match place(&dir, &item.place(), plan) {
            Ok(place) => place,
            Err(error) => {
                report = Some(Err(error.into()));
                break;
            }
        };
        let system = request
            .systems
            .iter()
            .find(|s| s.name == *scenario.system.get_ref());
        let run = ScenarioRun {
            scenario,
            plan,
            system: system.expect("validation saw to it that the system is known"),
            remotes: &remotes[..scenario.nodes_needed()],
            known: &known[..scenario.nodes_needed()],
            agent: &agent,
            binaries: &request.binaries,
            lease: request.lease,
            allow_host_clock: request.allow_host_clock,
            // Unique among runs on the same nodes, and of the form agents accept.
            id: format!("r{:x}_{number}", jiff::Timestamp::now().as_millisecond()),
            dir: place,
            place: item.place(),
            leave_running: request.leave_running && number + 1 == request.items.len(),
            suite_started: started,
            interrupt: request.interrupt.clone(),
        };
        let mut result = run.run().await;
        result.repetition = item.repetition;
        result.command.clone_from(&item.command);
        results.interrupted |= request.interrupt.is_stopped();
        results.scenarios.push(result);
        results.verdict = worst(&results);
        results.duration_ms = started.elapsed().as_millis() as u64;
        // After every scenario, so that a killed run leaves those that ended.
        let rendered = render_run(&results, dir.root()).map_err(RunError::from);
        let failed = rendered.is_err();
        report = Some(rendered);
        if failed {
            break;
        }
    }
    for remote in &remotes {
        let remote = remote.clone();
        fleet::blocking(move || remote.close()).await;
    }
    let report = match report {
        Some(report) => report,
        None => render_run(&results, dir.root()).map_err(RunError::from),
    };
    Ok(RunOutcome {
        results,
        dir: dir.root().to_owned(),
        report,
    })
}

/// The results before the first scenario.
fn no_results(request: &RunRequest, started_at: String) -> SuiteResults {
    let systems = request.systems.iter();
    SuiteResults {
        schema_version: SCHEMA_VERSION,
        shakedown_version: env!("CARGO_PKG_VERSION").to_owned(),
        suite: request.name.clone(),
        command: request.command.clone(),
        seed: request.seed,
        started_at,
        duration_ms: 0,
        environment: environment::environment(),
        verdict: Verdict::Unknown,
        interrupted: false,
        systems: systems
            .filter(|system| uses(request, system))
            .map(System::notes)
            .collect(),
        scenarios: Vec::new(),
    }
}

/// Makes a scenario's directory, with its plan.
fn place(dir: &RunDir, place: &str, plan: &Plan) -> Result<PathBuf, RunDirError> {
    let path = dir.scenario(place)?;
    dir.write(&format!("{place}/plan.json"), &pretty(plan))?;
    Ok(path)
}

fn uses(request: &RunRequest, system: &System) -> bool {
    request
        .items
        .iter()
        .any(|item| *item.scenario.system.get_ref() == system.name)
}

/// The worst of the scenarios. A run that was cut short proves nothing about what it left out.
fn worst(results: &SuiteResults) -> Verdict {
    let worst = Verdict::worst(results.scenarios.iter().map(|s| s.verdict));
    if results.interrupted {
        worst.max(Verdict::Unknown)
    } else {
        worst
    }
}

fn pretty(plan: &Plan) -> String {
    serde_json::to_string_pretty(plan).expect("a plan is plain data")
}
