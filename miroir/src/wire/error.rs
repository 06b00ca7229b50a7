//! Errors as clients see them: Meilisearch's JSON form, and whether a failed write may have happened.

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::document::IdError;

/// Response header that says what became of a write that was not acknowledged.
pub(crate) const OUTCOME_HEADER: &str = "x-miroir-outcome";

/// Response header of a success that not all owners took part in: those missing, as `group/node`, separated by commas.
pub(crate) const DEGRADED_HEADER: &str = "x-miroir-degraded";
/// Seconds after which a refused request may be tried again.
const RETRY_AFTER: &str = "1";

/// What is known about a write that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No node applied it, and none ever will.
    None,
    /// Some node may have applied it, or may yet.
    Unknown,
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// One sentence for humans.
    pub(crate) message: String,
    /// Stable name.
    pub(crate) code: &'static str,
    /// For failed writes at the router.
    pub(crate) outcome: Option<Outcome>,
}

/// The body of an error answer, as Meilisearch writes it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    /// One sentence for humans.
    pub(crate) message: String,
    /// Stable name.
    pub(crate) code: String,
    /// `invalid_request`, `auth`, `internal` or `system`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Where to read more; empty here.
    #[serde(default)]
    pub(crate) link: String,
}

impl ApiError {
    /// An error with the given status, stable code and message.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            status,
            message: message.into(),
            code,
            outcome: None,
        }
    }

    /// 400.
    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 409.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 404.
    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 503.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// 429.
    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
    }

    /// 500.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Says what became of the write.
    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let kind = match self.status.as_u16() {
            401 | 403 => "auth",
            400..=499 => "invalid_request",
            503 => "system",
            _ => "internal",
        };
        let body = ErrorBody {
            message: self.message,
            code: self.code.to_owned(),
            kind: kind.to_owned(),
            link: String::new(),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        if matches!(self.status.as_u16(), 429 | 503) {
            response.headers_mut().insert(
                header::RETRY_AFTER,
                axum::http::HeaderValue::from_static(RETRY_AFTER),
            );
        }
        if let Some(outcome) = self.outcome {
            let value = match outcome {
                Outcome::None => "none",
                Outcome::Unknown => "unknown",
            };
            response
                .headers_mut()
                .insert(OUTCOME_HEADER, axum::http::HeaderValue::from_static(value));
        }
        response
    }
}

impl From<IdError> for ApiError {
    fn from(error: IdError) -> Self {
        let code = match error {
            IdError::Missing => "missing_document_id",
            IdError::Invalid(_) => "invalid_document_id",
        };
        ApiError::bad_request(code, error.to_string())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(error: BytesRejection) -> Self {
        let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            "payload_too_large"
        } else {
            "bad_request"
        };
        ApiError::new(error.status(), code, error.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(error: QueryRejection) -> Self {
        ApiError::bad_request("bad_request", error.body_text())
    }
}
