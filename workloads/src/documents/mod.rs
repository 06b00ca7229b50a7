//! The documents workload: JSON documents with integer keys, one writer per key, versions without gaps.

pub mod final_read;
pub mod http;
mod keys;
mod lane;
mod mix;
mod payload;

pub use keys::{Actor, KeySpace, KeySpaceError};
pub use mix::Mix;
pub use payload::{Documents, PayloadRange, Unfit, document_id, parse_document_id};
