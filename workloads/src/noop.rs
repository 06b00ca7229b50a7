//! A client that does nothing, at once: what remains is the cost of the run loop itself.

use crate::client::{Client, Completion};
use crate::operation::Operation;

/// Completes every operation; reads see nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopClient;

impl Client for NoopClient {
    async fn invoke(&mut self, _operation: &Operation) -> Completion {
        // A real client waits for an answer here, and lets other processes run.
        tokio::task::yield_now().await;
        Completion::Done { seen: None }
    }
}
