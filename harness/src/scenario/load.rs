//! Load stages of a scenario.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;
use shakedown_workloads::documents::Mix;
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::load::LoadSpec;
use shakedown_workloads::objects::ObjectLoad;
use toml::Spanned;

use super::Trigger;

/// Weights of what is asked, by its name.
pub type Weights = BTreeMap<String, u16>;

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
    /// Ends after this many operations: of documents, those written plus reads.
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
    pub mix: Option<Spanned<Weights>>,
    /// Documents per write request; one without it.
    pub batch: Option<Spanned<NonZeroU32>>,
    /// The group of keys it works on; stages that may overlap in time need different ones.
    pub keys: Option<Spanned<String>>,
    /// `--time` sets its length.
    #[serde(default)]
    pub soak: bool,
}

fn eight() -> NonZeroU32 {
    NonZeroU32::new(8).expect("8 is not 0")
}

impl LoadItem {
    /// The group of keys of documents it works on.
    pub fn key_group(&self) -> &str {
        self.keys.as_ref().map_or("main", |keys| keys.get_ref())
    }

    /// The weights of requests for documents; an error in words if there are none, or of something else.
    pub(crate) fn documents_mix(&self) -> Result<Mix, String> {
        let weights = self.mix.as_ref().ok_or("expected a `mix`")?;
        let entries = weights.get_ref().iter();
        let table: toml::Table = entries
            .map(|(kind, weight)| (kind.clone(), i64::from(*weight).into()))
            .collect();
        Mix::deserialize(table).map_err(|error| error.message().trim().to_owned())
    }

    /// What the load driver of objects is told.
    pub fn objects(&self) -> ObjectLoad {
        ObjectLoad {
            processes: self.processes,
            rate: self.rate,
            count: self.count,
            duration: self.duration,
            mix: self.mix.as_ref().map(|mix| mix.get_ref().clone()),
        }
    }

    /// What the load driver of documents is told.
    pub fn documents(&self) -> LoadSpec {
        LoadSpec {
            processes: self.processes,
            rate: self.rate,
            count: self.count,
            duration: self.duration,
            mix: self
                .documents_mix()
                .expect("validation saw to it that these are weights of requests for documents"),
            batch: self
                .batch
                .as_ref()
                .map_or(NonZeroU32::MIN, |b| *b.get_ref()),
            keys: self.key_group().to_owned(),
        }
    }
}
