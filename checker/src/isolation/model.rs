//! Consistency models of transactions, which of them imply which, and what violates them.
//!
//! The lattice is that of Jepsen and Elle (<https://jepsen.io/consistency>), after Adya, Bailis et al.,
//! Cerone et al., and Daudjee and Salem.

use std::fmt;

use super::anomaly::{Anomaly, CycleKind, Form, View};

macro_rules! models {
    ($(#[doc = $about:literal] $variant:ident $name:literal => [$($weaker:ident),*];)*) => {
        /// A consistency model.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Model { $(#[doc = $about] $variant,)* }

        impl Model {
            /// Every model, the weakest first: a model comes after all it implies.
            pub const ALL: &'static [Model] = &[$(Model::$variant),*];

            /// The name.
            pub const fn name(self) -> &'static str {
                match self { $(Model::$variant => $name,)* }
            }

            /// What it promises, in a few words.
            pub const fn about(self) -> &'static str {
                match self { $(Model::$variant => $about.trim_ascii(),)* }
            }

            /// The strongest models that this one implies.
            fn weaker(self) -> &'static [Model] {
                match self { $(Model::$variant => &[$(Model::$weaker),*],)* }
            }
        }
    };
}

models! {
    /// No circle of writes.
    ReadUncommitted "read-uncommitted" => [];
    /// Only committed, final versions are read, and information does not flow in circles.
    ReadCommitted "read-committed" => [ReadUncommitted];
    /// What was seen of a transaction stays visible.
    MonotonicAtomicView "monotonic-atomic-view" => [ReadCommitted];
    /// Reads advance.
    MonotonicView "monotonic-view" => [ReadCommitted];
    /// Each read is of a snapshot.
    MonotonicSnapshotRead "monotonic-snapshot-read" => [ReadCommitted];
    /// No lost updates.
    CursorStability "cursor-stability" => [ReadCommitted];
    /// Transactions are seen entirely or not at all.
    ReadAtomic "read-atomic" => [MonotonicAtomicView];
    /// Read atomic without lost updates.
    UpdateAtomic "update-atomic" => [ReadAtomic];
    /// Causes are seen before effects.
    Causal "causal-cerone" => [ReadAtomic];
    /// Snapshot isolation per site.
    ParallelSnapshotIsolation "parallel-snapshot-isolation" => [Causal, UpdateAtomic];
    /// Everybody sees prefixes of one order.
    Prefix "prefix" => [Causal];
    /// A consistent view of the database.
    ConsistentView "consistent-view" => [CursorStability, MonotonicView];
    /// A consistent view, as of the start or later.
    ForwardConsistentView "forward-consistent-view" => [ConsistentView];
    /// What was read does not change until the commit.
    RepeatableRead "repeatable-read" => [CursorStability, MonotonicAtomicView];
    /// Serializable for those who write.
    UpdateSerializable "update-serializable" => [ForwardConsistentView];
    /// Reads are of a snapshot, and the first to commit a change of it wins.
    SnapshotIsolation "snapshot-isolation" => [
        ForwardConsistentView, MonotonicAtomicView, MonotonicSnapshotRead, ParallelSnapshotIsolation, Prefix
    ];
    /// As if one transaction ran after the other.
    Serializable "serializable" => [RepeatableRead, UpdateSerializable, SnapshotIsolation];
    /// Read uncommitted, and sessions are respected.
    SessionReadUncommitted "strong-session-read-uncommitted" => [ReadUncommitted];
    /// Read committed, and sessions are respected.
    SessionReadCommitted "strong-session-read-committed" => [ReadCommitted, SessionReadUncommitted];
    /// Read uncommitted, and real time is respected.
    StrongReadUncommitted "strong-read-uncommitted" => [SessionReadUncommitted];
    /// Read committed, and real time is respected.
    StrongReadCommitted "strong-read-committed" => [SessionReadCommitted, StrongReadUncommitted];
    /// Monotonic atomic view, and sessions are respected.
    SessionMonotonicAtomicView "strong-session-monotonic-atomic-view" => [
        MonotonicAtomicView, SessionReadCommitted
    ];
    /// Read atomic, and sessions are respected.
    SessionReadAtomic "strong-session-read-atomic" => [ReadAtomic, SessionMonotonicAtomicView];
    /// Causes are seen before effects, those within a session included.
    SessionCausal "strong-session-causal" => [Causal, SessionReadAtomic];
    /// Snapshot isolation, and sessions are respected.
    SessionSnapshotIsolation "strong-session-snapshot-isolation" => [SnapshotIsolation, SessionCausal];
    /// Serializable, and sessions are respected.
    SessionSerializable "strong-session-serializable" => [Serializable, SessionSnapshotIsolation];
    /// Snapshot isolation, and real time is respected.
    StrongSnapshotIsolation "strong-snapshot-isolation" => [SessionSnapshotIsolation, StrongReadCommitted];
    /// Serializable in an order that real time allows.
    StrictSerializable "strict-serializable" => [Serializable, StrongSnapshotIsolation, SessionSerializable];
}

