//! The one type every report is rendered from, and the form of `results.json`.

use serde::{Deserialize, Serialize};
use shakedown_checker::availability::FaultAvailability;
use shakedown_checker::loss::LossReport;
use shakedown_checker::rate::Rate;

pub use shakedown_checker::verdict::Verdict;

pub use crate::model_results::{ClientError, ModelFinding, ModelResult};

/// Version of the `results.json` schema; raised when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// Results of one invocation of `shakedown run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteResults {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of Shakedown that wrote this.
    pub shakedown_version: String,
    /// Suite or scenario name, as asked for.
    pub suite: String,
    /// The command line that repeats this run.
    pub command: String,
    /// The seed everything random came from.
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall time, milliseconds.
    pub duration_ms: u64,
    /// Kernel, CPU count, memory of the control machine; for people.
    pub environment: Vec<(String, String)>,
    /// The worst verdict of the scenarios (`invalid` over `unknown` over `valid`).
    pub verdict: Verdict,
    /// Whether Ctrl-C or a signal ended the run early.
    pub interrupted: bool,
    /// What the reports say about the systems under test, from their system files.
    #[serde(default)]
    pub systems: Vec<SystemNotes>,
    /// One per scenario, in the order they ran; with repetition, one per repetition.
    pub scenarios: Vec<ScenarioResults>,
}

/// What a report says about a system beside what was measured: prose from its system file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemNotes {
    /// The system's name.
    pub name: String,
    /// One line.
    pub description: String,
    /// What the scenarios are about: where acknowledged writes are in danger.
    pub danger: String,
    /// What keeps them safe: name and description.
    pub safety: Vec<(String, String)>,
    /// What to do, by configuration.
    pub recommendations: Vec<Recommendation>,
    /// The page for operators, relative to the repository's root; empty without one.
    pub runbook: String,
}

/// Whom a recommendation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Those who run the system for others.
    Production,
    /// Those who try it out.
    Development,
    /// Readers of the release notes.
    ReleaseNotes,
}

/// A recommendation; the report adds what was measured in the configuration it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// Whom it is for.
    pub audience: Audience,
    /// The label of the configuration it is about, as in scenario files; empty for any.
    pub configuration: String,
    /// What to do.
    pub advice: String,
}

/// Results of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResults {
    /// Its name.
    pub name: String,
    /// Its number in the scenario catalogue, if it has one.
    pub number: Option<u32>,
    /// One line from the scenario file.
    pub description: String,
    /// Row label for loss tables: `anti-entropy on, delta pass on`.
    pub configuration: String,
    /// What is expected, in words.
    pub expectation: String,
    /// What was claimed of it before, to stand beside what was measured.
    #[serde(default)]
    pub claim: Option<Claim>,
    /// Number of the repetition, from 1; null if the scenario ran once.
    #[serde(default)]
    pub repetition: Option<u32>,
    /// The command line that repeats this scenario alone; empty if not known.
    #[serde(default)]
    pub command: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Everything that went into the verdict.
    pub checks: Vec<CheckResult>,
    /// A failure of the harness itself, if one cut the scenario short; the verdict is kept apart from it.
    pub harness_error: Option<String>,
    /// Start and length relative to the suite, milliseconds.
    pub started_ms: u64,
    /// Wall time, milliseconds.
    pub duration_ms: u64,
    /// Node names with their addresses and roles.
    pub nodes: Vec<NodeInfo>,
    /// In the order they were taken; the last one decides.
    pub checkpoints: Vec<CheckpointResult>,
    /// Faults, in the order they were installed.
    pub faults: Vec<FaultResult>,
    /// Phases the system went through.
    pub phases: Vec<Span>,
    /// Load stages.
    pub stages: Vec<StageResult>,
    /// Operator actions.
    pub actions: Vec<ActionResult>,
    /// Writes that waited for a cutover: how many, and how long.
    pub write_pause: Option<WritePause>,
    /// Throughput and latency by second.
    pub timeline: Vec<TimelinePoint>,
    /// What was measured of the system itself over time: memory, repairs, ...
    #[serde(default)]
    pub gauges: Vec<GaugeSeries>,
    /// Phases of single members (shards), where the system reports them.
    #[serde(default)]
    pub members: Vec<MemberSpan>,
    /// What each fault did to clients.
    #[serde(default)]
    pub availability: Vec<FaultAvailability>,
    /// Losses at the last checkpoint by group of keys (shard), where groups are known.
    #[serde(default)]
    pub groups: Vec<GroupLoss>,
    /// Operations on the documents that came to harm, in the order of the history.
    #[serde(default)]
    pub operations: Vec<KeyOperation>,
    /// What clients did to plain objects: `register`, `set`, ...; null if they wrote documents.
    #[serde(default)]
    pub workload: Option<String>,
    /// The models that judged the history.
    #[serde(default)]
    pub models: Vec<ModelResult>,
    /// Errors that operations on objects ended with, by name.
    #[serde(default)]
    pub client_errors: Vec<ClientError>,
    /// Files of this scenario relative to the run directory (history, logs, plan, plot).
    pub artifacts: Vec<String>,
}

