//! What a load stage is asked to do, as written in a scenario's `[[load]]` table.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::documents::Mix;
use crate::duration::HumanDuration;
use crate::load::pace::Pace;

/// One load stage.
///
/// With neither `count` nor `for` it lasts until it is stopped. With both, whichever is reached
/// first ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSpec {
    /// Client processes, each with one request under way at a time.
    #[serde(default = "one")]
    pub processes: NonZeroU32,
    /// Requests per second over all processes, sent by the clock whether or not earlier ones were
    /// answered (open loop). Without it each process sends its next request when the last one is
    /// answered (closed loop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
    /// Operations in all: documents written plus reads. Split evenly over the processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<NonZeroU64>,
    /// How long to go on. In a closed loop no request starts later; in an open loop all requests
    /// meant to start within it are sent, however late.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<HumanDuration>,
    /// What kinds of requests, in which proportion; inserts only by default.
    #[serde(default)]
    pub mix: Mix,
    /// Documents per write request, at most.
    #[serde(default = "one")]
    pub batch: NonZeroU32,
    /// The group of keys it works on. Stages of one group share their keys and must not overlap in
    /// time; stages that may overlap need groups of their own.
    #[serde(default = "main_group")]
    pub keys: String,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn main_group() -> String {
    "main".to_owned()
}

impl Default for LoadSpec {
    fn default() -> Self {
        LoadSpec {
            processes: one(),
            rate: None,
            count: None,
            duration: None,
            mix: Mix::default(),
            batch: one(),
            keys: main_group(),
        }
    }
}

impl LoadSpec {
    /// The part of it that the run loop needs.
    pub(super) fn pace(&self) -> Pace {
        Pace {
            processes: self.processes,
            rate: self.rate,
            count: self.count,
            duration: self.duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_table_is_read_and_written_back() {
        let text = r#"
            count = 1000
            for = "10s"
            rate = 2000
            processes = 16
            mix = { insert = 6, update = 2, delete = 1, read = 1 }
            batch = 4
        "#;
        let spec: LoadSpec = toml::from_str(text).unwrap();
        assert_eq!(spec.duration, Some(HumanDuration::from_secs(10)));
        assert_eq!(spec.keys, "main");
        let written = toml::to_string(&spec).unwrap();
        assert_eq!(toml::from_str::<LoadSpec>(&written).unwrap(), spec);
        assert_eq!(toml::from_str::<LoadSpec>("").unwrap(), LoadSpec::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("processes = 0", "nonzero"),
            ("for = \"10\"", "is not a duration"),
            ("mix = { inserts = 1 }", "unknown field `inserts`"),
            ("mix = { read = 0 }", "at least one weight"),
            ("speed = 1", "unknown field `speed`"),
        ] {
            let error = toml::from_str::<LoadSpec>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
