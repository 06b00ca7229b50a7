//! The thread that writes the history.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use shakedown_checker::history::{HistoryError, HistoryWriter};

use crate::sink::EventSink;

/// Longest time an event stays in memory; what a killed harness can lose.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// Why the history is not complete.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// It could not be written. `lost` events were taken before that was known and are not in it,
    /// or only in part.
    #[error("the history could not be written, {lost} events are lost")]
    Write {
        /// What the writer says.
        #[source]
        source: HistoryError,
        /// Events taken but not written.
        lost: u64,
    },
    /// It could not be marked as complete; all events are in it.
    #[error("the history could not be closed")]
    Close(#[source] HistoryError),
    /// The thread could not be started.
    #[error("could not start the recorder thread")]
    Thread(#[source] std::io::Error),
}

/// Starts recorders.
#[derive(Debug)]
pub struct Recorder;

/// A recorder at work; dropping it finishes the history without telling of errors.
#[derive(Debug)]
pub struct RecorderHandle {
    sink: EventSink,
    thread: Option<JoinHandle<Result<(), RecorderError>>>,
}

impl Recorder {
    /// Creates a history in `dir` and starts the thread that writes what the sink is given, at
    /// least every half second.
    ///
    /// When a write fails the sink takes no more events, so that the load stops; the reason is
    /// what [`RecorderHandle::finish`] returns.
    ///
    /// # Errors
    /// If the history cannot be created (then `lost` is 0), or the thread not be started.
    pub fn spawn(
        dir: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(EventSink, RecorderHandle), RecorderError> {
        let writer = HistoryWriter::create(dir, metadata)
            .map_err(|source| RecorderError::Write { source, lost: 0 })?;
        let sink = EventSink::new();
        let events = sink.clone();
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write(writer, &events))
            .map_err(RecorderError::Thread)?;
        let handle = RecorderHandle {
            sink: sink.clone(),
            thread: Some(thread),
        };
        Ok((sink, handle))
    }
}

impl RecorderHandle {
    /// Refuses further events, writes those taken and marks the history as complete.
    ///
    /// # Errors
    /// If anything recorded is not in the history.
    ///
    /// # Panics
    /// If the writer panicked.
    pub fn finish(mut self) -> Result<(), RecorderError> {
        self.sink.close();
        let thread = self.thread.take().expect("only finish and drop take it");
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for RecorderHandle {
    fn drop(&mut self) {
        self.sink.close();
        if let Some(thread) = self.thread.take() {
            // Only an unwinding harness comes here; it has an error of its own to tell.
            let _ = thread.join();
        }
    }
}

fn write(mut writer: HistoryWriter, sink: &EventSink) -> Result<(), RecorderError> {
    // Also when the writer panics: a load must not wait for ever on a full buffer.
    let _close = CloseOnExit(sink);
    let mut events = Vec::new();
    loop {
        let last = sink.take(&mut events, FLUSH_INTERVAL);
        if let Err(source) = writer.append_all(&events).and_then(|()| writer.flush()) {
            sink.close();
            let mut lost = events.len();
            events.clear();
            sink.take(&mut events, Duration::ZERO);
            lost += events.len();
            return Err(RecorderError::Write {
                source,
                lost: lost as u64,
            });
        }
        events.clear();
        if last {
            return writer.finish().map_err(RecorderError::Close);
        }
    }
}

struct CloseOnExit<'a>(&'a EventSink);

impl Drop for CloseOnExit<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
