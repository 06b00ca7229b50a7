//! Requests to the router's admin API.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::Value;
use thiserror::Error;

use crate::peer::{HttpClient, Request};
use crate::router::address_of;
use crate::wire::auth::check_key;
use crate::wire::error::ErrorBody;

const SHORT: Duration = Duration::from_secs(10);
/// For requests that wait for work to be done.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CtlError {
    /// The URL is not understood.
    #[error("{0}")]
    Url(String),
    /// The router did not answer.
    #[error("the router cannot be reached: {0}")]
    Unreachable(String),
    /// The router refused.
    #[error("{code}: {message}")]
    Refused {
        /// Stable name.
        code: String,
        /// For humans.
        message: String,
    },
    /// What was waited for cannot come any more.
    #[error("{0}")]
    Failed(String),
    /// It did not come in time.
    #[error("timed out: {0}")]
    TimedOut(String),
}

impl CtlError {
    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            CtlError::Refused { .. } | CtlError::Failed(_) => 1,
            CtlError::Url(_) => 2,
            CtlError::Unreachable(_) => 3,
            CtlError::TimedOut(_) => 4,
        }
    }
}

/// A router.
pub(crate) struct Client(HttpClient);

impl Client {
    /// The router at a URL, which may want a key.
    pub(crate) fn new(url: &str, key: Option<&str>) -> Result<Self, CtlError> {
        check_key("--key", key).map_err(CtlError::Url)?;
        Ok(Client(HttpClient::with_key(
            address_of(url).map_err(CtlError::Url)?,
            key,
        )))
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CtlError> {
        self.request(Method::GET, path, &Value::Null, SHORT).await
    }

    /// POST.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, CtlError> {
        self.request(Method::POST, path, body, SHORT).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, CtlError> {
        self.request(Method::DELETE, path, &Value::Null, SHORT)
            .await
    }

    /// The given migration, or the current one.
    pub(crate) async fn id_or_current(&self, id: Option<u64>) -> Result<u64, CtlError> {
        if let Some(id) = id {
            return Ok(id);
        }
        let current = self.get("/_miroir/status").await?["migration"]["id"].as_u64();
        current.ok_or_else(|| CtlError::Refused {
            code: "migration_not_found".to_owned(),
            message: "there has been no migration".to_owned(),
        })
    }

    /// Any request; `null` is no body.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        timeout: Duration,
    ) -> Result<Value, CtlError> {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let answer = self
            .0
            .call(
                Request {
                    method,
                    path,
                    headers: &[],
                    body,
                },
                timeout,
            )
            .await;
        let answer = answer.map_err(|e| CtlError::Unreachable(e.to_string()))?;
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body)
                .map_err(|e| CtlError::Unreachable(e.to_string()));
        }
        Err(match serde_json::from_slice::<ErrorBody>(&answer.body) {
            Ok(error) => CtlError::Refused {
                code: error.code,
                message: error.message,
            },
            Err(_) => CtlError::Unreachable(format!("HTTP {}", answer.status)),
        })
    }
}
