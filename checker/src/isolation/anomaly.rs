//! Classes of anomalies, and which of them imply which.

use std::fmt;

/// A class of cycles among transactions, by the data dependencies it needs (A. Adya, "Weak
/// Consistency", MIT 1999).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CycleKind {
    /// Writes follow writes, all the way round.
    G0,
    /// Information flows in a circle: writes and reads, at least one read of another's write.
    G1c,
    /// Exactly one read that missed a write.
    GSingle,
    /// Several reads that missed writes, no two of them in a row.
    GNonadjacent,
    /// Several reads that missed writes, two of them in a row.
    G2,
}

/// The order beyond data dependencies that a cycle needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// None.
    Data,
    /// The order of transactions within processes.
    Process,
    /// Real time: one transaction had completed when the other was invoked.
    Realtime,
}

/// What a transaction that read something must see of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// From then on, all else that the same writer wrote.
    Monotonic,
    /// All else that the same writer wrote.
    Atomic,
    /// All that the writer had seen, too.
    Causal,
}

/// What can be wrong with a history of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anomaly {
    /// A cycle of dependencies.
    Cycle(CycleKind, Form),
    /// A transaction read what an aborted one wrote.
    G1a,
    /// A transaction read what another wrote and then replaced.
    G1b,
    /// A transaction contradicts itself: a read does not agree with its own earlier operations.
    Internal,
    /// A transaction read what it would write only later.
    FutureRead,
    /// A committed write builds upon an aborted one.
    DirtyUpdate,
    /// Two transactions read the same version of a key and both replaced it.
    LostUpdate,
    /// A list held an element more than once.
    DuplicateElements,
    /// Two reads of a list of which neither continues the other.
    IncompatibleOrder,
    /// The order of a key's versions runs in a circle.
    CyclicVersions,
    /// A read of a value that nobody wrote.
    GarbageRead,
    /// What transactions must see, given what they read, leaves no order of commits.
    View(View, Form),
}

impl CycleKind {
    /// All kinds, the gravest first.
    pub const ALL: [CycleKind; 5] = [
        CycleKind::G0,
        CycleKind::G1c,
        CycleKind::GSingle,
        CycleKind::GNonadjacent,
        CycleKind::G2,
    ];

    /// Whether a cycle of this kind makes one of the other uninteresting: it violates all that the
    /// other does.
    fn implies(self, other: CycleKind) -> bool {
        let anti = |kind: CycleKind| kind >= CycleKind::GSingle;
        anti(self) == anti(other) && self <= other
    }
}

impl Anomaly {
    /// Every class that is not a cycle of dependencies.
    pub const DIRECT: [Anomaly; 15] = [
        Anomaly::G1a,
        Anomaly::G1b,
        Anomaly::Internal,
        Anomaly::FutureRead,
        Anomaly::DirtyUpdate,
        Anomaly::LostUpdate,
        Anomaly::DuplicateElements,
        Anomaly::IncompatibleOrder,
        Anomaly::CyclicVersions,
        Anomaly::GarbageRead,
        Anomaly::View(View::Monotonic, Form::Data),
        Anomaly::View(View::Monotonic, Form::Process),
        Anomaly::View(View::Atomic, Form::Data),
        Anomaly::View(View::Atomic, Form::Process),
        Anomaly::View(View::Causal, Form::Process),
    ];

    /// Every class.
    pub fn all() -> impl Iterator<Item = Anomaly> {
        let forms = [Form::Data, Form::Process, Form::Realtime];
        let cycles = forms.into_iter().flat_map(|form| {
            CycleKind::ALL
                .into_iter()
                .map(move |kind| Anomaly::Cycle(kind, form))
        });
        cycles.chain(Anomaly::DIRECT)
    }

    /// Whether this cycle makes a cycle of the other class uninteresting.
    pub(super) fn covers(self, other: Anomaly) -> bool {
        match (self, other) {
            (Anomaly::Cycle(kind, form), Anomaly::Cycle(other, needed)) => {
                kind.implies(other) && form <= needed
            }
            _ => self == other,
        }
    }

