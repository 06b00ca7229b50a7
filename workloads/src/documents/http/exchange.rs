//! One request and all that came back, with what is certain about it.

use std::error::Error;
use std::io;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer whose status and headers were received.
#[derive(Debug)]
pub(in crate::documents) struct Answer {
    /// Its status.
    pub(in crate::documents) status: StatusCode,
    /// Its headers.
    pub(in crate::documents) headers: HeaderMap,
    /// Its body, if it was read to its end and is JSON; else what is wrong.
    pub(in crate::documents) body: Result<Value, String>,
}

/// No answer came.
#[derive(Debug)]
pub(in crate::documents) struct Unanswered {
    /// Whether it is certain that nothing of the request was sent.
    pub(in crate::documents) unsent: bool,
    /// Why, short and without variable parts.
    pub(in crate::documents) reason: String,
}

/// Sends the request once.
pub(in crate::documents) async fn exchange(
    request: reqwest::RequestBuilder,
) -> Result<Answer, Unanswered> {
    let response = request.send().await.map_err(|error| {
        let reason = describe(&error, "connection closed before the answer");
        // No connection was made, so there was nothing to send the request over.
        let unsent = error.is_connect();
        Unanswered {
            reason: if unsent {
                format!("connect: {reason}")
            } else {
                reason
            },
            unsent,
        }
    })?;
    let status = response.status();
    let headers = response.headers().clone();
    let body = match response.bytes().await {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|_| "the answer is not JSON".to_owned())
        }
        Err(error) => Err(describe(&error, "the answer was cut short")),
    };
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// The operating system's reason, if it gave one, or that time ran out, or `otherwise`.
fn describe(error: &reqwest::Error, otherwise: &str) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<io::Error>()
            && cause.raw_os_error().is_some()
        {
            return cause.kind().to_string();
        }
        source = cause.source();
    }
    otherwise.to_owned()
}
