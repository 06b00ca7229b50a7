//! The router's configuration file, and which configurations are refused as unsafe.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::wire::auth::check_key;

/// Code of the refusal to migrate without any of the two safety nets.
pub(crate) const UNSAFE_CUTOVER: &str = "UnsafeCutoverNoAntiEntropy";

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read { path: String, error: std::io::Error },
    /// The file is not what is expected; the message carries line and column.
    #[error("{path}: {error}")]
    Parse {
        path: String,
        error: toml::de::Error,
    },
    /// Neither delta pass nor anti-entropy would notice a write that failed on the new owner.
    #[error(
        "{UNSAFE_CUTOVER}: migration.skip_delta_pass without anti-entropy that repairs loses every write that fails on \
         the new owner; enable anti_entropy (with auto_repair), or keep the delta pass"
    )]
    UnsafeCutover,
    /// A value makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// A node to start with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Unique name; what rendezvous hashing sees.
    pub(crate) name: String,
    /// `http://IP:PORT`.
    pub(crate) url: String,
    /// The replica group it belongs to.
    #[serde(default = "default_group")]
    pub(crate) group: String,
    /// What runs there.
    #[serde(default)]
    pub(crate) kind: NodeKind,
    /// The API key of a Meilisearch that wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// A replica group: its nodes together hold every shard, each `replication_factor` times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// Unique name.
    pub(crate) name: String,
    /// Owners per shard in this group.
    pub(crate) replication_factor: usize,
}

/// What becomes of writes that do not settle while a migration drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StuckWrites {
    /// They are marked failed when the drain times out.
    Fail,
    /// The drain waits until the operator marks them failed, or gives the migration up.
    Operator,
}

/// What runs in a storage node's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NodeKind {
    /// A storage node of Miroir's own.
    #[default]
    Miroir,
    /// A Meilisearch v1.
    Meilisearch,
}

impl Member {
    /// Whether the node can be spoken to as it is described.
    pub(crate) fn check(&self) -> Result<(), String> {
        address_of(&self.url)?;
        match (&self.key, self.kind) {
            (None, _) => Ok(()),
            (Some(_), NodeKind::Miroir) => Err(format!(
                "node `{}` has a key, which only a Meilisearch takes",
                self.name
            )),
            (Some(key), NodeKind::Meilisearch) => {
                HeaderValue::from_str(key).map(drop).map_err(|_| {
                    format!(
                        "the key of node `{}` has characters it cannot have",
                        self.name
                    )
                })
            }
        }
    }

    /// What deserves a warning about this node, if anything does.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.kind == NodeKind::Meilisearch).then(|| {
            format!(
                "node {} is a Meilisearch, which has no fences: a write that arrives late, or from a router that was \
                 replaced, is not refused there and can undo a newer one",
                self.name
            )
        })
    }

    /// As others may see it: without the key.
    pub(crate) fn shown(&self) -> Self {
        Member {
            key: None,
            ..self.clone()
        }
    }
}

/// The configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Address to listen on.
    pub(crate) listen: SocketAddr,
    /// Directory for the router's state; made if missing.
    pub(crate) data_dir: PathBuf,
    /// The one index served.
    #[serde(default = "default_index")]
    pub(crate) index: String,
    /// Number of shards; fixed at the first start.
    #[serde(default = "default_shards")]
    pub(crate) shards: u32,
    /// Owners per shard in each group that `groups` does not name.
    #[serde(default = "default_replication_factor")]
    pub(crate) replication_factor: usize,
    /// Groups with a replication factor of their own.
    #[serde(default)]
    pub(crate) groups: Vec<Group>,
    /// Initial nodes; later ones join through the API.
    pub(crate) nodes: Vec<Member>,
    /// Key that clients must send; without, anybody may read and write.
    pub(crate) data_key: Option<String>,
    /// Key that operators must send; without, anybody may.
    pub(crate) admin_key: Option<String>,
    /// Key that the nodes want.
    pub(crate) node_key: Option<String>,
    /// Where to record dual writes and copied pages.
    pub(crate) audit_log: Option<PathBuf>,
    /// Client writes under way at most; more are refused.
    #[serde(default = "default_max_writes")]
    pub(crate) max_writes: usize,
    /// Bytes of request bodies read and worked on at the same time; more are refused.
    #[serde(default = "default_max_write_bytes")]
    pub(crate) max_write_bytes: usize,
    /// Largest request body accepted, in bytes.
    #[serde(default = "default_max_body_bytes")]
    pub(crate) max_body_bytes: usize,
    /// How long open requests may go on after a signal to end, in milliseconds.
    #[serde(default = "default_shutdown_grace_ms")]
    pub(crate) shutdown_grace_ms: u64,
    /// Anti-entropy.
    #[serde(default)]
    pub(crate) anti_entropy: AntiEntropy,
    /// Documents that expire.
    #[serde(default)]
    pub(crate) expiry: Expiry,
    /// Migrations.
    #[serde(default)]
    pub(crate) migration: MigrationConfig,
}

