//! Where events are handed over on their way into the history, from any thread or task.
//!
//! A buffer behind a mutex, not a channel: closing it and refusing what comes later is one step,
//! so an event is either accepted and written, or refused to the face of who recorded it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shakedown_checker::history::{Event, EventKind};

/// Buffered events at which the recorder is woken before its interval has passed.
pub(crate) const WAKE_AT: usize = 1 << 16;
/// Buffered events at which recording waits for the recorder.
const FULL_AT: usize = 4 * WAKE_AT;
/// How long recording waits before it looks again whether there is room.
const ROOM_WAIT: Duration = Duration::from_millis(1);

/// The history takes no more events: it was finished, or could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the history takes no more events: its recorder has ended")]
pub struct RecorderStopped;

/// Completed client operations so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Certainly happened.
    pub ok: u64,
    /// Certainly did not happen.
    pub failed: u64,
    /// May have happened.
    pub indeterminate: u64,
}

impl Totals {
    /// All of them.
    pub fn completed(&self) -> u64 {
        self.ok + self.failed + self.indeterminate
    }
}

/// Hands events to the recorder and numbers operations; clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct EventSink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    wake: Condvar,
    next_op: AtomicU64,
    ok: AtomicU64,
    failed: AtomicU64,
    indeterminate: AtomicU64,
}

#[derive(Debug, Default)]
struct Buffer {
    events: Vec<Event>,
    closed: bool,
}

impl EventSink {
    pub(crate) fn new() -> Self {
        EventSink(Arc::default())
    }

    /// Reserves `count` operation numbers that follow each other and returns the first.
    pub fn next_ops(&self, count: u64) -> u64 {
        self.0.next_op.fetch_add(count, Ordering::Relaxed)
    }

    /// Hands over events, kept together and in order; waits while the recorder is far behind.
    ///
    /// # Errors
    /// If the recorder has ended: then none of the events is in the history.
    pub async fn record<E>(&self, events: E) -> Result<(), RecorderStopped>
    where
        E: IntoIterator<Item = Event>,
    {
        while self.is_full()? {
            tokio::time::sleep(ROOM_WAIT).await;
        }
        self.push(events)
    }

    /// As [`EventSink::record`], for threads: waits by sleeping.
    ///
    /// # Errors
    /// If the recorder has ended: then none of the events is in the history.
    pub fn record_blocking<E>(&self, events: E) -> Result<(), RecorderStopped>
    where
        E: IntoIterator<Item = Event>,
    {
        while self.is_full()? {
            std::thread::sleep(ROOM_WAIT);
        }
        self.push(events)
    }

    /// Client operations completed so far, for progress and for triggers.
    pub fn totals(&self) -> Totals {
        Totals {
            ok: self.0.ok.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            indeterminate: self.0.indeterminate.load(Ordering::Relaxed),
        }
    }

    /// Waits until enough is buffered, `interval` has passed or the sink is closed, and swaps the
    /// events for the empty `into`. Returns whether the sink is closed: then nothing follows.
    pub(crate) fn take(&self, into: &mut Vec<Event>, interval: Duration) -> bool {
        let waited = self.0.wake.wait_timeout_while(self.lock(), interval, |b| {
            !b.closed && b.events.len() < WAKE_AT
        });
        let (mut buffer, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut buffer.events, into);
        buffer.closed
    }

    /// Refuses all further events; what is buffered can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.0.wake.notify_one();
    }

    fn is_full(&self) -> Result<bool, RecorderStopped> {
        let buffer = self.lock();
        if buffer.closed {
            return Err(RecorderStopped);
        }
        Ok(buffer.events.len() >= FULL_AT)
    }

    fn push(&self, events: impl IntoIterator<Item = Event>) -> Result<(), RecorderStopped> {
        let mut completed = Totals::default();
        let mut buffer = self.lock();
        if buffer.closed {
            return Err(RecorderStopped);
        }
        let before = buffer.events.len();
        buffer.events.extend(events.into_iter().inspect(|event| {
            if event.process.is_client() {
                match event.kind {
                    EventKind::Invoke => {}
                    EventKind::Ok => completed.ok += 1,
                    EventKind::Fail => completed.failed += 1,
                    EventKind::Info => completed.indeterminate += 1,
                }
            }
        }));
        let wake = before < WAKE_AT && buffer.events.len() >= WAKE_AT;
        drop(buffer);
        if wake {
            self.0.wake.notify_one();
        }
        for (total, count) in [
            (&self.0.ok, completed.ok),
            (&self.0.failed, completed.failed),
            (&self.0.indeterminate, completed.indeterminate),
        ] {
            if count > 0 {
                total.fetch_add(count, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// A panic elsewhere cannot leave the buffer half changed: each change is one call.
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
