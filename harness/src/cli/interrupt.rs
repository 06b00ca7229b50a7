//! Signals that end a run: the first asks it to stop, the second stops it at once.

use std::time::Duration;

use shakedown_workloads::stop::Stopper;
use tokio::signal::unix::{SignalKind, signal};

use super::ground::own_cluster_name;
use crate::cluster::{self, ClusterError};

/// Signals within this time of the first are the same wish.
const SAME_PRESS: Duration = Duration::from_millis(500);

/// Waits for signals, and does what they ask for.
pub(super) async fn stop_on_signal(stopper: Stopper) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        eprintln!("warning: cannot listen for signals; Ctrl-C will end the run without a report");
        return std::future::pending().await;
    };
    let mut signalled = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    signalled().await;
    eprintln!(
        "\ninterrupted: healing, reading back and checking what there is (again: stop at once)"
    );
    stopper.stop();
    // One key press can arrive as two signals, from the terminal and from a parent process.
    let first = tokio::time::Instant::now();
    loop {
        signalled().await;
        if first.elapsed() >= SAME_PRESS {
            break;
        }
    }
    // Faults on nodes that stay are undone when the lease runs out.
    let taken_down = tokio::task::spawn_blocking(|| cluster::down(&own_cluster_name())).await;
    if let Ok(Err(error)) = taken_down
        && !matches!(error, ClusterError::NotFound(_))
    {
        eprintln!("warning: {error}");
    }
    std::process::exit(130);
}