/// Other names of models.
const ALIASES: [(&str, Model); 6] = [
    ("strong-serializable", Model::StrictSerializable),
    ("conflict-serializable", Model::Serializable),
    ("causal", Model::SessionCausal),
    ("consistent-prefix", Model::Prefix),
    (
        "session-snapshot-isolation",
        Model::SessionSnapshotIsolation,
    ),
    ("session-serializable", Model::SessionSerializable),
];

impl Model {
    /// The model of a name.
    pub fn named(name: &str) -> Option<Model> {
        let known = Model::ALL
            .iter()
            .copied()
            .find(|model| model.name() == name);
        known.or_else(|| {
            let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
            alias.map(|(_, model)| *model)
        })
    }

    /// Other names that [`named`](Self::named) knows it by.
    pub fn other_names(self) -> impl Iterator<Item = &'static str> {
        let own = ALIASES.iter().filter(move |(_, model)| *model == self);
        own.map(|(alias, _)| *alias)
    }

    /// Whether whatever satisfies this model satisfies the other.
    pub fn implies(self, other: Model) -> bool {
        Models::from(self).with_weaker().contains(other)
    }

    /// The order beyond data dependencies that this model respects.
    pub fn form(self) -> Form {
        if self.implies(Model::StrongReadUncommitted) {
            Form::Realtime
        } else if self.implies(Model::SessionReadUncommitted) {
            Form::Process
        } else {
            Form::Data
        }
    }

    /// Whether the model rules an anomaly out.
    pub fn forbids(self, anomaly: Anomaly) -> bool {
        violated_by(anomaly).with_stronger().contains(self)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Models(u64);

impl Models {
    /// Whether the set has a model.
    pub fn contains(self, model: Model) -> bool {
        self.0 & (1 << model as u32) != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The models, the weakest first.
    pub fn iter(self) -> impl Iterator<Item = Model> {
        let all = Model::ALL.iter().copied();
        all.filter(move |model| self.contains(*model))
    }

    /// The names, in alphabetical order.
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.iter().map(Model::name).collect();
        names.sort_unstable();
        names
    }

    /// Both sets together.
    pub fn union(self, other: Models) -> Models {
        Models(self.0 | other.0)
    }

    /// Every model that is not in the set.
    pub fn others(self) -> Models {
        Model::ALL
            .iter()
            .filter(|model| !self.contains(**model))
            .copied()
            .collect()
    }

    /// With every model that implies one of them.
    pub fn with_stronger(self) -> Models {
        let mut set = self;
        for model in Model::ALL {
            if model.weaker().iter().any(|weaker| set.contains(*weaker)) {
                set.0 |= 1 << *model as u32;
            }
        }
        set
    }

    /// With every model that one of them implies.
    pub fn with_weaker(self) -> Models {
        let mut set = self;
        for model in Model::ALL.iter().rev() {
            if set.contains(*model) {
                set = set.union(model.weaker().iter().copied().collect());
            }
        }
        set
    }

    /// Those that imply no other of the set.
    pub fn weakest(self) -> Models {
        self.iter()
            .filter(|model| {
                let implied = Models::from(*model).with_weaker().0 & !(1 << *model as u32);
                self.0 & implied == 0
            })
            .collect()
    }

    /// Those that no other of the set implies.
    pub fn strongest(self) -> Models {
        self.iter()
            .filter(|model| {
                let implying = Models::from(*model).with_stronger().0 & !(1 << *model as u32);
                self.0 & implying == 0
            })
            .collect()
    }
}

impl From<Model> for Models {
    fn from(model: Model) -> Models {
        Models(1 << model as u32)
    }
}

impl FromIterator<Model> for Models {
    fn from_iter<I: IntoIterator<Item = Model>>(models: I) -> Models {
        models
            .into_iter()
            .fold(Models::default(), |set, model| set.union(model.into()))
    }
}

/// The weakest models that an anomaly violates. All stronger ones are violated, too.
pub fn violated_by(anomaly: Anomaly) -> Models {
    use CycleKind::{G0, G1c, G2, GNonadjacent, GSingle};
    use Form::{Data, Process, Realtime};
    use Model as M;
    let models: &[Model] = match anomaly {
        Anomaly::Cycle(G0, Data) => &[M::ReadUncommitted],
        Anomaly::Cycle(G0, Process) => &[M::SessionReadUncommitted],
        Anomaly::Cycle(G0, Realtime) => &[M::StrongReadUncommitted],
        Anomaly::Cycle(G1c, Data) => &[M::ReadCommitted],
        Anomaly::Cycle(G1c, Process) => &[M::SessionReadCommitted],
        Anomaly::Cycle(G1c, Realtime) => &[M::StrongReadCommitted],
        Anomaly::Cycle(GSingle, Data) => &[M::ConsistentView, M::RepeatableRead],
        Anomaly::Cycle(GNonadjacent, Data) => &[M::SnapshotIsolation, M::RepeatableRead],
        Anomaly::Cycle(GSingle | GNonadjacent, Process) => &[M::SessionSnapshotIsolation],
        Anomaly::Cycle(GSingle | GNonadjacent, Realtime) => &[M::StrongSnapshotIsolation],
        Anomaly::Cycle(G2, Data) => &[M::RepeatableRead],
        Anomaly::Cycle(G2, Process) => &[M::SessionSerializable],
        Anomaly::Cycle(G2, Realtime) => &[M::StrictSerializable],
        Anomaly::G1a | Anomaly::G1b => &[M::ReadCommitted],
        Anomaly::DirtyUpdate | Anomaly::IncompatibleOrder | Anomaly::FutureRead => {
            &[M::ReadCommitted]
        }
        Anomaly::Internal => &[M::ReadAtomic],
        Anomaly::LostUpdate => &[M::CursorStability, M::UpdateAtomic],
        Anomaly::DuplicateElements | Anomaly::CyclicVersions | Anomaly::GarbageRead => {
            &[M::ReadUncommitted]
        }
        Anomaly::View(View::Monotonic, Data) => &[M::MonotonicAtomicView],
        Anomaly::View(View::Monotonic, _) => &[M::SessionMonotonicAtomicView],
        Anomaly::View(View::Atomic, Data) => &[M::ReadAtomic],
        Anomaly::View(View::Atomic, _) => &[M::SessionReadAtomic],
        Anomaly::View(View::Causal, _) => &[M::SessionCausal],
    };
    models.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_come_after_all_they_imply() {
        for model in Model::ALL {
            assert!(model.weaker().iter().all(|weaker| weaker < model));
        }
    }

    #[test]
    fn read_uncommitted_is_the_weakest_and_strict_serializable_the_strongest() {
        for model in Model::ALL {
            assert!(model.implies(Model::ReadUncommitted));
            assert!(Model::StrictSerializable.implies(*model));
        }
        let all: Models = Model::ALL.iter().copied().collect();
        assert_eq!(all.weakest(), Model::ReadUncommitted.into());
        assert_eq!(all.strongest(), Model::StrictSerializable.into());
    }

    #[test]
    fn a_cycle_that_covers_another_violates_all_that_the_other_does() {
        for grave in Anomaly::all() {
            for other in Anomaly::all().filter(|other| grave.covers(*other)) {
                let more = violated_by(grave).with_stronger();
                let less = violated_by(other).with_stronger();
                assert_eq!(more.union(less), more, "{grave} covers {other}");
            }
        }
    }

    #[test]
    fn write_skew_violates_repeatable_read_but_not_snapshot_isolation() {
        let skew = Anomaly::Cycle(CycleKind::G2, Form::Data);
        assert!(Model::Serializable.forbids(skew));
        assert!(Model::RepeatableRead.forbids(skew));
        assert!(!Model::SnapshotIsolation.forbids(skew));
        assert!(!Model::ReadCommitted.forbids(skew));
    }

    #[test]
    fn names_lead_back_to_models_and_anomalies() {
        for model in Model::ALL {
            assert_eq!(Model::named(model.name()), Some(*model));
        }
        assert_eq!(
            Model::named("strong-serializable"),
            Some(Model::StrictSerializable)
        );
        assert_eq!(Model::named("eventual"), None);
        for anomaly in Anomaly::all() {
            assert_eq!(Anomaly::named(anomaly.name()), Some(anomaly));
        }
    }
}