/// `[anti_entropy]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AntiEntropy {
    /// Whether passes may run.
    pub(crate) enabled: bool,
    /// When passes run, as a cron expression in UTC (five fields, or six with seconds first); empty: on demand only.
    pub(crate) schedule: String,
    /// Whether divergences are repaired, not just reported.
    pub(crate) auto_repair: bool,
    /// Shards per scheduled pass, going round; 0 for all.
    pub(crate) shards_per_pass: u32,
    /// Shards compared at the same time.
    pub(crate) max_read_concurrency: usize,
    /// Keys per request when two copies are compared key by key.
    pub(crate) fingerprint_batch_size: usize,
    /// Records repaired per second at most; 0 for as fast as it goes.
    pub(crate) max_records_per_s: u64,
    /// Seconds for which tombstones are kept at least; afterwards until a pass has seen all copies of their shard agree.
    pub(crate) tombstone_grace_s: u64,
}

/// `[expiry]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expiry {
    /// Seconds between sweeps that delete expired documents.
    pub(crate) sweep_interval_s: u64,
}

impl Default for Expiry {
    fn default() -> Self {
        Expiry {
            sweep_interval_s: 60,
        }
    }
}

/// `[migration]`. Times in milliseconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MigrationConfig {
    /// Activate without comparing OLD and NEW.
    pub(crate) skip_delta_pass: bool,
    /// Records per copied page.
    pub(crate) page_size: usize,
    /// Pause between copied pages.
    pub(crate) page_pause_ms: u64,
    /// How long the drain waits before it takes writes for stuck.
    pub(crate) drain_timeout_ms: u64,
    /// What becomes of stuck writes.
    pub(crate) stuck_writes: StuckWrites,
    /// How long preparations, fences and the delta pass are retried before the migration fails.
    pub(crate) delta_timeout_ms: u64,
    /// Each phase lasts at least this long.
    pub(crate) phase_settle_ms: u64,
    /// How long a write waits for the cutover before it is refused.
    pub(crate) write_wait_ms: u64,
    /// How long any request to a node may take.
    pub(crate) node_timeout_ms: u64,
    /// Lets the unsafe configuration through, to measure what it loses.
    pub(crate) unsafe_measurement_override: bool,
}

impl Default for AntiEntropy {
    fn default() -> Self {
        AntiEntropy {
            enabled: true,
            schedule: "0 */6 * * *".to_owned(),
            auto_repair: true,
            shards_per_pass: 0,
            max_read_concurrency: 2,
            fingerprint_batch_size: 1000,
            max_records_per_s: 0,
            tombstone_grace_s: 7 * 24 * 3600,
        }
    }
}

impl Default for MigrationConfig {
    fn default() -> Self {
        MigrationConfig {
            skip_delta_pass: false,
            page_size: 1000,
            page_pause_ms: 0,
            drain_timeout_ms: 30_000,
            stuck_writes: StuckWrites::Operator,
            delta_timeout_ms: 60_000,
            phase_settle_ms: 0,
            write_wait_ms: 10_000,
            node_timeout_ms: 5_000,
            unsafe_measurement_override: false,
        }
    }
}

fn default_index() -> String {
    "docs".to_owned()
}

fn default_shards() -> u32 {
    64
}

fn default_replication_factor() -> usize {
    1
}

fn default_max_writes() -> usize {
    4096
}

fn default_max_write_bytes() -> usize {
    256 << 20
}

fn default_max_body_bytes() -> usize {
    100 << 20
}

fn default_shutdown_grace_ms() -> u64 {
    10_000
}

fn default_group() -> String {
    "g0".to_owned()
}

