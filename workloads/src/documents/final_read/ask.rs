//! A request of a final read: repeated, within bounds, while what goes wrong may pass.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::FinalReader;
use crate::documents::http::{Answer, HttpConfigError, Unanswered, exchange, says_no_index};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It never answered as it should.
    #[error("{request}: {reason} ({attempts} attempts)")]
    Request {
        /// Method and URL.
        request: String,
        /// What came of the last attempt.
        reason: String,
        /// Attempts made.
        attempts: u32,
    },
    /// Its answer is not of the form it should be.
    #[error("{request}: {reason}")]
    Form {
        /// Method and URL.
        request: String,
        /// What is wrong.
        reason: String,
    },
    /// Documents came and went while it was listed.
    #[error("documents changed while they were being listed: {reason} ({attempts} attempts)")]
    Moving {
        /// By what it was noticed.
        reason: String,
        /// Attempts made.
        attempts: u32,
    },
    /// Its URL makes no sense.
    #[error(transparent)]
    Url(#[from] HttpConfigError),
}

/// What one attempt came to.
enum Attempt {
    Body(Value),
    /// The index does not exist, so nothing is in it.
    NoIndex,
    Failed {
        reason: String,
        /// It may be otherwise next time.
        passing: bool,
    },
}

impl FinalReader {
    /// The JSON a request (named `name` in errors) is answered with; `None` if the index does not
    /// exist.
    pub(super) async fn ask(
        &self,
        name: &str,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Option<Value>, ReadError> {
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let sent = request(&self.http).timeout(self.timeout);
            match Attempt::of(exchange(sent).await) {
                Attempt::Body(body) => return Ok(Some(body)),
                Attempt::NoIndex => return Ok(None),
                Attempt::Failed { reason, passing } if !passing || attempts >= self.attempts => {
                    return Err(ReadError::Request {
                        request: name.to_owned(),
                        reason,
                        attempts,
                    });
                }
                Attempt::Failed { .. } => {}
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

impl Attempt {
    fn of(answer: Result<Answer, Unanswered>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(Unanswered { reason, .. }) => {
                return Attempt::Failed {
                    reason,
                    passing: true,
                };
            }
        };
        let status = answer.status;
        if says_no_index(&answer) {
            return Attempt::NoIndex;
        }
        if !status.is_success() {
            let wait = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
            return Attempt::Failed {
                reason: format!("http {}", status.as_u16()),
                passing: status.is_server_error() || wait.contains(&status),
            };
        }
        match answer.body {
            Ok(body) => Attempt::Body(body),
            Err(reason) => Attempt::Failed {
                reason,
                passing: true,
            },
        }
    }
}
