//! Metrics in Prometheus' text format.

mod node;
mod router;

pub(crate) use node::{Levels, NodeMetrics};
pub(crate) use router::{RouterMetrics, routes};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::wire::error::ApiError;

/// Upper bounds of the histograms' buckets, in seconds: 0.25 ms to 16 s.
const SECONDS: [f64; 17] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0,
    2.0, 4.0, 8.0, 16.0,
];

/// Labels of one metric.
type Labels = Vec<(String, String)>;

fn label(name: &str, value: &str) -> Labels {
    vec![(name.to_owned(), value.to_owned())]
}

/// Brings a counter up to a sum that is kept elsewhere.
fn catch_up(counter: &Counter, sum: u64) {
    counter.inc_by(sum.saturating_sub(counter.get()));
}

fn answer(registry: &Registry) -> Response {
    let mut text = String::new();
    if encode(&mut text, registry).is_err() {
        return ApiError::internal("the metrics cannot be written").into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
