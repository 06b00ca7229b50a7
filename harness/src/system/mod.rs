//! What a system file says: how a system under test is installed, started, watched, spoken to and operated.
//!
//! Nothing outside these files (and the system's own crate, if it has one) knows any system by name.
//! See `docs/adding_a_system.md`.

mod action;
mod client;
mod ready;
mod template;
mod torture;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use shakedown_reports::results::{Audience, Recommendation, SystemNotes};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

use crate::scenario::{ScenarioError, toml_at};

pub use action::{ActionSpec, CommandSpec, CopySpec, Deed, GaugeSpec, UpgradeSpec};
pub use client::{ClientSpec, DocumentsHttpSpec, EtcdSpec, ExecSpec, RedisSpec, SentinelSpec};
pub(crate) use ready::Probe;
pub use ready::{Ready, ReadyCommand};
pub use template::{NodeRef, TemplateContext, TemplateError};
pub use torture::{Torture, TortureError, TortureSpec};

/// The embedded system files.
const EMBEDDED: &[(&str, &str)] = &[
    ("miroir", include_str!("../../systems/miroir.toml")),
    ("etcd", include_str!("../../systems/etcd.toml")),
    ("redis", include_str!("../../systems/redis.toml")),
];

/// A system file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its name.
    pub name: String,
    /// One line.
    pub description: String,
    /// Phases the system goes through, for triggers and windows; those in `terminal_phases` open no window.
    #[serde(default)]
    pub phases: BTreeSet<String>,
    /// Phases that are an end, not a stretch of time.
    #[serde(default)]
    pub terminal_phases: BTreeSet<String>,
    /// Settings with their defaults; a scenario may set these and no others.
    #[serde(default)]
    pub settings: toml::Table,
    /// Programs copied to every node, found beside the `shakedown` binary; `bin.NAME` in templates.
    #[serde(default)]
    pub upload: Vec<String>,
    /// Packages its nodes need.
    #[serde(default)]
    pub packages: PackagesSpec,
    /// What runs, in the order it is started.
    pub service: Vec<ServiceSpec>,
    /// How log lines become phases and marks.
    #[serde(default)]
    pub event: Vec<EventRule>,
    /// What logs must never say, or must say.
    #[serde(default)]
    pub log: Vec<LogRule>,
    /// How clients speak to it.
    pub client: ClientSpec,
    /// What an operator can do.
    #[serde(default)]
    pub action: BTreeMap<String, ActionSpec>,
    /// Values read again and again while a scenario runs.
    #[serde(default)]
    pub gauge: Vec<GaugeSpec>,
    /// Prints, from the system's own records, which documents must be lost without its safety net.
    pub predict: Option<PredictSpec>,
    /// Prints which group (shard) a document belongs to.
    pub groups: Option<GroupsSpec>,
    /// Prints how long writes waited.
    pub write_pause: Option<PauseSpec>,
    /// Prints nothing and succeeds once the system has recovered from its faults.
    pub healthy: Option<CommandSpec>,
    /// Tells which node is the primary, for faults that name it.
    pub primary: Option<PrimarySpec>,
    /// What reports say about it beside what was measured.
    pub report: Option<ReportSpec>,
    /// What `shakedown torture` does to it.
    pub torture: Option<TortureSpec>,
    /// The text of its file; `None` if it is embedded.
    #[serde(skip)]
    pub text: Option<String>,
}

/// Prose for reports; what is measured is added to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportSpec {
    /// Where acknowledged writes are in danger.
    pub danger: String,
    /// What keeps them safe: pairs of a name and a description.
    #[serde(default)]
    pub safety: Vec<(String, String)>,
    /// What to do, by configuration.
    #[serde(default)]
    pub recommendation: Vec<RecommendationSpec>,
    /// The page for operators, relative to the repository.
    #[serde(default)]
    pub runbook: String,
}

/// A recommendation to whoever runs the system.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecommendationSpec {
    /// Whom it is for.
    pub audience: Audience,
    /// The configuration it is about, as scenarios label it; the report adds what was measured in it.
    #[serde(default)]
    pub configuration: String,
    /// What to do.
    pub advice: String,
}

/// Packages that hold a system's programs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagesSpec {
    /// Names of Debian packages.
    pub debian: Vec<Spanned<String>>,
}

/// A service: one long-running process per node of some roles.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Its name, for faults and logs. Several tables may have one name, for different roles.
    pub name: Spanned<String>,
    /// Runs on nodes of these roles.
    pub roles: Vec<String>,
    /// Where it is started before a scenario begins; elsewhere an action can start it.
    #[serde(default)]
    pub autostart: Autostart,
    /// Program and arguments (templates).
    pub argv: Vec<String>,
    /// Environment (templates).
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files written before it starts: name relative to the service's directory, and content (templates).
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// How it is told that it is ready.
    pub ready: Spanned<Ready>,
    /// Time it has for that.
    pub ready_within: HumanDuration,
    /// Files it writes in its directory that belong to the records of a run.
    #[serde(default)]
    pub keep: Vec<String>,
}

/// Where a service is started before a scenario begins: in the file, a boolean or a list of roles.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Autostart {
    /// On all of its nodes, or on none.
    Everywhere(bool),
    /// On nodes of these of its roles.
    Roles(Vec<String>),
}

