//! What a scenario file says: which nodes, which load, which faults, when, and what must hold.
//!
//! A scenario is a set of items (loads, faults, actions, checkpoints), each with a trigger. Items run as
//! soon as their trigger fires, concurrently with whatever else runs. See `docs/writing_a_scenario.md`.

mod catalogue;
mod parse;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use shakedown_checker::loss::KeyClass;
use shakedown_reports::results::{self, ClaimOf};
use shakedown_workloads::documents::Mix;
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::load::LoadSpec;
use toml::Spanned;

pub use catalogue::Catalogue;
pub use parse::ScenarioError;
pub(crate) use parse::toml_at;
pub(crate) use validate::split_target;

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
    /// The whole scenario must end within this time.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// Load stages.
    #[serde(default)]
    pub load: Vec<LoadItem>,
    /// Faults.
    #[serde(default)]
    pub fault: Vec<FaultItem>,
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
}

/// When an item starts or ends: exactly one of the conditions, and optionally a delay after it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// This long after the scenario's start.
    pub at: Option<HumanDuration>,
    /// When these items have ended. `NAME.start` means: when it has begun (a fault: taken effect).
    pub after: Option<Spanned<Names>>,
    /// When this many client operations have completed.
    pub after_ops: Option<u64>,
    /// When the system enters this phase (for the first time).
    pub phase: Option<Spanned<String>>,
    /// Wait this much longer.
    #[serde(default)]
    pub delay: Option<HumanDuration>,
}

/// Names: in the file a string or a list of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor;

        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Names, E> {
                Ok(Names(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Names, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = names.next_element()? {
                    all.push(name);
                }
                Ok(Names(all))
            }
        }

        deserializer.deserialize_any(NamesVisitor)
    }
}

/// A load stage.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadItem {
    /// Unique among the scenario's items.
    pub name: Spanned<String>,
    /// When it starts.
    pub when: Spanned<Trigger>,
    /// When it ends, if not by `count` or `for`.
    pub until: Option<Spanned<Trigger>>,
    /// Ends after this many operations: documents written plus reads.
    pub count: Option<NonZeroU64>,
    /// Ends after this long.
    #[serde(rename = "for")]
    pub duration: Option<HumanDuration>,
    /// Open loop: requests per second. Closed loop (each process back to back) without it.
    pub rate: Option<NonZeroU32>,
    /// Logical client processes.
    #[serde(default = "eight")]
    pub processes: NonZeroU32,
    /// Weights of the operations.
    pub mix: Mix,
    /// Documents per write request.
    #[serde(default = "one")]
    pub batch: NonZeroU32,
    /// The group of keys it works on; stages that may overlap in time need different ones.
    #[serde(default = "main_keys")]
    pub keys: String,
}

fn eight() -> NonZeroU32 {
    NonZeroU32::new(8).expect("8 is not 0")
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn main_keys() -> String {
    "main".to_owned()
}

impl LoadItem {
    /// What the load driver is told.
    pub fn spec(&self) -> LoadSpec {
        LoadSpec {
            processes: self.processes,
            rate: self.rate,
            count: self.count,
            duration: self.duration,
            mix: self.mix,
            batch: self.batch,
            keys: self.keys.clone(),
        }
    }
}

/// A fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultItem {
    /// Unique among the scenario's items.
    pub name: Spanned<String>,
    /// When it strikes.
    pub when: Spanned<Trigger>,
    /// When it ends; the end of the scenario if neither this nor `for` is given.
    pub until: Option<Spanned<Trigger>>,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub duration: Option<HumanDuration>,
    /// Packets between nodes are dropped.
    pub partition: Option<PartitionFault>,
    /// A service is killed.
    pub kill: Option<KillFault>,
    /// A service is stopped and continued.
    pub pause: Option<PauseFault>,
    /// Data packets are rejected with a TCP reset.
    pub reset: Option<ResetFault>,
}

/// Parameters of `partition`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionFault {
    /// One side: roles or node names.
    pub from: Spanned<Names>,
    /// The other side: roles or node names.
    pub to: Spanned<Names>,
    /// Only packets that travel `from` -> `to`.
    #[serde(default)]
    pub one_way: bool,
}

/// Parameters of `kill`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
    /// Start it again when the fault ends.
    #[serde(default = "yes")]
    pub restart: bool,
}

fn yes() -> bool {
    true
}

/// Parameters of `pause`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseFault {
    /// Roles or node names.
    pub nodes: Spanned<Names>,
    /// A service of the system.
    pub service: Spanned<String>,
}

/// Parameters of `reset`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetFault {
    /// The nodes that listen: roles or node names.
    pub nodes: Spanned<Names>,
    /// The port they listen on.
    pub port: u16,
    /// Only packets from these: roles or node names; from any node without it.
    pub from: Option<Spanned<Names>>,
    /// Share of data packets rejected, above 0 up to 1.
    pub probability: Spanned<f64>,
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

/// How much loss is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Every key is in a permitted state.
    None,
    /// Acknowledged writes are lost, it is shown how many, and each is accounted for by the system's own
    /// records: none lost without explanation, none with one found alive.
    Some,
}

/// What must hold at the end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Loss at the final read.
    pub loss: Loss,
    /// Classes that are no fault at the end.
    #[serde(default)]
    pub allow: Vec<KeyClass>,
    /// Acknowledged writes below which the run proves nothing.
    pub writes_at_least: u64,
    /// Phases that must have been entered.
    #[serde(default)]
    pub phases: Vec<String>,
    /// Marks of the system that must have appeared, by lane.
    #[serde(default)]
    pub marks: BTreeMap<String, Vec<String>>,
    /// Pairs of captured outputs that must be equal.
    #[serde(default)]
    pub same: Vec<Spanned<[String; 2]>>,
    /// Documents that the system's own records say would be lost without its safety net: at least this
    /// many, else the faults did not bite.
    #[serde(default)]
    pub endangered_at_least: u64,
}

/// A fault's parameters, one of the kinds.
#[derive(Debug, Clone, Copy)]
pub enum FaultParameters<'a> {
    /// See [`PartitionFault`].
    Partition(&'a PartitionFault),
    /// See [`KillFault`].
    Kill(&'a KillFault),
    /// See [`PauseFault`].
    Pause(&'a PauseFault),
    /// See [`ResetFault`].
    Reset(&'a ResetFault),
}

impl FaultItem {
    /// Its parameters; `None` unless exactly one kind is given.
    pub fn parameters(&self) -> Option<FaultParameters<'_>> {
        let mut given = [
            self.partition.as_ref().map(FaultParameters::Partition),
            self.kill.as_ref().map(FaultParameters::Kill),
            self.pause.as_ref().map(FaultParameters::Pause),
            self.reset.as_ref().map(FaultParameters::Reset),
        ]
        .into_iter()
        .flatten();
        let first = given.next();
        if given.next().is_some() { None } else { first }
    }
}

impl Scenario {
    /// The checkpoints, `final` included, at which loss is expected.
    pub fn loss_expected(&self) -> BTreeSet<String> {
        let earlier = self
            .checkpoint
            .iter()
            .map(|c| (c.name.get_ref().as_str(), c.loss));
        let all = earlier.chain([("final", self.expect.loss)]);
        all.filter(|(_, loss)| *loss == Loss::Some)
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// Nodes it needs.
    pub fn nodes_needed(&self) -> usize {
        self.roles.get_ref().iter().map(|r| r.nodes).sum()
    }
}