impl ScenarioResults {
    /// The checkpoint that decides: the last one, if there is any.
    #[must_use]
    pub fn deciding_checkpoint(&self) -> Option<&CheckpointResult> {
        self.checkpoints.last()
    }
}

/// What was claimed before anything was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// In the words of whoever claimed it: `about 2 %`.
    pub text: String,
    /// The claimed rate, per cent.
    pub rate_percent: Option<f64>,
    /// The claimed bound: fewer than this many per million.
    pub max_per_million: Option<f64>,
    /// What it is a rate of.
    pub of: ClaimOf,
}

/// What a claimed rate is a rate of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimOf {
    /// Lost documents per acknowledged write.
    #[serde(rename = "acknowledged writes")]
    AcknowledgedWrites,
    /// Documents lost, stale or resurrected, of those that the system's records say were at risk.
    #[serde(rename = "dual writes")]
    DualWrites,
    /// Lost keys of keys with an acknowledged write.
    #[serde(rename = "keys")]
    Keys,
    /// No rate: that what the scenario expects holds (a refusal, say).
    #[serde(rename = "expectation")]
    Expectation,
}

impl ClaimOf {
    /// In words, as in scenario files.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            ClaimOf::AcknowledgedWrites => "acknowledged writes",
            ClaimOf::DualWrites => "dual writes",
            ClaimOf::Keys => "keys",
            ClaimOf::Expectation => "expectation",
        }
    }
}

/// Something measured of the system over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaugeSeries {
    /// `memory NODE/SERVICE`, or as the system file names it.
    pub name: String,
    /// `KiB`, `repairs`, ...
    pub unit: String,
    /// Nanoseconds since the start of the run, and the value then.
    pub points: Vec<(u64, f64)>,
}

/// A span of time of one member of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSpan {
    /// As in the system file: `shard`.
    pub lane: String,
    /// Which member: the shard.
    pub of: String,
    /// Its phase.
    pub name: String,
    /// Start, nanoseconds since the start of the run.
    pub start_ns: u64,
    /// End, nanoseconds since the start of the run.
    pub end_ns: u64,
}

/// Losses in one group of keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupLoss {
    /// The group: the shard.
    pub group: String,
    /// Writes acknowledged to keys of the group.
    pub acknowledged_writes: u64,
    /// Keys of the group with an acknowledged write.
    pub keys: u64,
    /// Lost keys out of those.
    pub lost: Rate,
    /// Stale, resurrected, corrupted, misplaced or left-behind keys.
    pub otherwise_wrong: u64,
    /// By the system's own records, writes that failed at their second owner, of those sent to two during a
    /// migration; null if it keeps no such records or there were none.
    #[serde(default)]
    pub failed_at_second_owner: Option<Rate>,
    /// Keys that, by those records, would be lost, stale or resurrected without the system's safety net.
    #[serde(default)]
    pub endangered: Option<u64>,
}

/// One operation on a document that came to harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOperation {
    /// The key.
    pub key: i64,
    /// The client process.
    pub process: i32,
    /// `put`, `delete` or `read`.
    pub function: String,
    /// Version written or seen.
    pub version: Option<i64>,
    /// When it was invoked, nanoseconds since the start of the run.
    pub invoked_ns: u64,
    /// When it completed; null if never.
    pub completed_ns: Option<u64>,
    /// `ok`, `fail` or `info`.
    pub outcome: String,
    /// The error, if any.
    pub detail: String,
}

/// A node and what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
    /// Roles, e.g. `router`, `store`.
    pub roles: Vec<String>,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// `fault happened: reset-new`, `no acknowledged write lost`, `load at least 1000 writes`.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// The measured facts behind it.
    pub detail: String,
}

