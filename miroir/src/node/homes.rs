//! Where the record of a key lies. A router shards by a hash of the key, so once the number of shards is known, most
//! keys need not be looked up: only those that lie elsewhere are listed in the table of shards.

use redb::{AccessGuard, ReadableTable};

use super::store::{StoreError, redb_error};
use crate::routing::shard_of;

/// A key's shard and record.
pub(crate) type Found<'r> = (u32, AccessGuard<'r, &'static [u8]>);

/// The shards that keys belong to; unknown before a router has told how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Homes(Option<u32>);

impl Homes {
    /// By the number of shards; 0 for unknown.
    pub(crate) fn of(shards: u64) -> Self {
        Homes(u32::try_from(shards).ok().filter(|n| *n > 0))
    }

    /// Whether nobody has told the number of shards.
    pub(crate) fn is_unknown(self) -> bool {
        self.0.is_none()
    }

    /// Whether a key is found in that shard without being listed.
    pub(crate) fn is_home(self, id: &str, shard: u32) -> bool {
        self.0.is_some_and(|n| shard_of(id, n) == shard)
    }

    /// A key's shard and record.
    pub(crate) fn find<'r>(
        self,
        records: &'r impl ReadableTable<(&'static str, u32, &'static str), &'static [u8]>,
        shards: &impl ReadableTable<(&'static str, &'static str), u32>,
        index: &str,
        id: &str,
    ) -> Result<Option<Found<'r>>, StoreError> {
        if let Some(count) = self.0 {
            let home = shard_of(id, count);
            if let Some(record) = records.get((index, home, id)).map_err(redb_error)? {
                return Ok(Some((home, record)));
            }
        }
        let listed = shards.get((index, id)).map_err(redb_error)?;
        let Some(shard) = listed.map(|v| v.value()) else {
            return Ok(None);
        };
        let record = records.get((index, shard, id)).map_err(redb_error)?;
        let record = record.ok_or_else(|| StoreError::Damaged(id.to_owned()))?;
        Ok(Some((shard, record)))
    }
}
