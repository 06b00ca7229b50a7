//! What clients do: generators, load shapes and protocol clients.
//!
//! There are two kinds of workloads: [`documents`], and [`objects`] such as registers, sets and counters. A run has one of
//! them and one [`recorder`], which writes what goes through the [`sink`] into the history.
//!
//! With documents, a run has one [`documents::KeySpace`]. Each load stage is a [`load::LoadSpec`] that [`load::drive`]
//! carries out: it takes the key space's writers for as long as it lasts, gives each a [`client::Client`], and hands every
//! invocation to the recorder before the request is sent. [`documents::final_read`] reads back what the system kept.
//!
//! With objects, a run has one [`objects::Objects`], and each load stage is an [`objects::ObjectLoad`] for
//! [`objects::drive`]; [`objects::clients`] speak to databases, [`objects::kit`] tests them, and [`objects::FinalReads`] are
//! operations like any other.
//!
//! Nothing here judges what a system answers, and nothing that is offered depends on it.
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod documents;
pub mod duration;
mod http;
pub mod load;
pub mod noop;
pub mod objects;
pub mod operation;
pub mod recorder;
pub mod sink;
pub mod stop;
