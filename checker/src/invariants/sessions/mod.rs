//! Session guarantees: what a client has read or written, it and those who see its writes go on seeing.
//!
//! Terry et al., "Session guarantees for weakly consistent replicated data", PDIS 1994. A session is a
//! process. The order of what is written is known of sets that are only added to, and of registers that have one
//! writing process each. On a register with several a guarantee holds if any order of the writes is left.

mod contended;
mod registers;
mod rising;
mod sets;

use hashbrown::HashMap;
use serde_json::json;

use super::{Invariant, Moment, told, unknown};
use crate::catalogue::Outcome;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// The four guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// What a session has read, its later reads have, too.
    MonotonicReads,
    /// What a session has written (`ok`), its later reads have.
    ReadYourWrites,
    /// Who sees a session's write sees its earlier ones.
    MonotonicWrites,
    /// Who sees a session's write sees what the session had read before it.
    WritesFollowReads,
}

impl Guarantee {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::MonotonicReads => "monotonic-reads",
            Guarantee::ReadYourWrites => "read-your-writes",
            Guarantee::MonotonicWrites => "monotonic-writes",
            Guarantee::WritesFollowReads => "writes-follow-reads",
        }
    }
}

/// What was seen of one guarantee.
#[derive(Debug, Default)]
struct Seen {
    /// Reads judged.
    reads: usize,
    /// Reads of which nothing can be told.
    undecided: usize,
    /// Cases of violations.
    cases: Vec<String>,
}

impl Seen {
    fn and(mut self, other: Seen) -> Seen {
        self.reads += other.reads;
        self.undecided += other.undecided;
        self.cases.extend(other.cases);
        self
    }
}

fn is_read(call: &Moment) -> bool {
    matches!(&*call.event.f, "read" | "get" | "r")
}

/// The set of a key.
fn set<'a>(
    sets: &'a mut HashMap<Option<Value>, sets::Set>,
    call: &Moment,
    guarantee: Guarantee,
) -> &'a mut sets::Set {
    let set = sets.entry(call.event.key.clone());
    set.or_insert_with(|| sets::Set::new(guarantee))
}

/// One of the guarantees, on sets (`add`, `read` of the whole) or registers (`read`, `write`, `put`,
/// `delete`, by key).
///
/// On a set, O(elements read · processes); on registers, O(n p log n) for `monotonic-writes`,
/// `writes-follow-reads` and p processes, else O(n log n). On registers, what is seen is followed over one step, not through chains of
/// sessions: that is causal consistency, an isolation model.
#[derive(Debug)]
pub struct Session {
    guarantee: Guarantee,
    nil_is_absent: bool,
    on: On,
    operations: usize,
}

#[derive(Debug)]
enum On {
    /// Nothing showed it yet.
    Unknown,
    Sets(HashMap<Option<Value>, sets::Set>),
    Registers(Box<registers::Registers>),
}

impl On {
    fn registers(guarantee: Guarantee) -> Self {
        On::Registers(Box::new(registers::Registers::new(guarantee)))
    }
}

impl Session {
    /// Checks this one. `nil_is_absent`: a register read as `nil` was seen to have no value; else that
    /// says nothing.
    pub fn new(guarantee: Guarantee, nil_is_absent: bool) -> Self {
        Session {
            guarantee,
            nil_is_absent,
            on: On::Unknown,
            operations: 0,
        }
    }
}

impl Invariant for Session {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        if let On::Unknown = self.on {
            match (&*call.event.f, &call.event.key) {
                ("add", _) => self.on = On::Sets(HashMap::new()),
                ("write" | "put" | "delete" | "w", _) | ("read" | "get" | "r", Some(_)) => {
                    self.on = On::registers(self.guarantee);
                }
                ("read", None) => {}
                _ => return unknown(call),
            }
        }
        match &mut self.on {
            On::Unknown => Ok(()),
            On::Sets(sets) => set(sets, call, self.guarantee).called(call),
            On::Registers(registers) => registers.called(call),
        }
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        if let (On::Unknown, value) = (&self.on, &answer.event.value)
            && *value != Value::Nil
        {
            self.on = match value.items() {
                Some(_) => On::Sets(HashMap::new()),
                None => On::registers(self.guarantee),
            };
        }
        match &mut self.on {
            On::Unknown => Ok(()),
            On::Sets(sets) => set(sets, call, self.guarantee).answered(call, answer),
            On::Registers(_)
                if is_read(call) && answer.event.value == Value::Nil && !self.nil_is_absent =>
            {
                Ok(())
            }
            On::Registers(registers) => registers.answered(call, answer),
        }
    }

    fn outcome(&mut self) -> Outcome {
        let seen = match &mut self.on {
            On::Unknown => Seen::default(),
            On::Sets(sets) => sets
                .values_mut()
                .fold(Seen::default(), |all, set| all.and(set.seen())),
            On::Registers(registers) => registers.seen(),
        };
        let reads = told::count(seen.reads, "read");
        let bad = seen.cases.len();
        let (verdict, reason) = if bad > 0 {
            let reason = format!("{} violated by {bad} of {reads}", self.guarantee.name());
            (Verdict::Invalid, reason)
        } else if seen.undecided > 0 {
            let reason = format!(
                "{} undecided: of values that nobody, or several, wrote",
                told::count(seen.undecided, "read")
            );
            (Verdict::Unknown, reason)
        } else if seen.reads == 0 {
            (Verdict::Unknown, "nothing was read".to_owned())
        } else {
            (
                Verdict::Valid,
                format!("{} in {reads}", self.guarantee.name()),
            )
        };
        let finding = told::class(self.guarantee.name(), reason.clone(), bad, seen.cases);
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            facts: json!({"reads": seen.reads, "undecided": seen.undecided, "violations": bad}),
            findings: if bad > 0 { vec![finding] } else { Vec::new() },
            ..Outcome::default()
        }
    }
}
