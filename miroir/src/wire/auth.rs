//! Bearer keys: who may speak to a node, to the data API, to the admin API.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use subtle::ConstantTimeEq as _;

use super::error::ApiError;

/// Open to everybody, so that supervisors need no key.
const OPEN: &str = "/health";

/// The routes, all but `/health` with that key only; without a key they stay open.
pub(crate) fn guarded(routes: Router, key: Option<&str>) -> Router {
    let Some(key) = key else { return routes };
    let expected: Arc<str> = Arc::from(format!("Bearer {key}"));
    routes.route_layer(from_fn(move |request: Request, next: Next| {
        let expected = Arc::clone(&expected);
        async move {
            let open = request.uri().path() == OPEN;
            match check(request.headers(), &expected) {
                Err(error) if !open => error.into_response(),
                _ => next.run(request).await,
            }
        }
    }))
}

/// Compares in time that depends on the lengths only.
fn check(headers: &HeaderMap, expected: &str) -> Result<(), ApiError> {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "missing_authorization_header",
            "the Authorization header is missing: `Bearer KEY` is expected",
        ));
    };
    if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
        Ok(())
    } else {
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "invalid_api_key",
            "the provided API key is invalid",
        ))
    }
}

/// Refuses keys that cannot stand in a header.
pub(crate) fn check_key(name: &str, key: Option<&str>) -> Result<(), String> {
    let fits = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
    match key {
        Some(key) if !fits(key) => Err(format!(
            "{name} must consist of printable ASCII characters without spaces"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_key_is_let_in() {
        let status = |given: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(given) = given {
                headers.insert(header::AUTHORIZATION, given.parse().unwrap());
            }
            check(&headers, "Bearer secret").map_err(|e| e.status.as_u16())
        };
        assert_eq!(status(Some("Bearer secret")), Ok(()));
        assert_eq!(status(None), Err(401));
        for wrong in [
            "Bearer secre",
            "Bearer secret ",
            "secret",
            "Basic secret",
            "",
        ] {
            assert_eq!(status(Some(wrong)), Err(403), "{wrong}");
        }
    }

    #[test]
    fn keys_that_cannot_be_sent_are_refused() {
        assert!(check_key("data_key", None).is_ok() && check_key("data_key", Some("a1-b")).is_ok());
        for bad in ["", "a b", "schl\u{fc}ssel", "a\n"] {
            assert!(check_key("data_key", Some(bad)).is_err(), "{bad:?}");
        }
    }
}
