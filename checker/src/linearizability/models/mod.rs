//! The data types that come with the checker.

mod append_text;
mod collections;
mod counter;
mod multi_register;
mod mutex;
mod register;
mod set;

pub use append_text::{AppendText, TextOp};
pub use collections::{Bag, BagOp, FifoQueue, PutTake, QueueOp, Stack, StackOp};
pub use counter::{Counter, CounterOp};
pub use multi_register::{MultiRegister, TxnOp, TxnStep};
pub use mutex::{Mutex, MutexOp};
pub use register::{NIL, Register, RegisterOp};
pub use set::{Set, SetOp};