impl Config {
    /// Reads the file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
            path: name.clone(),
            error,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Parse { path: name, error })
    }

    /// Refuses what makes no sense or is unsafe; answers with what is allowed but deserves a warning.
    pub(crate) fn validate(&self) -> Result<Vec<String>, ConfigError> {
        let invalid = |message: String| Err(ConfigError::Invalid(message));
        if self.shards == 0 || self.shards > 65_536 {
            return invalid(format!("shards = {}: 1 to 65536 are possible", self.shards));
        }
        for group in self.all_groups() {
            let (factor, name) = (group.replication_factor, &group.name);
            let count = self.nodes.iter().filter(|n| n.group == *name).count();
            if factor == 0 || factor > count {
                return invalid(format!(
                    "replication_factor = {factor} with {count} nodes in group `{name}`"
                ));
            }
        }
        if self.migration.page_size == 0 || self.max_writes == 0 {
            return invalid("migration.page_size and max_writes must be at least 1".to_owned());
        }
        if self.max_body_bytes > self.max_write_bytes {
            return invalid(format!(
                "max_body_bytes = {} is more than max_write_bytes = {}",
                self.max_body_bytes, self.max_write_bytes
            ));
        }
        if self.anti_entropy.max_read_concurrency == 0
            || self.anti_entropy.fingerprint_batch_size == 0
            || self.expiry.sweep_interval_s == 0
        {
            return invalid(
                "anti_entropy.max_read_concurrency, anti_entropy.fingerprint_batch_size and \
                 expiry.sweep_interval_s must be at least 1"
                    .to_owned(),
            );
        }
        let keys = [
            ("data_key", &self.data_key),
            ("admin_key", &self.admin_key),
            ("node_key", &self.node_key),
        ];
        for (name, key) in keys {
            check_key(name, key.as_deref()).map_err(ConfigError::Invalid)?;
        }
        crate::anti_entropy::check_schedule(&self.anti_entropy.schedule)
            .map_err(ConfigError::Invalid)?;
        for (i, node) in self.nodes.iter().enumerate() {
            if self.nodes[..i].iter().any(|n| n.name == node.name) {
                return invalid(format!("two nodes are named `{}`", node.name));
            }
            node.check().map_err(ConfigError::Invalid)?;
        }
        let mut warnings = check_safety(self, self.migration.skip_delta_pass)?;
        if !self.anti_entropy.enabled && !self.migration.skip_delta_pass {
            warnings.push(
                "anti-entropy is off: the delta pass is the only safety left during migrations"
                    .to_owned(),
            );
        }
        Ok(warnings)
    }

    /// Every group that a node is in or that is named, each once.
    pub(crate) fn all_groups(&self) -> Vec<Group> {
        let mut groups = self.groups.clone();
        for node in &self.nodes {
            if groups.iter().all(|g| g.name != node.group) {
                groups.push(Group {
                    name: node.group.clone(),
                    replication_factor: self.replication_factor,
                });
            }
        }
        groups
    }

    /// Longest duration of a request to a node.
    pub(crate) fn node_timeout(&self) -> Duration {
        Duration::from_millis(self.migration.node_timeout_ms)
    }

    /// Whether anti-entropy would repair what a skipped delta pass leaves.
    pub(crate) fn repairs(&self) -> bool {
        self.anti_entropy.enabled && self.anti_entropy.auto_repair
    }
}

/// Refuses migrations that would silently lose writes, unless overridden for measurement.
pub(crate) fn check_safety(
    config: &Config,
    skip_delta_pass: bool,
) -> Result<Vec<String>, ConfigError> {
    if !skip_delta_pass || config.repairs() {
        return Ok(Vec::new());
    }
    if config.migration.unsafe_measurement_override {
        return Ok(vec![format!(
            "UNSAFE MEASUREMENT OVERRIDE: {UNSAFE_CUTOVER} is not enforced, migrations WILL lose documents"
        )]);
    }
    Err(ConfigError::UnsafeCutover)
}

/// The address in `http://IP:PORT` or `IP:PORT`. Names are not resolved.
pub(crate) fn address_of(url: &str) -> Result<SocketAddr, String> {
    let address = url
        .strip_prefix("http://")
        .unwrap_or(url)
        .trim_end_matches('/');
    address
        .parse()
        .map_err(|_| format!("`{url}` is not http://IP:PORT (names are not resolved)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(&format!(
            "listen = '127.0.0.1:1'\ndata_dir = 'd'\nnodes = [{{ name = 'a', url = 'http://127.0.0.1:2' }}]\n{extra}"
        ))
    }

    #[test]
    fn unknown_keys_are_refused_with_line_and_column() {
        let error = parse("[migration]\nskip_delta = true")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 5, column 1"), "{error}");
    }

    #[test]
    fn skipping_the_delta_pass_needs_anti_entropy_that_repairs_or_an_override() {
        let unsafe_ones = [
            "[anti_entropy]\nenabled = false\n[migration]\nskip_delta_pass = true",
            "[anti_entropy]\nauto_repair = false\n[migration]\nskip_delta_pass = true",
        ];
        for text in unsafe_ones {
            let error = parse(text).unwrap().validate().unwrap_err();
            assert!(error.to_string().starts_with(UNSAFE_CUTOVER));
            let overridden = format!("{text}\nunsafe_measurement_override = true");
            assert!(parse(&overridden).unwrap().validate().unwrap()[0].contains("UNSAFE"));
        }
        assert!(
            parse("[migration]\nskip_delta_pass = true")
                .unwrap()
                .validate()
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn anti_entropy_off_with_the_delta_pass_on_warns() {
        let warnings = parse("[anti_entropy]\nenabled = false")
            .unwrap()
            .validate()
            .unwrap();
        assert!(warnings[0].contains("only safety"));
    }

    #[test]
    fn every_group_needs_as_many_nodes_as_it_keeps_copies() {
        let two = "groups = [{ name = 'g0', replication_factor = 2 }]";
        let error = parse(two).unwrap().validate().unwrap_err().to_string();
        assert_eq!(error, "replication_factor = 2 with 1 nodes in group `g0`");
        let nobody = "groups = [{ name = 'g1', replication_factor = 1 }]";
        assert!(parse(nobody).unwrap().validate().is_err());
    }

    #[test]
    fn names_instead_of_addresses_are_refused() {
        assert!(address_of("http://localhost:7700").is_err());
        assert_eq!(
            address_of("http://10.0.0.1:7700/").unwrap().to_string(),
            "10.0.0.1:7700"
        );
    }
}
