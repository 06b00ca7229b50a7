//! Elle's options and results, as EDN.

use std::collections::BTreeSet;

use shakedown_checker::import::Value;
use shakedown_checker::isolation::{Anomaly, Inference, Model, Options};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict3 {
    Valid,
    Invalid,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) verdict: Verdict3,
    pub(crate) anomalies: BTreeSet<String>,
}

impl Expected {
    /// What Elle found, but for what says only that it had nothing to go by or not enough time.
    pub(crate) fn of(result: &Value) -> Self {
        let types = result.get("anomaly-types").and_then(Value::items);
        let names = types.unwrap_or_default().iter().filter_map(Value::name);
        let anomalies = names
            .filter(|name| !["empty-transaction-graph", "cycle-search-timeout"].contains(name));
        Expected {
            verdict: match result.get("valid?") {
                Some(Value::Bool(true)) => Verdict3::Valid,
                Some(Value::Bool(false)) => Verdict3::Invalid,
                _ => Verdict3::Unknown,
            },
            anomalies: anomalies.map(str::to_owned).collect(),
        }
    }
}

/// Our options for Elle's. It has groups of anomalies, which we name one by one.
pub(crate) fn options(opts: &Value) -> Options {
    let names = |key: &str| -> Option<Vec<&str>> {
        let items = opts.get(key)?.items()?;
        Some(items.iter().filter_map(Value::name).collect())
    };
    let models = names("consistency-models").map(|names| {
        let model = |name: &&str| Model::named(name).unwrap_or_else(|| panic!("no model {name}"));
        names.iter().map(model).collect()
    });
    let no_models = matches!(opts.get("consistency-models"), Some(Value::Nil));
    let groups = names("anomalies").unwrap_or_default();
    let forbidden = groups.iter().flat_map(|group| -> &[&str] {
        match *group {
            "G0" => &["G0"],
            "G1" => &[
                "G0",
                "G1a",
                "G1b",
                "G1c",
                "incompatible-order",
                "dirty-update",
                "future-read",
            ],
            "G2" => &[
                "G-single-item",
                "G-nonadjacent-item",
                "G2-item",
                "lost-update",
            ],
            "internal" => &["internal"],
            "dirty-update" => &["dirty-update"],
            other => panic!("no anomalies {other}"),
        }
    });
    let set = |key: &str| opts.get(key) == Some(&Value::Bool(true));
    Options {
        models: match models {
            Some(models) => models,
            None if no_models => Vec::new(),
            None => vec![Model::StrictSerializable],
        },
        forbidden: forbidden.filter_map(|name| Anomaly::named(name)).collect(),
        versions: Inference {
            wfr_keys: set("wfr-keys?"),
            sequential_keys: set("sequential-keys?"),
            linearizable_keys: set("linearizable-keys?"),
        },
        ..Options::default()
    }
}
