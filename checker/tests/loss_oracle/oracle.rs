//! The oracle: permitted final states by enumeration, and the class of a key from all observations.

use std::collections::BTreeSet;

use shakedown_checker::history::{Event, EventKind, Observation, Placement, Seen};
use shakedown_checker::loss::KeyClass;

/// A write as the oracle sees it: when it was invoked, and how and when it ended.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) version: i64,
    pub(crate) delete: bool,
    pub(crate) invoked: u64,
    pub(crate) end: Option<(EventKind, u64)>,
}

pub(crate) fn writes_of(key: i64, history: &[Event]) -> Vec<Write> {
    let ours = |event: &&Event| event.key == Some(key);
    history
        .iter()
        .filter(ours)
        .filter(|event| event.kind == EventKind::Invoke)
        .map(|invoke| Write {
            version: invoke.value.unwrap(),
            delete: invoke.f == "delete",
            invoked: invoke.time_ns,
            end: history
                .iter()
                .find(|event| {
                    event.op == invoke.op && event.kind != EventKind::Invoke && ours(event)
                })
                .map(|end| (end.kind, end.time_ns)),
        })
        .collect()
}

impl Write {
    pub(crate) fn acknowledged(&self) -> bool {
        matches!(self.end, Some((EventKind::Ok, _)))
    }

    fn failed(&self) -> bool {
        matches!(self.end, Some((EventKind::Fail, _)))
    }

    /// Whether this one's effect certainly came before the other was even invoked.
    fn before(&self, other: &Write) -> bool {
        matches!(self.end, Some((EventKind::Ok, at)) if at < other.invoked)
    }
}

/// All final states (`None`: nothing) by trying every set of indeterminate writes that took effect,
/// and every order of effects that respects what was acknowledged before what was invoked.
fn permitted(writes: &[Write]) -> BTreeSet<Option<i64>> {
    fn extend(done: Option<&Write>, left: &[&Write], states: &mut BTreeSet<Option<i64>>) {
        if left.iter().all(|write| !write.acknowledged()) {
            states.insert(done.and_then(|write| (!write.delete).then_some(write.version)));
        }
        for (index, next) in left.iter().enumerate() {
            if left.iter().any(|other| other.before(next)) {
                continue;
            }
            let mut rest = left.to_vec();
            rest.remove(index);
            extend(Some(next), &rest, states);
        }
    }
    let mut states = BTreeSet::new();
    let effective: Vec<_> = writes.iter().filter(|write| !write.failed()).collect();
    extend(None, &effective, &mut states);
    states
}

/// What the oracle says of one key.
pub(crate) struct Judged {
    pub(crate) class: Option<KeyClass>,
    pub(crate) acknowledged: bool,
    pub(crate) only_indeterminate: bool,
}

pub(crate) fn judge(key: i64, writes: &[Write], observations: &[Observation]) -> Judged {
    let permitted = permitted(writes);
    let last = writes.iter().rfind(|write| write.acknowledged());
    let left_by_last = last.and_then(|write| (!write.delete).then_some(write.version));
    // Placement, and the version or `None` for corrupt.
    let documents: Vec<(u16, Placement, Option<i64>)> = observations
        .iter()
        .filter_map(|row| match &row.seen {
            Seen::Version { key: k, version } if *k == key => {
                Some((row.source, row.placement, Some(*version)))
            }
            Seen::Corrupt { key: k, .. } if *k == key => Some((row.source, row.placement, None)),
            _ => None,
        })
        .collect();
    let says = |source: u16, seen: &Seen| {
        observations
            .iter()
            .any(|row| row.source == source && row.seen == *seen)
    };
    let complete = |source: u16| {
        let failed =
            |row: &Observation| row.source == source && matches!(row.seen, Seen::Failed { .. });
        says(source, &Seen::End) && !observations.iter().any(failed)
    };
    let has = |source: u16| documents.iter().any(|document| document.0 == source);
    // The generated sources 0 and 1 are front doors if they say anything, 2 and 3 are nodes.
    let speaks = |source: u16| observations.iter().any(|row| row.source == source);
    let denied = says(0, &Seen::Absent { key }) || says(1, &Seen::Absent { key });
    let door_misses = [0, 1].into_iter().any(|door| complete(door) && !has(door));
    let shown_at_door = has(0) || has(1);
    let on_owner = documents
        .iter()
        .any(|document| document.1 == Placement::Owner);
    let nodes_complete = (0..4)
        .filter(|source| *source >= 2 || !speaks(*source))
        .all(complete);
    let nothing_there = if denied || door_misses {
        Some(true)
    } else if shown_at_door || on_owner {
        Some(false)
    } else if nodes_complete {
        Some(true)
    } else {
        None
    };

    let at_home = |place: Placement| matches!(place, Placement::Routed | Placement::Owner);
    let put = |version: i64, ok: bool| {
        let fits = |write: &&Write| !write.delete && write.version == version && !write.failed();
        writes
            .iter()
            .filter(fits)
            .any(|write| !ok || write.acknowledged())
    };
    let any = |test: &dyn Fn(Placement, Option<i64>) -> bool| {
        documents.iter().any(|(_, place, seen)| test(*place, *seen))
    };
    let superseded = |place: Placement, seen: Option<i64>| {
        at_home(place)
            && seen.is_some_and(|version| put(version, true) && !permitted.contains(&Some(version)))
    };
    let phantom = |seen: Option<i64>| seen.is_some_and(|version| !put(version, false));
    let class = if nothing_there == Some(true) && !permitted.contains(&None) {
        Some(KeyClass::Lost)
    } else if any(&|place, seen| at_home(place) && seen.is_none()) {
        Some(KeyClass::Corrupted)
    } else if last.is_some_and(|last| last.delete) && any(&superseded) {
        Some(KeyClass::Resurrected)
    } else if any(&superseded) {
        Some(KeyClass::Stale)
    } else if any(&|_, seen| phantom(seen)) {
        Some(KeyClass::Phantom)
    } else if any(&|place, _| place == Placement::Stranger) {
        Some(KeyClass::Misplaced)
    } else if any(&|place, _| place == Placement::FormerOwner) {
        Some(KeyClass::LeftBehind)
    } else {
        nothing_there.map(|_| KeyClass::Ok)
    };

    let door_speaks = denied || door_misses || shown_at_door || complete(0) || complete(1);
    let decides = |place: Placement| {
        if door_speaks {
            place == Placement::Routed
        } else {
            place == Placement::Owner
        }
    };
    let only_indeterminate = class == Some(KeyClass::Ok)
        && ((nothing_there == Some(true) && left_by_last.is_some())
            || any(&|place, seen| decides(place) && seen != left_by_last));
    Judged {
        class,
        acknowledged: last.is_some(),
        only_indeterminate,
    }
}
