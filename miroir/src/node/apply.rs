//! What a write does to the tables: the highest stamp of a key wins, and deletes leave tombstones.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use redb::{ReadableTable as _, Table, WriteTransaction};

use super::changes::Log;
use super::homes::Homes;
use super::record::{Body, Record};
use super::store::{
    COUNTS, EXPIRIES, FENCES, META, META_EPOCH, META_INCARNATION, META_SHARDS, META_STAMP,
    NO_SHARD, RECORDS, SHARDS, StoreError, redb_error,
};
use super::writer::Fencing;
use crate::wire::document::{Document, canonical, expires_of};
use crate::wire::message::Origin;
use crate::wire::stamp::millis_of;

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Writes a document.
    Upsert(Upsert),
    /// Deletes the document; with a stamp it leaves a tombstone.
    Delete {
        id: String,
        shard: Option<u32>,
        stamp: Option<u64>,
    },
    /// Deletes all documents of a shard; without a stamp also its tombstones.
    DeleteShard { shard: u32, stamp: Option<u64> },
    /// Forgets a tombstone with a lower stamp, if it still is one.
    Purge { id: String, below: u64 },
    /// Turns an expired document into a tombstone with the document's own stamp, if it still is expired.
    Expire { id: String, now_ms: u64 },
}

/// A document to be written.
#[derive(Debug, Clone)]
pub(crate) struct Upsert {
    pub(crate) id: String,
    pub(crate) shard: Option<u32>,
    /// `None` applies in any case; otherwise only if nothing newer is there.
    pub(crate) stamp: Option<u64>,
    pub(crate) content: Content,
}

/// What is written.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// The whole document.
    Whole(Whole),
    /// The given top-level fields; the others are kept.
    Fields(Document),
}

/// A document ready to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    /// As in the document.
    pub(crate) expires_ms: Option<u64>,
    /// The document in canonical form.
    pub(crate) bytes: Bytes,
}

impl From<Document> for Whole {
    fn from(document: Document) -> Self {
        Whole {
            expires_ms: expires_of(&document),
            bytes: canonical(document).into(),
        }
    }
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    /// False if the node holds something newer.
    pub(crate) applied: bool,
    /// Whether a live document was there before.
    pub(crate) had: bool,
}

/// Why a write was refused as a whole, with nothing applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A newer router has registered.
    StaleEpoch { current: u64 },
    /// A shard was fenced against writes of this term.
    StaleTerm { shard: u32, current: u64 },
}

/// The tables of one write transaction.
pub(crate) struct Tables<'t> {
    records: Table<'t, (&'static str, u32, &'static str), &'static [u8]>,
    shards: Table<'t, (&'static str, &'static str), u32>,
    counts: Table<'t, (&'static str, u32), u64>,
    fences: Table<'t, (&'static str, u32), u64>,
    expiries: Table<'t, (&'static str, u64, &'static str), ()>,
    pub(crate) meta: Table<'t, &'static str, u64>,
    homes: Homes,
    log: Log<'t>,
    /// Changes of the request under way.
    changes: Vec<(u64, String, bool)>,
    /// By index and shard.
    grown: BTreeMap<String, HashMap<u32, i64>>,
    /// Lowest terms accepted that were looked up already, by index and shard.
    terms: BTreeMap<String, HashMap<u32, u64>>,
    highest: u64,
}

struct Old {
    stamp: u64,
    live: Option<Vec<u8>>,
    expires_ms: Option<u64>,
    shard: u32,
}

impl<'t> Tables<'t> {
    /// Opens the tables; about `keep` changes stay in the log.
    pub(crate) fn open(txn: &'t WriteTransaction, keep: u64) -> Result<Self, StoreError> {
        let meta = txn.open_table(META).map_err(redb_error)?;
        let highest = meta
            .get(META_STAMP)
            .map_err(redb_error)?
            .map_or(0, |v| v.value());
        let count = meta.get(META_SHARDS).map_err(redb_error)?;
        let homes = Homes::of(count.map_or(0, |v| v.value()));
        Ok(Tables {
            homes,
            records: txn.open_table(RECORDS).map_err(redb_error)?,
            shards: txn.open_table(SHARDS).map_err(redb_error)?,
            counts: txn.open_table(COUNTS).map_err(redb_error)?,
            fences: txn.open_table(FENCES).map_err(redb_error)?,
            expiries: txn.open_table(EXPIRIES).map_err(redb_error)?,
            log: Log::open(txn, &meta, keep)?,
            meta,
            changes: Vec::new(),
            grown: BTreeMap::new(),
            terms: BTreeMap::new(),
            highest,
        })
    }

