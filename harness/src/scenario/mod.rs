//! What a scenario file says: which nodes, which load, which faults, when, and what must hold.
//!
//! A scenario is a set of items (loads, faults, actions, checkpoints), each with a trigger. Items run as
//! soon as their trigger fires, concurrently with whatever else runs. See `docs/writing_a_scenario.md`.

mod catalogue;
mod expect;
mod fault;
mod limits;
mod load;
mod parse;
mod storm;
mod trigger;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shakedown_checker::loss::KeyClass;
use shakedown_reports::results::{self, ClaimOf};
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::objects::Spec;
use toml::Spanned;

pub use catalogue::Catalogue;
pub use expect::{Expect, Expectation, Loss};
pub use fault::{
    BlockFault, ClockFault, CorruptFault, CpuFault, CrashLoopFault, DelayFault, DiskFullFault,
    DnsFault, FaultItem, FaultParameters, HostClockFault, InStorm, InodesFullFault, IoFault,
    KillFault, LimitFault, Local, LocalParameters, MemoryFault, OperationFault, PartitionFault,
    PauseBy, PauseFault, PowerLossFault, ResetFault, ShapeFault, SplitFault, SplitShape,
    StormFault, StreamFault,
};
pub(crate) use fault::{PRIMARY, millis};
pub use limits::{Limits, LimitsWish};
pub use load::{LoadItem, Weights};
pub use parse::ScenarioError;
pub(crate) use parse::toml_at;
pub use storm::{PlannedFault, StormItem};
pub use trigger::{Mark, Names, Trigger};
pub(crate) use validate::{Problem, Target, list, split_target};

/// A scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Unique; the file is named after it.
    pub name: Spanned<String>,
    /// Its number in the catalogue of reference scenarios, if it has one.
    pub number: Option<u32>,
    /// One line.
    pub description: String,
    /// Suites it belongs to.
    #[serde(default)]
    pub suites: Vec<String>,
    /// The system under test: a name from the embedded systems.
    pub system: Spanned<String>,
    /// Label of its row in loss tables.
    pub configuration: String,
    /// What is expected, in words.
    pub expectation: String,
    /// What was claimed before, to stand in the report beside what is measured.
    pub claim: Option<Spanned<Claim>>,
    /// Roles with the number of nodes each needs; nodes are dealt out in this order.
    pub roles: Spanned<Vec<RoleCount>>,
    /// Values for the system's templates.
    #[serde(default)]
    pub settings: toml::Table,
    /// What clients do to plain objects; without it they write documents.
    pub workload: Option<Spanned<Spec>>,
    /// How much the check of the history may take.
    #[serde(default)]
    pub limits: Limits,
    /// The whole scenario must end within this time.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// Time between the system's recovery and the final read.
    #[serde(default)]
    pub settle: HumanDuration,
    /// Load stages.
    #[serde(default)]
    pub load: Vec<LoadItem>,
    /// Faults.
    #[serde(default)]
    pub fault: Vec<FaultItem>,
    /// Stretches of random faults.
    #[serde(default)]
    pub storm: Vec<StormItem>,
    /// Operator actions.
    #[serde(default)]
    pub action: Vec<ActionItem>,
    /// Reads of the whole state before the end.
    #[serde(default)]
    pub checkpoint: Vec<CheckpointItem>,
    /// What must hold at the end.
    pub expect: Expect,
}

/// A claim: its words, and either a rate or a bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// In the words of whoever claimed it.
    pub text: String,
    /// The claimed rate, per cent.
    pub rate_percent: Option<f64>,
    /// The claimed bound: fewer than this many per million.
    pub max_per_million: Option<f64>,
    /// What it is a rate of.
    pub of: ClaimOf,
}

impl From<&Claim> for results::Claim {
    fn from(claim: &Claim) -> Self {
        results::Claim {
            text: claim.text.clone(),
            rate_percent: claim.rate_percent,
            max_per_million: claim.max_per_million,
            of: claim.of,
        }
    }
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(120)
}

/// How many nodes play a role.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleCount {
    /// The role, as the system file names it.
    pub role: Spanned<String>,
    /// How many nodes.
    pub nodes: usize,
    /// Gives each of these nodes a small disk of its own for what it stores, so many MiB.
    pub disk_mib: Option<u32>,
    /// Puts a layer over that disk, which can make its operations fail.
    #[serde(default)]
    pub disk_layer: bool,
}

/// An operator action, defined by the system file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionItem {
    /// Unique among the scenario's items.
    pub name: Spanned<String>,
    /// When it runs.
    pub when: Spanned<Trigger>,
    /// The system's action.
    pub run: Spanned<String>,
    /// Where, instead of on the node the system file says: roles or single nodes, one after the other.
    pub on: Option<Spanned<Names>>,
    /// Arguments for the action's template.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// It must fail, with this text in its output.
    pub fails_with: Option<String>,
    /// Keep its output under this name, to compare it with another.
    pub capture: Option<String>,
}

/// A read of the whole state in the course of a scenario. No load may run at the time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointItem {
    /// Unique among the scenario's items.
    pub name: Spanned<String>,
    /// When it is taken.
    pub when: Spanned<Trigger>,
    /// What must hold then.
    pub loss: Loss,
    /// Classes that are no fault at this point.
    #[serde(default)]
    pub allow: Vec<KeyClass>,
}

impl Scenario {
    /// The checkpoints, `final` included, at which loss is expected.
    pub fn loss_expected(&self) -> BTreeSet<String> {
        let earlier = self
            .checkpoint
            .iter()
            .map(|c| (c.name.get_ref().as_str(), c.loss));
        let all = earlier.chain([("final", self.expect.loss())]);
        all.filter(|(_, loss)| *loss == Loss::Some)
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// Whether it sets clocks of nodes themselves.
    pub fn sets_host_clocks(&self) -> bool {
        self.all_faults()
            .any(|fault| matches!(fault, FaultParameters::Local(LocalParameters::HostClock(_))))
    }

    /// Nodes it needs.
    pub fn nodes_needed(&self) -> usize {
        self.roles.get_ref().iter().map(|r| r.nodes).sum()
    }
}
