//! In which proportion a stage inserts, updates, deletes and reads.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Weights of the kinds of requests; at least one is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Weights", into = "Weights")]
pub struct Mix(Weights);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    #[serde(default)]
    insert: u16,
    #[serde(default)]
    update: u16,
    #[serde(default)]
    delete: u16,
    #[serde(default)]
    read: u16,
}

/// All weights are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at least one weight above zero among insert, update, delete and read")]
pub struct EmptyMix;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Insert,
    Update,
    Delete,
    Read,
}

impl Mix {
    /// A mix of these weights.
    ///
    /// # Errors
    /// If all are zero.
    pub fn new(insert: u16, update: u16, delete: u16, read: u16) -> Result<Self, EmptyMix> {
        Mix::try_from(Weights {
            insert,
            update,
            delete,
            read,
        })
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> Kind {
        let Weights {
            insert,
            update,
            delete,
            read,
        } = self.0;
        let [insert, update, delete, read] = [insert, update, delete, read].map(u32::from);
        let at = rng.random_range(0..insert + update + delete + read);
        if at < insert {
            Kind::Insert
        } else if at < insert + update {
            Kind::Update
        } else if at < insert + update + delete {
            Kind::Delete
        } else {
            Kind::Read
        }
    }
}

impl Default for Mix {
    /// Inserts only.
    fn default() -> Self {
        Mix(Weights {
            insert: 1,
            update: 0,
            delete: 0,
            read: 0,
        })
    }
}

impl TryFrom<Weights> for Mix {
    type Error = EmptyMix;

    fn try_from(weights: Weights) -> Result<Self, EmptyMix> {
        let Weights {
            insert,
            update,
            delete,
            read,
        } = weights;
        if [insert, update, delete, read] == [0; 4] {
            return Err(EmptyMix);
        }
        Ok(Mix(weights))
    }
}

impl From<Mix> for Weights {
    fn from(mix: Mix) -> Weights {
        mix.0
    }
}