    /// Reads a counter.
    pub(crate) fn counter(&self, key: &str) -> Result<u64, StoreError> {
        Ok(self
            .meta
            .get(key)
            .map_err(redb_error)?
            .map_or(0, |v| v.value()))
    }

    /// Checks a router's write against the fences; a newer epoch than known becomes the lowest accepted.
    pub(crate) fn admit(
        &mut self,
        index: &str,
        fencing: Fencing,
        ops: &[Op],
    ) -> Result<Option<Refusal>, StoreError> {
        let term = fencing.term;
        if let Some(refusal) = self.admit_epoch(fencing.epoch, fencing.incarnation)? {
            return Ok(Some(refusal));
        }
        if !self.terms.contains_key(index) {
            self.terms.insert(index.to_owned(), HashMap::new());
        }
        let known = self.terms.get_mut(index).expect("it was just inserted");
        for shard in ops.iter().filter_map(Op::shard) {
            let current = match known.get(&shard) {
                Some(current) => *current,
                None => {
                    let current = self.fences.get((index, shard)).map_err(redb_error)?;
                    let current = current.map_or(0, |v| v.value());
                    known.insert(shard, current);
                    current
                }
            };
            if term < current {
                return Ok(Some(Refusal::StaleTerm { shard, current }));
            }
        }
        Ok(None)
    }

    /// Refuses older epochs, and the same one of another process; remembers a newer one.
    pub(crate) fn admit_epoch(
        &mut self,
        epoch: u64,
        incarnation: u64,
    ) -> Result<Option<Refusal>, StoreError> {
        let current = self.counter(META_EPOCH)?;
        let registered = self.counter(META_INCARNATION)?;
        if is_stale((epoch, incarnation), (current, registered)) {
            return Ok(Some(Refusal::StaleEpoch { current }));
        }
        if epoch > current {
            self.meta.insert(META_EPOCH, epoch).map_err(redb_error)?;
        }
        if epoch > current || (registered == 0 && incarnation != 0) {
            self.meta
                .insert(META_INCARNATION, incarnation)
                .map_err(redb_error)?;
        }
        Ok(None)
    }

    /// Raises the lowest term accepted for a shard.
    pub(crate) fn fence(&mut self, index: &str, shard: u32, term: u64) -> Result<(), StoreError> {
        let current = self
            .fences
            .get((index, shard))
            .map_err(redb_error)?
            .map_or(0, |v| v.value());
        if term > current {
            self.fences
                .insert((index, shard), term)
                .map_err(redb_error)?;
            if let Some(known) = self.terms.get_mut(index) {
                known.insert(shard, term);
            }
        }
        Ok(())
    }

    /// Applies one operation.
    pub(crate) fn apply(
        &mut self,
        index: &str,
        op: Op,
        origin: Origin,
    ) -> Result<Effect, StoreError> {
        match op {
            Op::Upsert(upsert) => self.upsert(index, upsert, origin),
            Op::Delete { id, shard, stamp } => self.delete(index, &id, shard, stamp),
            Op::DeleteShard { shard, stamp } => self.delete_shard(index, shard, stamp),
            Op::Purge { id, below } => self.purge(index, &id, below),
            Op::Expire { id, now_ms } => self.expire(index, &id, now_ms),
        }
    }

    /// Ends a request: what it changed becomes one row of the change log.
    pub(crate) fn log_changes(&mut self, origin: Origin) -> Result<(), StoreError> {
        self.log.append(origin, std::mem::take(&mut self.changes))
    }

    /// The highest stamp ever given.
    pub(crate) fn highest_stamp(&self) -> u64 {
        self.highest
    }

    /// Writes back counters; the last thing before a commit.
    pub(crate) fn finish(&mut self) -> Result<(), StoreError> {
        self.log.finish(&mut self.meta)?;
        self.meta
            .insert(META_STAMP, self.highest)
            .map_err(redb_error)?;
        for (index, shards) in std::mem::take(&mut self.grown) {
            for (shard, delta) in shards {
                let key = (index.as_str(), shard);
                let count = self
                    .counts
                    .get(key)
                    .map_err(redb_error)?
                    .map_or(0, |v| v.value());
                self.counts
                    .insert(key, count.saturating_add_signed(delta))
                    .map_err(redb_error)?;
            }
        }
        Ok(())
    }

    /// The document as it now is, if it is live.
    pub(crate) fn document(&self, index: &str, id: &str) -> Result<Option<Document>, StoreError> {
        match self.old(index, id)? {
            Some(Old {
                live: Some(bytes), ..
            }) => Ok(Some(parse(id, &bytes)?)),
            _ => Ok(None),
        }
    }

