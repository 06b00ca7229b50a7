//! One request of the final reads.

use std::error::Error;
use std::io;

use crate::http::{Answer, Unanswered};

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