    /// The name, as Elle's users know it.
    pub fn name(self) -> &'static str {
        use CycleKind::{G0, G1c, G2, GNonadjacent, GSingle};
        use Form::{Data, Process, Realtime};
        match self {
            Anomaly::Cycle(G0, Data) => "G0",
            Anomaly::Cycle(G0, Process) => "G0-process",
            Anomaly::Cycle(G0, Realtime) => "G0-realtime",
            Anomaly::Cycle(G1c, Data) => "G1c",
            Anomaly::Cycle(G1c, Process) => "G1c-process",
            Anomaly::Cycle(G1c, Realtime) => "G1c-realtime",
            Anomaly::Cycle(GSingle, Data) => "G-single-item",
            Anomaly::Cycle(GSingle, Process) => "G-single-item-process",
            Anomaly::Cycle(GSingle, Realtime) => "G-single-item-realtime",
            Anomaly::Cycle(GNonadjacent, Data) => "G-nonadjacent-item",
            Anomaly::Cycle(GNonadjacent, Process) => "G-nonadjacent-item-process",
            Anomaly::Cycle(GNonadjacent, Realtime) => "G-nonadjacent-item-realtime",
            Anomaly::Cycle(G2, Data) => "G2-item",
            Anomaly::Cycle(G2, Process) => "G2-item-process",
            Anomaly::Cycle(G2, Realtime) => "G2-item-realtime",
            Anomaly::G1a => "G1a",
            Anomaly::G1b => "G1b",
            Anomaly::Internal => "internal",
            Anomaly::FutureRead => "future-read",
            Anomaly::DirtyUpdate => "dirty-update",
            Anomaly::LostUpdate => "lost-update",
            Anomaly::DuplicateElements => "duplicate-elements",
            Anomaly::IncompatibleOrder => "incompatible-order",
            Anomaly::CyclicVersions => "cyclic-versions",
            Anomaly::GarbageRead => "garbage-read",
            Anomaly::View(View::Monotonic, Data) => "non-monotonic-view",
            Anomaly::View(View::Monotonic, _) => "non-monotonic-view-process",
            Anomaly::View(View::Atomic, Data) => "fractured-read",
            Anomaly::View(View::Atomic, _) => "fractured-read-process",
            Anomaly::View(View::Causal, _) => "causality-violation",
        }
    }

    /// The class of a name.
    pub fn named(name: &str) -> Option<Anomaly> {
        Anomaly::all().find(|anomaly| anomaly.name() == name)
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Anomaly::Cycle(CycleKind::G0, _) => "writes follow one another in a circle",
            Anomaly::Cycle(CycleKind::G1c, _) => "information flows in a circle",
            Anomaly::Cycle(CycleKind::GSingle, _) => "a circle with one read that missed a write",
            Anomaly::Cycle(CycleKind::GNonadjacent, _) => {
                "a circle with reads that missed writes, no two in a row"
            }
            Anomaly::Cycle(CycleKind::G2, _) => {
                "a circle with reads that missed writes, two in a row"
            }
            Anomaly::G1a => "read what an aborted transaction wrote",
            Anomaly::G1b => "read an intermediate version",
            Anomaly::Internal => "a transaction contradicts itself",
            Anomaly::FutureRead => "read what it would write only later",
            Anomaly::DirtyUpdate => "built upon an aborted write",
            Anomaly::LostUpdate => "several replaced the same version",
            Anomaly::DuplicateElements => "a list held an element more than once",
            Anomaly::IncompatibleOrder => "reads of a list that do not continue each other",
            Anomaly::CyclicVersions => "the order of a key's versions runs in a circle",
            Anomaly::GarbageRead => "read a value that nobody wrote",
            Anomaly::View(View::Monotonic, _) => "a transaction was seen, and then in part not",
            Anomaly::View(View::Atomic, _) => "a transaction was seen in part",
            Anomaly::View(View::Causal, _) => "an effect was seen, its cause was not",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