    fn upsert(
        &mut self,
        index: &str,
        upsert: Upsert,
        origin: Origin,
    ) -> Result<Effect, StoreError> {
        let Upsert {
            id,
            shard,
            stamp,
            content,
        } = upsert;
        let old = self.old(index, &id)?;
        let had = old.as_ref().is_some_and(|o| o.live.is_some());
        let ignored = Effect {
            applied: false,
            had,
        };
        #[cfg(feature = "planted-bugs")]
        let stamped = stamp.filter(|_| !overwrites(origin));
        #[cfg(not(feature = "planted-bugs"))]
        let stamped = stamp;
        let newer = |old: &Old, new| new < old.stamp || (new == old.stamp && old.live.is_none());
        if old
            .as_ref()
            .zip(stamped)
            .is_some_and(|(old, new)| newer(old, new))
        {
            return Ok(ignored);
        }
        let whole = match content {
            Content::Whole(whole) => whole,
            Content::Fields(fields) => {
                let mut merged = match old.as_ref().and_then(|o| o.live_at(stamp)) {
                    Some(bytes) => parse(&id, bytes)?,
                    None => Document::new(),
                };
                merged.extend(fields);
                Whole::from(merged)
            }
        };
        let shard = shard.unwrap_or(NO_SHARD);
        let record = Record {
            stamp: stamp.unwrap_or(0),
            expires_ms: whole.expires_ms,
            body: Body::Live(&whole.bytes),
        };
        // A copy of the same stamp counts only if its content comes later in the order that all nodes share.
        if origin != Origin::Client
            && let Some(old) = &old
            && stamped == Some(old.stamp)
            && let Some(live) = &old.live
        {
            let held = Record {
                body: Body::Live(live),
                ..record
            };
            if record.hash(&id) <= held.hash(&id) {
                return Ok(ignored);
            }
        }
        self.replace(index, &id, old.as_ref(), shard, record)?;
        Ok(Effect { applied: true, had })
    }

    fn delete(
        &mut self,
        index: &str,
        id: &str,
        shard: Option<u32>,
        stamp: Option<u64>,
    ) -> Result<Effect, StoreError> {
        let old = self.old(index, id)?;
        let had = old.as_ref().is_some_and(|o| o.live.is_some());
        let Some(stamp) = stamp else {
            if let Some(old) = old {
                self.remove(index, id, &old)?;
            }
            return Ok(Effect { applied: had, had });
        };
        let newer = |o: &Old| stamp < o.stamp || (stamp == o.stamp && o.live.is_none());
        if old.as_ref().is_some_and(newer) {
            return Ok(Effect {
                applied: false,
                had,
            });
        }
        let shard = shard.or(old.as_ref().map(|o| o.shard)).unwrap_or(NO_SHARD);
        let record = Record {
            stamp,
            expires_ms: None,
            body: Body::Deleted,
        };
        self.replace(index, id, old.as_ref(), shard, record)?;
        Ok(Effect { applied: true, had })
    }

    fn delete_shard(
        &mut self,
        index: &str,
        shard: u32,
        stamp: Option<u64>,
    ) -> Result<Effect, StoreError> {
        let mut keys = Vec::new();
        for row in self
            .records
            .range((index, shard, "")..(index, shard + 1, ""))
            .map_err(redb_error)?
        {
            keys.push(row.map_err(redb_error)?.0.value().2.to_owned());
        }
        for id in &keys {
            self.delete(index, id, Some(shard), stamp)?;
        }
        Ok(Effect {
            applied: !keys.is_empty(),
            had: !keys.is_empty(),
        })
    }

    fn purge(&mut self, index: &str, id: &str, below: u64) -> Result<Effect, StoreError> {
        let old = self.old(index, id)?;
        let due = old.filter(|o| o.live.is_none() && o.stamp < below);
        if let Some(old) = &due {
            self.remove(index, id, old)?;
        }
        Ok(Effect {
            applied: due.is_some(),
            had: false,
        })
    }

    fn expire(&mut self, index: &str, id: &str, now_ms: u64) -> Result<Effect, StoreError> {
        let old = self.old(index, id)?;
        let due = old.filter(|o| o.expires_ms.is_some_and(|at| at <= now_ms));
        if let Some(old) = &due {
            let record = Record {
                stamp: old.stamp,
                expires_ms: None,
                body: Body::Deleted,
            };
            self.replace(index, id, Some(old), old.shard, record)?;
        }
        Ok(Effect {
            applied: due.is_some(),
            had: due.is_some(),
        })
    }

    /// The number of shards, if a router has told it.
    pub(crate) fn learn_shards(&mut self, count: u32) -> Result<(), StoreError> {
        if self.homes.is_unknown() && count > 0 {
            self.meta
                .insert(META_SHARDS, u64::from(count))
                .map_err(redb_error)?;
            self.homes = Homes::of(u64::from(count));
        }
        Ok(())
    }