impl Default for Autostart {
    fn default() -> Self {
        Autostart::Everywhere(true)
    }
}

impl Autostart {
    /// Whether it is started on nodes of a role.
    pub(crate) fn covers(&self, role: &str) -> bool {
        match self {
            Autostart::Everywhere(all) => *all,
            Autostart::Roles(roles) => roles.iter().any(|r| r == role),
        }
    }
}

/// A log line that means something.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// `phase` opens a window (and ends the one before); any other lane is a mark.
    pub lane: String,
    /// In this service's log.
    pub service: String,
    /// Regular expression with a group `name`. If a group `of` matches, too, the name is where that
    /// member (a shard, say) now stands.
    pub pattern: Spanned<String>,
}

/// What the log of a service must never say, or must say on every node. Either is looked for line by line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRule {
    /// The service.
    pub service: String,
    /// A regular expression that no line may match.
    pub never: Option<Spanned<String>>,
    /// A regular expression that some line must match.
    pub always: Option<Spanned<String>>,
}

/// How a system tells which of its nodes is the primary (leader, owner).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrimarySpec {
    /// The command.
    pub command: CommandSpec,
    /// Regular expression whose first match in what it prints names the node: with a group `node` by its name or
    /// address, with groups `role` and `index` by its place.
    pub pattern: Spanned<String>,
}

/// A command that prints, as JSON, how long writes waited for a cutover.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseSpec {
    /// The command.
    pub command: CommandSpec,
    /// JSON pointer to an object `{"count":, "p50_ms":, "p99_ms":, "max_ms":}` in what it prints.
    pub pointer: String,
}

/// How losses are predicted from the system's own records: run on the control machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictSpec {
    /// The service that keeps the records.
    pub service: String,
    /// Its kept files that are the records.
    pub files: Vec<String>,
    /// Program and arguments; `files` are those files, `bin.NAME` is the local program. Prints a JSON line
    /// for each document: `{"id": DOCUMENT, "expect": "lost" | "stale" | "resurrected"}`, or with `"expect":
    /// "maybe"` if the records cannot tell whether a failed write arrived, and then `"cause"` (how it failed)
    /// and `"kind"` (what is expected if it did not arrive; `none` for nothing).
    pub argv: Vec<String>,
    /// Causes of failure that, with the faults of this harness, mean that a write did not arrive.
    #[serde(default)]
    pub not_applied: Vec<String>,
}

/// How documents are divided into groups (shards): run on the control machine, since a lost document has no copy
/// that could be asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsSpec {
    /// Program and arguments; `bin.NAME` is the local program. Reads an id a line from standard input, and prints
    /// a line `{"id": DOCUMENT, "group": GROUP}` for each.
    pub argv: Vec<String>,
}

impl System {
    /// Parses the embedded systems.
    ///
    /// # Errors
    /// [`ScenarioError::Malformed`] if one is malformed; tests see to it that none is.
    pub fn embedded() -> Result<Vec<System>, ScenarioError> {
        EMBEDDED
            .iter()
            .map(|(name, text)| System::parse(&format!("embedded:{name}.toml"), text))
            .collect()
    }

    /// Reads, parses and validates a system file.
    ///
    /// # Errors
    /// [`ScenarioError::Read`] and [`ScenarioError::Malformed`].
    pub fn read(path: &Path) -> Result<System, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut system = System::parse(&path.display().to_string(), &text)?;
        system.text = Some(text);
        Ok(system)
    }

    /// Parses and validates a system file.
    ///
    /// # Errors
    /// [`ScenarioError::Malformed`], with the place.
    pub fn parse(file: &str, text: &str) -> Result<System, ScenarioError> {
        let system: System = toml_at(file, text)?;
        system
            .validate()
            .map_err(|problem| ScenarioError::at(file, text, problem.span, problem.message))?;
        Ok(system)
    }

    /// Every role some service runs in.
    pub fn roles(&self) -> BTreeSet<&str> {
        self.service
            .iter()
            .flat_map(|s| s.roles.iter().map(String::as_str))
            .collect()
    }

    /// What reports say about it.
    pub fn notes(&self) -> SystemNotes {
        let report = self.report.as_ref();
        let recommendations = report.into_iter().flat_map(|report| &report.recommendation);
        SystemNotes {
            name: self.name.clone(),
            description: self.description.clone(),
            danger: report.map(|r| r.danger.clone()).unwrap_or_default(),
            safety: report.map(|r| r.safety.clone()).unwrap_or_default(),
            recommendations: recommendations
                .map(|r| Recommendation {
                    audience: r.audience,
                    configuration: r.configuration.clone(),
                    advice: r.advice.clone(),
                })
                .collect(),
            runbook: report.map(|r| r.runbook.clone()).unwrap_or_default(),
        }
    }

    /// The Debian packages its nodes need.
    pub fn debian_packages(&self) -> Vec<String> {
        let names = self.packages.debian.iter();
        names.map(|name| name.get_ref().clone()).collect()
    }

    /// The services of that name, of different roles.
    pub fn services<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ServiceSpec> {
        self.service
            .iter()
            .filter(move |s| s.name.get_ref() == name)
    }
}