/// The final reads at one point of a scenario, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointResult {
    /// Its name; `final` for the last.
    pub name: String,
    /// When, nanoseconds since the start of the run.
    pub time_ns: u64,
    /// What the loss checker says.
    pub loss: LossReport,
    /// Losses compared with what the system's own records predict, where it can.
    pub explained: Option<Explained>,
}

/// Losses against a prediction from the system's own records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Lost or stale keys the records predict.
    pub predicted: u64,
    /// Predicted and indeed lost or stale.
    pub explained: u64,
    /// Lost or stale without a prediction, at most 100 keys.
    pub unexplained: Vec<i64>,
    /// Predicted but found alive, at most 100 keys.
    pub found_alive: Vec<i64>,
    /// Predicted and indeed lost or stale, out of the documents that the records say were at risk (those
    /// written to both owners during a migration); null if the system does not tell how many were.
    pub at_risk: Option<Rate>,
}

/// A fault and whether it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultResult {
    /// Its name in the scenario.
    pub name: String,
    /// Its kind: `partition`, `kill`, ...
    pub kind: String,
    /// In words: `each data packet n1 -> n4:7700 reset with probability 0.02`.
    pub summary: String,
    /// When it took effect, nanoseconds since the start of the run.
    pub start_ns: u64,
    /// When it had ended.
    pub end_ns: u64,
    /// `installed`, `skipped` or `indeterminate`, over all nodes.
    pub outcome: String,
    /// `(node, what, seen)`.
    pub evidence: Vec<(String, String, String)>,
}

/// A named span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Start, nanoseconds since the start of the run.
    pub start_ns: u64,
    /// End, nanoseconds since the start of the run.
    pub end_ns: u64,
}

/// One load stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// Its name.
    pub span: Span,
    /// Operations completed ok.
    pub ok: u64,
    /// Operations that certainly failed.
    pub failed: u64,
    /// Indeterminate operations.
    pub indeterminate: u64,
    /// Latency of ok operations from intended start to completion, microseconds: p50, p99, max.
    pub latency_us: [u64; 3],
}

/// An operator action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionResult {
    /// Its name and time.
    pub span: Span,
    /// The command run.
    pub command: String,
    /// Its exit status.
    pub exit_status: i32,
    /// Its output, cut to 4 KiB.
    pub output: String,
    /// Whether it ended as the scenario expects.
    pub as_expected: bool,
}

/// How long writes waited for a cutover.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WritePause {
    /// Writes that waited.
    pub writes: u64,
    /// Median wait, microseconds.
    pub p50_us: u64,
    /// 99th percentile, microseconds.
    pub p99_us: u64,
    /// Longest wait, microseconds.
    pub max_us: u64,
}

/// One second of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelinePoint {
    /// Seconds since the start of the run.
    pub second: u32,
    /// Operations completed ok.
    pub ok: u32,
    /// Failed.
    pub failed: u32,
    /// Indeterminate.
    pub indeterminate: u32,
    /// Median latency, microseconds; 0 without operations.
    pub p50_us: u64,
    /// 99th percentile latency, microseconds.
    pub p99_us: u64,
}

/// A row of the loss table; derived from a scenario's last checkpoint (or the one it names).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// The scenario's configuration.
    pub configuration: String,
    /// Scenario name.
    pub scenario: String,
    /// Which checkpoint.
    pub checkpoint: String,
    /// Repetitions pooled in it.
    pub runs: u32,
    /// Writes acknowledged.
    pub acknowledged_writes: u64,
    /// Lost, with interval.
    pub lost: Rate,
    /// Lost, stale or resurrected, out of the documents at risk by the system's own records.
    pub at_risk: Option<Rate>,
    /// For the last column.
    pub note: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_is_never_masked_by_unknown() {
        let verdicts = [Verdict::Valid, Verdict::Invalid, Verdict::Unknown];
        assert_eq!(Verdict::worst(verdicts), Verdict::Invalid);
        assert_eq!(
            Verdict::worst([Verdict::Unknown, Verdict::Valid]),
            Verdict::Unknown
        );
        assert_eq!(Verdict::worst([Verdict::Valid]), Verdict::Valid);
    }

    #[test]
    fn a_run_of_nothing_is_unknown() {
        assert_eq!(Verdict::worst([]), Verdict::Unknown);
    }

    #[test]
    fn a_verdict_is_displayed_as_it_is_serialised() {
        for verdict in [Verdict::Valid, Verdict::Unknown, Verdict::Invalid] {
            assert_eq!(
                serde_json::to_string(&verdict).unwrap(),
                format!("\"{verdict}\"")
            );
        }
    }
}
