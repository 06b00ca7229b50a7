//! What is refused before a request's body is read: too many bytes at once, and anything at a router that was replaced.

use std::sync::Arc;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use tokio::sync::Semaphore;

use super::cluster::Cluster;
use crate::wire::error::{ApiError, Outcome};

/// What a router that was replaced still answers: how it is.
const OPEN: [&str; 4] = ["/health", "/_miroir/health", "/_miroir/status", "/metrics"];

/// Bytes per permit, so that sizes fit a semaphore.
const UNIT: u64 = 1024;

/// Refuses operators' requests when a newer router has taken over.
pub(crate) fn unless_superseded(routes: Router, cluster: Arc<Cluster>) -> Router {
    routes.route_layer(from_fn(move |request: Request, next: Next| {
        let cluster = Arc::clone(&cluster);
        async move {
            let open = OPEN.contains(&request.uri().path());
            match cluster.check_not_superseded() {
                Err(error) if !open => error.into_response(),
                _ => next.run(request).await,
            }
        }
    }))
}

/// Bounds the bodies that are read and worked on at the same time, in bytes; more are refused.
pub(crate) fn bounded(routes: Router, max_bytes: usize, max_body_bytes: usize) -> Router {
    let units = |bytes: u64| u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
    let free = Arc::new(Semaphore::new(units(max_bytes as u64) as usize));
    routes.route_layer(from_fn(move |request: Request, next: Next| {
        let free = Arc::clone(&free);
        async move {
            // Without a length it could be as long as any.
            let size = request.body().size_hint();
            let bytes = size.upper().unwrap_or(max_body_bytes as u64);
            // Longer ones are refused by their length anyway.
            let bytes = bytes.min(max_body_bytes as u64);
            match free.try_acquire_many_owned(units(bytes)) {
                Ok(_held) => next.run(request).await,
                Err(_) => ApiError::too_many("too many bytes are being written")
                    .with_outcome(Outcome::None)
                    .into_response(),
            }
        }
    }))
}
