//! The catalogue of faults: what there is to say of each kind in tables, once. Pages of documentation take their
//! tables from here, and bounds come from the constants that faults are checked with.

mod connections;
mod disks;
mod operations;
mod packets;
mod processes;
mod tables;
mod words;

pub use tables::{TablesError, with_tables};

/// A kind of fault.
#[derive(Debug)]
pub struct Kind {
    /// As scenario files spell it.
    pub name: &'static str,
    /// What is struck.
    pub strikes: &'static str,
    /// What happens to it.
    pub happens: &'static str,
    /// By what.
    pub mechanism: &'static str,
    /// What a node needs for it.
    pub needs: &'static str,
    /// How it is undone.
    pub undone: &'static str,
    /// What `shakedown doctor` calls it: more than one name where forms of it need different things.
    pub doctor: &'static [&'static str],
    /// Its parameters.
    pub keys: Vec<Key>,
}

/// A parameter.
#[derive(Debug)]
pub struct Key {
    /// As scenario files spell it.
    pub name: &'static str,
    /// Its type with its bounds.
    pub of: String,
    /// What holds without it.
    pub default: String,
    /// What it says.
    pub meaning: &'static str,
}

fn key(
    name: &'static str,
    of: impl Into<String>,
    default: impl Into<String>,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        of: of.into(),
        default: default.into(),
        meaning,
    }
}

/// Where it strikes, on whatever is there.
fn nodes() -> Key {
    key("nodes", "names", "required", "where")
}

/// What it strikes there.
fn service() -> Key {
    key(
        "service",
        "string",
        "required",
        "a service of the system file",
    )
}

/// What an item of a scenario has beside its fault.
fn item_keys() -> Vec<Key> {
    vec![
        key(
            "name",
            "string",
            "required",
            "unique; a window of this name breaks down losses",
        ),
        key("when", "trigger", "required", "when it strikes"),
        key(
            "until",
            "trigger",
            "none",
            "when it is undone; not together with `for`",
        ),
        key(
            "for",
            "duration",
            "none",
            "how long it lasts, counted from when it took effect",
        ),
    ]
}

/// What a fault in a storm has beside it.
fn storm_keys() -> Vec<Key> {
    vec![key(
        "weight",
        "integer, at least 1",
        "`1`",
        "how often it is drawn, against the others",
    )]
}

/// Every kind, by what it strikes.
pub fn kinds() -> Vec<Kind> {
    vec![
        packets::partition(),
        packets::split(),
        packets::delay(),
        packets::shape(),
        connections::reset(),
        connections::block(),
        connections::stream(),
        connections::dns(),
        processes::kill(),
        processes::pause(),
        processes::crash_loop(),
        processes::clock(),
        processes::host_clock(),
        disks::power_loss(),
        disks::disk_full(),
        disks::inodes_full(),
        disks::io(),
        disks::corrupt(),
        processes::cpu(),
        processes::memory(),
        processes::limit(),
        operations::operation(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shakedown_nemesis::agent::fault_names;

    use super::kinds;
    use crate::scenario::FaultParameters;

    #[test]
    fn every_kind_that_a_scenario_can_have_is_in_the_catalogue_once() {
        let kinds = kinds();
        let names: BTreeSet<&str> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names, FaultParameters::KINDS.into());
        assert_eq!(names.len(), kinds.len());
    }

    #[test]
    fn whatever_the_doctor_tries_is_needed_by_the_kind_of_its_name_and_no_other() {
        let mut tried: BTreeSet<&str> = fault_names().collect();
        for kind in kinds() {
            for fault in kind.doctor {
                let of = fault.split(' ').next();
                assert_eq!(of, Some(kind.name));
                assert!(tried.remove(fault), "the doctor does not try `{fault}`");
            }
        }
        assert_eq!(tried, BTreeSet::new());
    }
}
