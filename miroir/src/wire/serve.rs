//! Serving HTTP: socket options, body limit, graceful end on SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::serve::ListenerExt as _;
use serde_json::json;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::log;

/// What requests may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Largest request body, in bytes; larger ones are answered with 413.
    pub(crate) max_body_bytes: usize,
    /// How long open requests may go on after a signal to end.
    pub(crate) grace: Duration,
}

/// Serves until SIGTERM or SIGINT, calls `stopping`, and lets open requests finish.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    stopping: impl FnOnce(),
) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("reading the listening address")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let wait = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
        // An error means the sender is gone, which is an end as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let listener = listener.tap_io(|stream| {
        let socket = SockRef::from(&*stream);
        // A peer that was reset by a firewall says nothing: probe it, or its connection stays for ever.
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(3))
            .with_interval(Duration::from_secs(1))
            .with_retries(3);
        let _ = socket.set_tcp_keepalive(&keepalive);
        let _ = socket.set_tcp_nodelay(true);
    });
    let app = app.layer(DefaultBodyLimit::max(limits.max_body_bytes));
    let server = axum::serve(listener, app).with_graceful_shutdown(wait(stopped.clone()));
    let server = tokio::spawn(async move { server.await });
    log::event(
        "listening",
        &[
            ("address", json!(address.to_string())),
            ("pid", json!(std::process::id())),
        ],
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    log::event("stopping", &[]);
    stopping();
    stop.send_replace(true);
    match tokio::time::timeout(limits.grace, server).await {
        Ok(joined) => joined
            .context("the server ended abnormally")?
            .context("serving HTTP"),
        Err(_) => {
            log::warn("open requests were cut off at the end");
            Ok(())
        }
    }
}

/// Binds a listener.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Raises the soft limit of open files to the hard limit: each client and each peer takes one.
pub(crate) fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Failing leaves the limit as it was, which is enough for small clusters.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
