//! How a load stage is told to end: no new requests, those under way are finished.

use tokio::sync::watch;

/// Ends whatever holds the matching [`StopSignal`]. Dropping it without a word ends nothing.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Tells whether the matching [`Stopper`] was used.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<bool>);

/// A stopper and its signal.
pub fn stop_pair() -> (Stopper, StopSignal) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), StopSignal(receiver))
}

impl Stopper {
    /// Sets the signal, for good.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Another signal of this stopper.
    pub fn signal(&self) -> StopSignal {
        StopSignal(self.0.subscribe())
    }
}

impl StopSignal {
    /// Whether the signal is set.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the signal is set; for ever if it never is.
    pub async fn stopped(&mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
