//! HTTP as clients need it: requests go out once, and what is certain about them is known.

mod wire;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

pub(crate) use wire::{Front, Request, Wire};

/// An answer whose status and headers were received.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, if it was read to its end and is JSON; else what is wrong.
    pub(crate) body: Result<Value, String>,
}

/// No answer came.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// Whether it is certain that nothing of the request was sent.
    pub(crate) unsent: bool,
    /// Why, short and without variable parts.
    pub(crate) reason: String,
}
