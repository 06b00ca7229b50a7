//! Registers with distinct written values, in O(n log n).
//!
//! Gibbons and Korach, "Testing shared memories" (SIAM J. Comput. 26, 1997), section 4. A write and the
//! reads that saw its value form a cluster, whose operations must take effect without another write in
//! between. From the first return of a cluster to its last call, if they lie in this order (a *forward*
//! zone), its value must be in the register throughout; otherwise there is a moment at which all of the
//! cluster can take effect together, anywhere between its last call and its first return (a *backward*
//! zone). The history is linearizable if and only if no read returns before its write is called, no two
//! forward zones overlap, and no backward zone lies inside a forward zone.
//!
//! A write that never returned has no return to bound its cluster by; if nobody saw it, it need not have
//! happened, and is left out. That is exact: leaving out a write that nobody saw cannot hurt.

use super::history::{History, OPEN, Operation};
use super::model::{Conflict, Shortcut};
use super::models::RegisterOp;
use super::numbering::Numbering;

const METHOD: &str = "zones (Gibbons and Korach)";

/// Operations that must take effect side by side. Moments are those of the history plus one; 0 is
/// before all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zone {
    first_ret: u32,
    last_call: u32,
    /// Positions of the operations of those moments; `usize::MAX` as u32 for none.
    first_ret_of: u32,
    last_call_of: u32,
}

const NONE: u32 = u32::MAX;

impl Zone {
    /// A zone of no operations yet.
    pub(super) const EMPTY: Zone = Zone {
        first_ret: u32::MAX,
        last_call: 0,
        first_ret_of: NONE,
        last_call_of: NONE,
    };

    /// A zone that begins before the history.
    pub(super) const INITIAL: Zone = Zone {
        first_ret: 0,
        ..Zone::EMPTY
    };

    /// Takes in an operation.
    pub(super) fn add(&mut self, position: usize, call: u32, ret: u32) {
        let (call, ret) = (call + 1, ret.saturating_add(1));
        if ret < self.first_ret {
            (self.first_ret, self.first_ret_of) = (ret, position as u32);
        }
        if call > self.last_call {
            (self.last_call, self.last_call_of) = (call, position as u32);
        }
    }

    fn operations(&self) -> impl Iterator<Item = usize> {
        [self.first_ret_of, self.last_call_of]
            .into_iter()
            .filter(|&position| position != NONE)
            .map(|position| position as usize)
    }
}

/// Two zones that exclude one another.
pub(super) fn conflict(zones: impl Iterator<Item = Zone> + Clone) -> Option<Conflict> {
    let is_forward = |zone: &Zone| zone.first_ret < zone.last_call;
    let mut forward: Vec<Zone> = zones.clone().filter(is_forward).collect();
    forward.sort_unstable_by_key(|zone| zone.first_ret);
    let overlap = forward
        .windows(2)
        .find(|pair| pair[1].first_ret < pair[0].last_call);
    if let Some(pair) = overlap {
        return Some(Conflict::new(
            "two values would have to be there at the same time",
            pair[0].operations().chain(pair[1].operations()),
        ));
    }
    zones.filter(|zone| !is_forward(zone)).find_map(|inner| {
        let after = forward.partition_point(|outer| outer.first_ret < inner.last_call);
        let outer = forward[..after].last()?;
        (outer.last_call > inner.first_ret).then(|| {
            Conflict::new(
                "a value that was there throughout leaves no room for another",
                outer.operations().chain(inner.operations()),
            )
        })
    })
}

struct Cluster {
    zone: Zone,
    write_call: u32,
    write: u32,
    /// Its write returned, or was seen.
    happened: bool,
}

/// Decides a register history of reads and writes whose written values are all different, and
/// different from the initial one, up to and including the moment `end`. `None` if it is not of this kind.
pub(super) fn register(history: &History<RegisterOp>, initial: i64, end: u32) -> Option<Shortcut> {
    let called = |operation: &Operation<RegisterOp>| operation.call <= end;
    let operations = history.operations();
    let operations = &operations[..operations.partition_point(called)];
    let ret_of = |operation: &Operation<RegisterOp>| match operation.ret {
        ret if ret <= end => ret,
        _ => OPEN,
    };
    let written = operations
        .iter()
        .filter_map(|operation| match operation.op {
            RegisterOp::Write(value) => Some(value),
            _ => None,
        });
    let mut numbering = Numbering::new(written);
    let mut clusters: Vec<Cluster> = Vec::new();
    for (position, operation) in operations.iter().enumerate() {
        match operation.op {
            RegisterOp::Read(_) => {}
            RegisterOp::Write(value) if value != initial => {
                numbering.add(value)?;
                let mut zone = Zone::EMPTY;
                let ret = ret_of(operation);
                zone.add(position, operation.call, ret);
                clusters.push(Cluster {
                    zone,
                    write_call: operation.call,
                    write: position as u32,
                    happened: ret != OPEN,
                });
            }
            _ => return None,
        }
    }
    let found = |conflict| {
        Some(Shortcut {
            method: METHOD,
            conflict,
        })
    };
    let mut first = Zone::INITIAL;
    let mut first_read = false;
    for (position, operation) in operations.iter().enumerate() {
        let RegisterOp::Read(value) = operation.op else {
            continue;
        };
        let ret = ret_of(operation);
        if ret == OPEN {
            continue;
        }
        if value == initial {
            first.add(position, operation.call, ret);
            first_read = true;
            continue;
        }
        let Some(number) = numbering.get(value) else {
            return found(Some(Conflict::new(
                "a value was read that nobody wrote",
                [position],
            )));
        };
        let cluster = &mut clusters[number as usize];
        if ret < cluster.write_call {
            return found(Some(Conflict::new(
                "a value was read before its write was called",
                [position, cluster.write as usize],
            )));
        }
        cluster.zone.add(position, operation.call, ret);
        cluster.happened = true;
    }
    let zones = clusters
        .iter()
        .filter(|cluster| cluster.happened)
        .map(|cluster| cluster.zone);
    found(conflict(zones.chain(first_read.then_some(first))))
}
