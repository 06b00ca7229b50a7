//! Where and how to speak to a system under test.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::duration::HumanDuration;

/// Configuration of the `documents-http` protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Base URLs (`http://10.0.0.1:7700`); processes are dealt round them.
    pub urls: Vec<String>,
    /// Name of the index: letters, digits, `-` and `_`.
    #[serde(default = "default_index")]
    pub index: String,
    /// Longest time for an operation, waiting for its task included.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// Longest time for a connection to be made. If it passes, the operation has certainly failed,
    /// so it ought to be less than `timeout`.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: HumanDuration,
    /// Response header by which the system says what became of a write that it answers with an
    /// error; the value `none` means certainly not applied, any other that it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_header: Option<String>,
    /// Sent with each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Sent with each request as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
}

/// Why a configuration makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum HttpConfigError {
    /// No URL at all.
    #[error("expected at least one base URL")]
    NoUrl,
    /// Not an `http` URL.
    #[error("{url:?} is not a base URL: expected something like \"http://10.0.0.1:7700\"")]
    Url {
        /// As given.
        url: String,
    },
    /// Not an index name.
    #[error("{index:?} is not an index name: expected letters, digits, `-` and `_`")]
    Index {
        /// As given.
        index: String,
    },
    /// Cannot be sent as a header.
    #[error("{name:?} is not a header, or its value cannot be sent")]
    Header {
        /// The header's name.
        name: String,
    },
    /// The HTTP library could not be set up.
    #[error("could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

fn default_index() -> String {
    "documents".to_owned()
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(5)
}

fn default_connect_timeout() -> HumanDuration {
    HumanDuration::from_secs(1)
}

/// The headers that go out with each request.
pub(super) fn headers(
    headers: &BTreeMap<String, String>,
    bearer: Option<&str>,
) -> Result<HeaderMap, HttpConfigError> {
    let mut always = HeaderMap::new();
    let bearer = bearer.map(|key| (AUTHORIZATION.as_str(), format!("Bearer {key}")));
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in headers.chain(bearer) {
        let parsed = HeaderName::try_from(name)
            .ok()
            .zip(HeaderValue::try_from(value).ok());
        let Some((header, value)) = parsed else {
            let name = name.to_owned();
            return Err(HttpConfigError::Header { name });
        };
        always.insert(header, value);
    }
    Ok(always)
}

/// A pool of connections that makes no request nobody asked for.
pub(in crate::documents) fn connections(
    connect_timeout: HumanDuration,
    headers: &BTreeMap<String, String>,
    bearer: Option<&str>,
) -> Result<reqwest::Client, HttpConfigError> {
    let always = self::headers(headers, bearer)?;
    reqwest::Client::builder()
        .connect_timeout(connect_timeout.0)
        .default_headers(always)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .build()
        .map_err(HttpConfigError::Client)
}

pub(in crate::documents) fn parse_base_url(text: &str) -> Result<Url, HttpConfigError> {
    Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "http" && url.query().is_none() && url.fragment().is_none())
        .ok_or_else(|| HttpConfigError::Url {
            url: text.to_owned(),
        })
}

pub(in crate::documents) fn check_index(index: &str) -> Result<String, HttpConfigError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if index.is_empty() || !index.bytes().all(allowed) {
        return Err(HttpConfigError::Index {
            index: index.to_owned(),
        });
    }
    Ok(index.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_alone_is_enough() {
        let config: HttpConfig = toml::from_str("urls = [\"http://127.0.0.1:7700\"]").unwrap();
        assert_eq!(config.timeout, HumanDuration::from_secs(5));
        assert_eq!(config.index, "documents");
        connections(config.connect_timeout, &config.headers, Some("key")).unwrap();
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for url in [
            "10.0.0.1:7700",
            "https://a",
            "ftp://a",
            "http://",
            "http://a/?q=1",
        ] {
            assert!(parse_base_url(url).is_err(), "{url}");
        }
        for index in ["", "a/b", "a b", "ä"] {
            assert!(check_index(index).is_err(), "{index}");
        }
        let headers = BTreeMap::from([("X-A".to_owned(), "a\nb".to_owned())]);
        assert!(connections(default_timeout(), &headers, None).is_err());
    }
}
