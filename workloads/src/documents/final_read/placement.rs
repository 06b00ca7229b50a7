//! Which nodes own which shard, as the system itself reports.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shakedown_checker::history::Placement;

use super::{FinalReader, ReadError};
use crate::documents::http::parse_base_url;

/// The placement a system reports:
/// `{"shard_field":"_shard","shards":[{"shard":0,"owners":["10.0.0.1:7700"],"former":[]}]}`.
///
/// Other fields are ignored, so that systems may say more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementTable {
    /// The field in which documents carry the number of their shard.
    pub shard_field: String,
    /// All shards.
    pub shards: Vec<ShardPlacement>,
}

/// Where one shard is, and was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlacement {
    /// Its number.
    pub shard: u64,
    /// Addresses (`ip:port`) of the nodes that own it.
    pub owners: Vec<String>,
    /// Addresses of the nodes that owned it once and no longer do.
    #[serde(default)]
    pub former: Vec<String>,
    /// Addresses of the nodes that are about to own it: copies there are in the making.
    #[serde(default)]
    pub joining: Vec<String>,
}

/// A placement as seen from one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlacement {
    shard_field: String,
    owned: HashSet<u64>,
    former: HashSet<u64>,
    joining: HashSet<u64>,
}

impl PlacementTable {
    /// What it says about the node at `address` (`ip:port`, spelt as in the table).
    pub fn for_node(&self, address: &str) -> NodePlacement {
        let shards_of = |nodes: fn(&ShardPlacement) -> &[String]| {
            let shards = self.shards.iter();
            let its = shards.filter(|shard| nodes(shard).iter().any(|node| node == address));
            its.map(|shard| shard.shard).collect()
        };
        NodePlacement {
            shard_field: self.shard_field.clone(),
            owned: shards_of(|shard| &shard.owners),
            former: shards_of(|shard| &shard.former),
            joining: shards_of(|shard| &shard.joining),
        }
    }

    /// A shard that is listed twice or has no owner: such a table cannot be used.
    fn flaw(&self) -> Option<String> {
        let mut listed = HashSet::new();
        self.shards.iter().find_map(|shard| {
            let number = shard.shard;
            if !listed.insert(number) {
                return Some(format!("shard {number} is listed twice"));
            }
            let nobody = shard.owners.is_empty();
            nobody.then(|| format!("shard {number} has no owner"))
        })
    }
}

impl NodePlacement {
    /// Where a document found on this node is. One without a shard number, or with a number the
    /// table does not know, is a stranger's.
    pub(super) fn of(&self, document: &Value) -> Placement {
        match document.get(&self.shard_field).and_then(Value::as_u64) {
            Some(shard) if self.owned.contains(&shard) => Placement::Owner,
            Some(shard) if self.joining.contains(&shard) => Placement::Joining,
            Some(shard) if self.former.contains(&shard) => Placement::FormerOwner,
            _ => Placement::Stranger,
        }
    }
}

impl FinalReader {
    /// Asks the system for its placement.
    ///
    /// # Errors
    /// If it does not say, or says what cannot be.
    pub async fn placement(&self, url: &str) -> Result<PlacementTable, ReadError> {
        let request = format!("GET {url}");
        let parsed = parse_base_url(url)?;
        let body = self.ask(&request, |http| http.get(parsed.clone())).await?;
        let form = |reason: String| ReadError::Form {
            request: request.clone(),
            reason,
        };
        let body = body.unwrap_or_default();
        let table: PlacementTable =
            serde_json::from_value(body).map_err(|error| form(error.to_string()))?;
        match table.flaw() {
            Some(flaw) => Err(form(flaw)),
            None => Ok(table),
        }
    }
}
