//! When items begin and end.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use shakedown_workloads::duration::HumanDuration;
use toml::Spanned;

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
    /// When this name appears in the system's log (for the first time).
    pub mark: Option<Spanned<Mark>>,
    /// Wait this much longer.
    #[serde(default)]
    pub delay: Option<HumanDuration>,
}

/// A name that the system's log gives in a lane.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The lane, as the system file names it.
    pub lane: String,
    /// The name.
    pub name: String,
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