    fn old(&self, index: &str, id: &str) -> Result<Option<Old>, StoreError> {
        let Some((shard, bytes)) = self.homes.find(&self.records, &self.shards, index, id)? else {
            return Ok(None);
        };
        let damaged = || StoreError::Damaged(id.to_owned());
        let record = Record::decode(bytes.value()).ok_or_else(damaged)?;
        let live = match record.body {
            Body::Live(document) => Some(document.to_vec()),
            Body::Deleted => None,
        };
        Ok(Some(Old {
            stamp: record.stamp,
            live,
            expires_ms: record.expires_ms,
            shard,
        }))
    }

    fn replace(
        &mut self,
        index: &str,
        id: &str,
        old: Option<&Old>,
        shard: u32,
        record: Record<'_>,
    ) -> Result<(), StoreError> {
        if old.is_none_or(|o| o.shard != shard) {
            if let Some(old) = old {
                self.records
                    .remove((index, old.shard, id))
                    .map_err(redb_error)?;
            }
            if self.homes.is_home(id, shard) {
                self.shards.remove((index, id)).map_err(redb_error)?;
            } else {
                self.shards.insert((index, id), shard).map_err(redb_error)?;
            }
        }
        self.records
            .insert((index, shard, id), record.encode().as_slice())
            .map_err(redb_error)?;
        if let Some(old) = old.filter(|o| o.live.is_some()) {
            self.grow(index, old.shard, -1);
            self.forget_expiry(index, id, old)?;
        }
        if record.is_live() {
            self.grow(index, shard, 1);
        }
        if let Some(at_ms) = record.expires_ms {
            self.expiries
                .insert((index, at_ms, id), ())
                .map_err(redb_error)?;
        }
        self.highest = self.highest.max(record.stamp);
        self.changes
            .push((record.stamp, id.to_owned(), !record.is_live()));
        Ok(())
    }

    fn remove(&mut self, index: &str, id: &str, old: &Old) -> Result<(), StoreError> {
        self.records
            .remove((index, old.shard, id))
            .map_err(redb_error)?;
        self.shards.remove((index, id)).map_err(redb_error)?;
        if old.live.is_some() {
            self.grow(index, old.shard, -1);
            self.forget_expiry(index, id, old)?;
        }
        Ok(())
    }

    fn forget_expiry(&mut self, index: &str, id: &str, old: &Old) -> Result<(), StoreError> {
        if let Some(at_ms) = old.expires_ms {
            self.expiries
                .remove((index, at_ms, id))
                .map_err(redb_error)?;
        }
        Ok(())
    }

    fn grow(&mut self, index: &str, shard: u32, by: i64) {
        if !self.grown.contains_key(index) {
            self.grown.insert(index.to_owned(), HashMap::new());
        }
        let shards = self.grown.get_mut(index).expect("it was just inserted");
        *shards.entry(shard).or_default() += by;
    }
}

impl Old {
    /// The document, unless it had expired when a write with that stamp was made.
    fn live_at(&self, stamp: Option<u64>) -> Option<&[u8]> {
        let expired = self
            .expires_ms
            .zip(stamp)
            .is_some_and(|(at, stamp)| at <= millis_of(stamp));
        self.live.as_deref().filter(|_| !expired)
    }
}

/// The planted bug: copied records replace whatever is there.
#[cfg(feature = "planted-bugs")]
fn overwrites(origin: Origin) -> bool {
    origin == Origin::Copy && crate::planted::planted(crate::planted::Bug::CopyOverwritesNewer)
}

impl Op {
    /// The shard concerned, where the operation says so.
    fn shard(&self) -> Option<u32> {
        match self {
            Op::Upsert(u) => u.shard,
            Op::Delete { shard, .. } => *shard,
            Op::DeleteShard { shard, .. } => Some(*shard),
            Op::Purge { .. } | Op::Expire { .. } => None,
        }
    }
}

/// Whether a router (epoch, process) is older than the registered one, or another one with the same epoch. A process
/// number of 0 is unknown and never differs.
pub(crate) fn is_stale(router: (u64, u64), registered: (u64, u64)) -> bool {
    let other = router.1 != 0 && registered.1 != 0 && router.1 != registered.1;
    router.0 < registered.0 || (router.0 == registered.0 && other)
}

fn parse(id: &str, bytes: &[u8]) -> Result<Document, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| StoreError::Damaged(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::is_stale;

    #[test]
    fn an_epoch_belongs_to_one_process() {
        assert!(is_stale((1, 7), (2, 9)) && !is_stale((3, 7), (2, 9)));
        assert!(is_stale((2, 7), (2, 9)) && !is_stale((2, 9), (2, 9)));
        assert!(!is_stale((2, 0), (2, 9)) && !is_stale((2, 7), (2, 0)));
    }
}
