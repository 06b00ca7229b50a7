//! Linearizability: is there one order of all operations, each at an instant between its call and its
//! return, that a data type permits?
//!
//! A [`History`] has operations with the moments of their calls and returns; a [`Model`] says what a
//! data type permits; [`check`] decides. An operation that never returned may have taken effect at any
//! time after its call, or never, and both are considered. [`check_keyed`] takes a history apart by key:
//! a history of independent objects is linearizable if and only if each object's part is (Herlihy and
//! Wing 1990; Horn and Kroening, "Faster linearizability checking via P-compositionality", 2015).
//!
//! | data type | distinct values | otherwise |
//! |---|---|---|
//! | [`models::Register`], reads and writes only | O(n log n) | search |
//! | [`models::AppendText`] | O(n log n) and linear in what was read | search |
//! | [`models::Set`] without reads of the whole | O(n) | by element, search |
//! | [`models::Bag`], [`models::FifoQueue`], [`models::Stack`] | O(n log n) | search |
//! | register with compare-and-set, multi-register, mutex, counter | search | search |
//!
//! The search is exponential at worst: in the number of operations in flight at one moment, and in the
//! number of different operations that never returned. Where an algorithm above leaves a case to the
//! search, its module says so.
//!
//! A violation comes with the shortest prefix of the history that is not linearizable, the operations
//! concerned and the configurations in which the last return cannot be explained; [`draw`] draws them.

mod appends;
mod bits;
mod check;
mod configurations;
mod cover;
mod covered;
mod drawing;
mod elements;
mod explanation;
mod extremes;
mod fifo;
mod found;
mod history;
mod keyed;
mod lifo;
mod limits;
mod lives;
mod model;
pub mod models;
mod narrow;
mod numbering;
mod plan;
mod search;
mod table;
mod unordered;
mod used;
mod zones;

pub use check::{Checked, Verdict, Violation, check, check_by_search};
pub use drawing::draw;
pub use explanation::{Concerned, Configuration, Explanation, explain};
pub use found::Final;
pub use history::{Called, History, HistoryBuilder, OPEN, Operation, OrderError};
pub use keyed::{CheckedKey, Keyed, check_keyed, check_single, overall};
pub use limits::{Limits, Progress, Reason};
pub use model::{Conflict, Model, Shortcut};
