//! What clients do: generators, load shapes and protocol clients.
//!
//! A run has one [`documents::KeySpace`] and one [`recorder`]. Each load stage is a
//! [`load::LoadSpec`] that [`load::drive`] carries out: it takes the key space's writers for as long
//! as it lasts, gives each a [`client::Client`], and hands every invocation to the recorder before
//! the request is sent. [`documents::final_read`] reads back what the system kept.
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
