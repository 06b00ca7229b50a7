//! Where a reader of the change feed stands: a position in each node's log, opaque to the reader.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// A position in one node's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Identity of the log.
    pub(super) log: u64,
    /// Number of the next change to read.
    pub(super) next: u64,
}

/// Positions by node name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Cursor(pub(super) BTreeMap<String, Position>);

impl Cursor {
    /// As clients see it.
    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("strings and numbers only"))
    }

    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_nonsense_does_not() {
        let position = Position { log: 7, next: 9 };
        let cursor = Cursor(BTreeMap::from([("n1".to_owned(), position)]));
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        assert_eq!(Cursor::decode("nonsense"), None);
    }
}
