//! When a process may send its next request.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::RunClock;
use crate::stop::StopSignal;

/// The turns of one process.
#[derive(Debug)]
pub(super) enum Turns {
    /// At once, until the deadline (nanoseconds since the start of the run).
    BackToBack { deadline_ns: Option<u64> },
    /// By the pacer's clock.
    Paced(UnboundedReceiver<u64>),
}

/// A request may be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// When it was meant to be, in an open loop.
    pub(super) intended_ns: Option<u64>,
}

impl Turns {
    /// Waits for the next turn; `None` when there is none, or the stage was stopped.
    pub(super) async fn next(&mut self, clock: RunClock, stop: &mut StopSignal) -> Option<Turn> {
        if stop.is_stopped() {
            return None;
        }
        match self {
            Turns::BackToBack { deadline_ns } => {
                let over = deadline_ns.is_some_and(|deadline| clock.now_ns() >= deadline);
                (!over).then_some(Turn { intended_ns: None })
            }
            Turns::Paced(receiver) => tokio::select! {
                biased;
                () = stop.stopped() => None,
                intended = receiver.recv() => intended.map(|ns| Turn {
                    intended_ns: Some(ns),
                }),
            },
        }
    }
}
