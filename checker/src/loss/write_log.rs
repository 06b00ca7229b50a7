//! Every write of a run and every read that saw a version, 24 bytes each.

use hashbrown::HashMap;

use crate::error::CheckError;

/// What an entry of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Put,
    Delete,
    /// A completed read that saw the entry's version.
    Read,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may have happened, or may yet.
    Indeterminate,
    Acknowledged,
    Failed,
}

/// One operation. The order is by key, then version, then time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: i64,
    pub(super) version: i64,
    /// Nanoseconds, action (2 bits) and fate (2 bits), the time in the upper bits.
    packed: u64,
}

impl Entry {
    fn new(key: i64, version: i64, time_ns: u64, action: Action) -> Self {
        let packed = (time_ns << 4) | ((action as u64) << 2);
        Entry {
            key,
            version,
            packed,
        }
    }

    /// Invocation of a write, completion of a read; nanoseconds since the start of the run, correct
    /// up to 36 years.
    pub(super) fn time_ns(&self) -> u64 {
        self.packed >> 4
    }

    pub(super) fn action(&self) -> Action {
        match (self.packed >> 2) & 3 {
            0 => Action::Put,
            1 => Action::Delete,
            _ => Action::Read,
        }
    }

    pub(super) fn fate(&self) -> Fate {
        match self.packed & 3 {
            0 => Fate::Indeterminate,
            1 => Fate::Acknowledged,
            _ => Fate::Failed,
        }
    }
}

/// Collects operations while a history is read.
#[derive(Debug, Default)]
pub(super) struct WriteLog {
    entries: Vec<Entry>,
    /// Index of each write without completion so far, by operation.
    open: HashMap<u64, u32>,
}

impl WriteLog {
    /// A write is invoked.
    pub(super) fn invoke(
        &mut self,
        op: u64,
        action: Action,
        key: i64,
        version: i64,
        time_ns: u64,
    ) -> Result<(), CheckError> {
        let index = u32::try_from(self.entries.len())
            .ok()
            .filter(|index| *index < u32::MAX)
            .ok_or(CheckError::TooManyWrites(u32::MAX))?;
        if self.open.insert(op, index).is_some() {
            return Err(malformed(op, action, "is invoked twice"));
        }
        self.entries.push(Entry::new(key, version, time_ns, action));
        Ok(())
    }

    /// A write completes.
    pub(super) fn complete(
        &mut self,
        op: u64,
        action: Action,
        fate: Fate,
    ) -> Result<(), CheckError> {
        let index = self
            .open
            .remove(&op)
            .ok_or_else(|| malformed(op, action, "completes without being open"))?;
        self.entries[index as usize].packed |= fate as u64;
        Ok(())
    }

    /// A read completes that saw a version.
    pub(super) fn saw(&mut self, key: i64, version: i64, time_ns: u64) {
        self.entries
            .push(Entry::new(key, version, time_ns, Action::Read));
    }

    /// All entries in order.
    pub(super) fn into_sorted(self) -> Vec<Entry> {
        let WriteLog { mut entries, open } = self;
        drop(open);
        entries.sort_unstable();
        entries
    }
}

/// An event of a write that breaks the rules of a history.
pub(super) fn malformed(op: u64, action: Action, problem: &'static str) -> CheckError {
    let f = match action {
        Action::Put => "put",
        Action::Delete => "delete",
        Action::Read => "read",
    };
    CheckError::Malformed {
        op,
        f: f.to_owned(),
        problem,
    }
}
