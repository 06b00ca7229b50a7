//! What a history can be checked against, by name: one table of models, each with its checker.
//!
//! A new checker is a row of its kind's table: how to get from an opened [`Source`] and [`Options`] to an
//! [`Outcome`]. Command line, JSON, HTML and exit code follow from that.

mod invariant;
mod isolation;
mod linearizable;
mod outcome;
mod several;

use std::path::Path;
use std::time::Duration;

use crate::clock::{Clock, Tell};
use crate::import::{Format, Source, SourceError, Value};
use crate::isolation as iso;
use crate::verdict::Verdict;

use invariant::Make;

pub use invariant::Invariants;
pub use outcome::{Finding, Outcome};

/// A model, and what decides whether a history satisfies it.
#[derive(Clone, Copy)]
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Functions it knows, as they are spelt in histories.
    pub functions: &'static str,
    check: Check,
}

/// What decides.
#[derive(Clone, Copy)]
enum Check {
    Linearizable(fn(&Source, &Options, Clock) -> Result<Outcome, SourceError>),
    Invariant(Make),
    Isolation(iso::Model),
}

/// Models of single objects, which are to be linearizable.
pub static MODELS: &[Model] = &[
    Model {
        name: "register",
        about: "one value, or one for each key",
        functions: "read (get), write (put), delete, cas",
        check: Check::Linearizable(linearizable::register),
    },
    Model {
        name: "cas-register",
        about: "another name of register",
        functions: "read (get), write (put), delete, cas",
        check: Check::Linearizable(linearizable::register),
    },
    Model {
        name: "map",
        about: "another name of register",
        functions: "read (get), write (put), delete, cas",
        check: Check::Linearizable(linearizable::register),
    },
    Model {
        name: "multi-register",
        about: "several registers read and written at one instant",
        functions: "any, with values like [[:read x 1] [:write y 2]]",
        check: Check::Linearizable(linearizable::multi_register),
    },
    Model {
        name: "mutex",
        about: "a lock",
        functions: "acquire (lock), release (unlock)",
        check: Check::Linearizable(linearizable::mutex),
    },
    Model {
        name: "counter",
        about: "a number that is added to",
        functions: "add, read",
        check: Check::Linearizable(linearizable::counter),
    },
    Model {
        name: "set",
        about: "a set of values",
        functions: "add, remove (delete), contains, read",
        check: Check::Linearizable(linearizable::set),
    },
    Model {
        name: "queue",
        about: "a queue that promises no order",
        functions: "enqueue (put, push), dequeue (take, pop)",
        check: Check::Linearizable(linearizable::queue),
    },
    Model {
        name: "fifo-queue",
        about: "a queue: first in, first out",
        functions: "enqueue (put, push), dequeue (take, pop)",
        check: Check::Linearizable(linearizable::fifo_queue),
    },
    Model {
        name: "stack",
        about: "a stack: last in, first out",
        functions: "push (put, enqueue), pop (take, dequeue)",
        check: Check::Linearizable(linearizable::stack),
    },
    Model {
        name: "append-text",
        about: "a text for each key, replaced, appended to and read as a whole",
        functions: "get, put, append",
        check: Check::Linearizable(linearizable::append_text),
    },
];

/// Every model: linearizable objects, invariants, isolation.
pub fn all() -> impl Iterator<Item = &'static Model> {
    let invariants = invariant::MODELS.iter();
    MODELS.iter().chain(invariants).chain(&isolation::MODELS)
}

/// The model of a name, or of another name of it.
pub fn find(name: &str) -> Option<&'static Model> {
    let other = iso::Model::named(name).map(iso::Model::name);
    all().find(|model| model.name == name || Some(model.name) == other)
}

/// How to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory that the history and the tables of a search may take, in bytes; past it the verdict is
    /// unknown. Operations and their order take about half as much again beside it.
    pub memory_bytes: usize,
    /// Time that reading and checking may take. What was read in half of it is checked in the rest, unless
    /// it is checked while it is read; what is not wrong by then is unknown.
    pub time: Option<Duration>,
    /// Is told how far the check has come, often.
    pub tell: Option<Tell>,
    /// Threads that check objects side by side.
    pub threads: usize,
    /// What a register holds at first, if the history does not say.
    pub initial: Option<Value>,
    /// What transactions work on, if that is not to be found out.
    pub workload: Option<iso::Workload>,
    /// How the order of versions of transactions' registers is inferred.
    pub versions: iso::Inference,
    /// Anomalies of transactions that must not occur, whatever the model allows.
    pub forbidden: Vec<iso::Anomaly>,
    /// What the invariants need to know.
    pub invariants: Invariants,
}

impl Default for Options {
    /// 2 GiB, no time limit, one thread.
    fn default() -> Self {
        Options {
            memory_bytes: 2 << 30,
            time: None,
            tell: None,
            threads: 1,
            initial: None,
            workload: None,
            versions: iso::Inference::default(),
            forbidden: Vec::new(),
            invariants: Invariants::default(),
        }
    }
}

impl Model {
    /// Other names that [`find`] knows it by.
    pub fn other_names(&self) -> impl Iterator<Item = &'static str> {
        let isolation = iso::Model::named(self.name);
        isolation.into_iter().flat_map(iso::Model::other_names)
    }

    /// Checks the history in a file; `format` says what it is, if that is not to be found out.
    ///
    /// A history that takes more memory than it may is `unknown`; one that cannot be read is an error.
    pub fn check_file(
        &self,
        path: &Path,
        format: Option<Format>,
        options: &Options,
    ) -> Result<Outcome, SourceError> {
        check_file(&[self], path, format, options)
    }

    /// Checks an opened history.
    pub fn check(&self, source: &Source, options: &Options) -> Result<Outcome, SourceError> {
        check(&[self], source, options)
    }
}

/// Checks the history in a file against all of these models; see [`Model::check_file`].
///
/// The verdict is the worst: `unknown` for one model hides no violation of another. Invariants share one
/// pass over the history.
pub fn check_file(
    models: &[&Model],
    path: &Path,
    format: Option<Format>,
    options: &Options,
) -> Result<Outcome, SourceError> {
    let clock = Clock::start(options.time, options.tell);
    let checked = Source::open(path, format, options.memory_bytes, clock.for_reading())
        .and_then(|source| several::check(models, &source, options, clock));
    let error = match checked {
        Err(error @ SourceError::Memory { .. }) => error,
        checked => return checked,
    };
    Ok(Outcome {
        verdict: Verdict::Unknown,
        reason: error.to_string(),
        ..Outcome::default()
    })
}

/// Checks an opened history against all of these models.
pub fn check(
    models: &[&Model],
    source: &Source,
    options: &Options,
) -> Result<Outcome, SourceError> {
    let clock = Clock::start(options.time, options.tell);
    several::check(models, source, options, clock)
}

/// Checks the history in a file or directory against all of these models, and tells the outcome of each.
///
/// A model that cannot judge it is `unknown`, with the reason, and costs the others nothing. Memory is for one
/// model at a time, time for all together.
pub fn check_each(models: &[&Model], path: &Path, options: &Options) -> Vec<Outcome> {
    let clock = Clock::start(options.time, options.tell);
    match Source::open(path, None, options.memory_bytes, clock.for_reading()) {
        Ok(source) => several::each(models, &source, options, clock),
        Err(error) => vec![several::undecided(&error); models.len()],
    }
}

#[cfg(test)]
mod tests;
