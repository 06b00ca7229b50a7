//! Isolation of transactions over lists and registers: which consistency models a history violates.
//!
//! After K. Kingsbury and P. Alvaro, "Elle: inferring isolation anomalies from experimental
//! observations" (VLDB 2020), and A. Adya, "Weak consistency" (MIT 1999): what transactions read shows
//! in which order keys changed; that shows which transaction must come before which; a cycle of such
//! dependencies is an anomaly, and each class of cycles rules certain models out.
//!
//! Everything is linear in operations and elements read, but for what the module `cycles` states.

mod anomaly;
mod by_key;
mod cases;
mod check;
mod components;
mod cycle;
mod cycles;
mod dictionary;
mod drawing;
mod graph;
mod lists;
mod model;
mod order;
mod registers;
mod report;
mod stretches;
mod transactions;
mod words;
mod writers;

pub use anomaly::{Anomaly, CycleKind, Form, View};
pub use cases::{Case, Class};
pub use check::{check, check_until};
pub(crate) use components::Components;
pub use cycle::{Cycle, Step};
pub use dictionary::Dictionary;
pub use drawing::draw;
pub use graph::Edge;
pub(crate) use graph::{DATA, GraphBuilder};
pub use model::{Model, Models, violated_by};
pub use report::{Inference, Options, Report, Verdict};
pub use transactions::{
    Action, Builder, ListRead, NIL, NONE, Op, Outcome, Transactions, Txn, Workload,
};
pub use words::transaction as describe;
pub use writers::WrittenTwice;
