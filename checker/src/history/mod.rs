//! The record of a run: events in the order they were recorded, and what final reads saw.
//!
//! On disk a history is a directory of segments (`000001.arrows`, `000002.arrows`, ...) and the final
//! read of a checkpoint is one file. Both are Arrow IPC *streams*, which pyarrow, polars and DuckDB
//! (through pyarrow) open as they are: each record batch is complete in itself, so whatever was
//! flushed before the harness died is readable. Arrow streams carry no checksums: damage to the
//! structure is noticed, a flipped bit inside a number is not.

mod batch;
mod columns;
mod error;
mod event;
mod json_lines;
mod layout;
mod observation;
mod observation_batch;
mod observation_file;
mod reader;
mod segment;
mod writer;

pub use batch::{EventBatch, EventRow};
pub use columns::FORMAT;
pub use error::HistoryError;
pub use event::{Event, EventKind, Process, WindowMark};
pub use json_lines::{export_json_lines, import_json_lines};
pub use observation::{Observation, Placement, Seen};
pub use observation_batch::{ObservationBatch, ObservationRow, SeenRow};
pub use observation_file::{ObservationReader, ObservationWriter};
pub use reader::HistoryReader;
pub use writer::HistoryWriter;

#[cfg(test)]
mod tests;
