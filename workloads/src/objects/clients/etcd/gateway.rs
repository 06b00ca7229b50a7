//! Requests to etcd's JSON gateway, and what they answer.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::errors::{BROKEN, NO_CONNECTION, of};
use crate::http::{Front, Wire};
use crate::objects::KnownError;
use crate::objects::clients::errors::TIMED_OUT;

/// A connection to one member, made when it is first needed.
#[derive(Debug)]
pub(super) struct Gateway {
    front: Front,
    wire: Wire,
}

/// Why a request was not carried out, as far as is known; with what etcd said.
pub(super) type Failed = (KnownError, String);

/// A key that was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) mod_revision: i64,
}

/// So much longer than for connecting does the caller wait: then it is known that nothing was sent.
const MARGIN: Duration = Duration::from_millis(20);

impl Gateway {
    /// For the member at this host and port.
    pub(super) fn new(address: &str) -> Result<Self, String> {
        let url = Url::parse(&format!("http://{address}"))
            .map_err(|error| format!("{address:?} is no host and port: {error}"))?;
        Ok(Gateway {
            front: Front::new(&url, HeaderMap::new()),
            wire: Wire::default(),
        })
    }

    /// Sends a request once; the answer is whole.
    pub(super) async fn post(
        &mut self,
        path: &str,
        body: &Value,
        deadline: Instant,
    ) -> Result<Value, Failed> {
        let request = self.front.post(path, body.to_string().into_bytes());
        let connect_timeout = deadline.saturating_duration_since(Instant::now());
        let exchange = self.wire.exchange(&self.front, request, connect_timeout);
        let answer = match timeout_at(deadline + MARGIN, exchange).await {
            Err(_) => return Err((TIMED_OUT, String::new())),
            Ok(Err(unanswered)) if unanswered.unsent => {
                return Err((NO_CONNECTION, unanswered.reason));
            }
            Ok(Err(unanswered)) => return Err((BROKEN, unanswered.reason)),
            Ok(Ok(answer)) => answer,
        };
        let body = answer.body.map_err(|reason| (BROKEN, reason))?;
        if answer.status.is_success() {
            return Ok(body);
        }
        // `message` in later versions, `error` as well in 3.4.
        let message = body["message"].as_str().or(body["error"].as_str());
        let message = message.unwrap_or_default().to_owned();
        Err((of(&message), message))
    }
}

/// Bytes as the gateway wants them.
pub(super) fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

/// A request for one key.
pub(super) fn range(key: &str, serializable: bool) -> Value {
    json!({"key": encoded(key), "serializable": serializable})
}

/// A request for all keys that begin so.
pub(super) fn range_prefix(prefix: &str, serializable: bool) -> Value {
    json!({
        "key": encoded(prefix),
        "range_end": encoded(&after_prefix(prefix)),
        "serializable": serializable,
    })
}

/// The first text that no longer begins so. Our prefixes end with `/`.
pub(super) fn after_prefix(prefix: &str) -> String {
    format!("{}0", prefix.trim_end_matches('/'))
}

/// A request to write a key.
pub(super) fn put(key: &str, value: &str) -> Value {
    json!({"key": encoded(key), "value": encoded(value)})
}

/// The condition that a key is as it was found, or is still not there.
pub(super) fn unchanged(key: &str, mod_revision: i64) -> Value {
    json!({
        "key": encoded(key),
        "target": "MOD",
        "result": "EQUAL",
        "mod_revision": mod_revision.to_string(),
    })
}

/// The condition that a key has this value.
pub(super) fn equal(key: &str, value: &str) -> Value {
    json!({"key": encoded(key), "target": "VALUE", "result": "EQUAL", "value": encoded(value)})
}

/// Whether the conditions of a transaction held. The gateway leaves out what is false.
pub(super) fn succeeded(answer: &Value) -> bool {
    answer["succeeded"] == true
}

/// The keys in the answer to a range.
pub(super) fn found(range: &Value) -> Result<Vec<Found>, Failed> {
    let odd = |what: &str| (BROKEN, format!("the answer has {what}"));
    let Some(kvs) = range.get("kvs") else {
        // The gateway leaves out what is empty; a header it always has.
        return match range.get("header") {
            Some(_) => Ok(Vec::new()),
            None => Err(odd("neither header nor keys")),
        };
    };
    let text = |kv: &Value, name: &str| -> Result<String, Failed> {
        let encoded = kv[name].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(encoded).map_err(|_| odd("no base64"))?;
        String::from_utf8(bytes).map_err(|_| odd("no text"))
    };
    let kvs = kvs.as_array().ok_or_else(|| odd("no list of keys"))?;
    kvs.iter()
        .map(|kv| {
            Ok(Found {
                key: text(kv, "key")?,
                value: text(kv, "value")?,
                mod_revision: integer(&kv["mod_revision"]).ok_or_else(|| odd("no revision"))?,
            })
        })
        .collect()
}

/// A 64-bit integer: JSON of protocol buffers has them as text.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_what_the_gateway_answers() {
        let answer = json!({"header": {"revision": "7"}, "kvs": [
            {"key": encoded("r/1"), "mod_revision": "5", "value": encoded("12")},
        ]});
        let one = Found {
            key: "r/1".to_owned(),
            value: "12".to_owned(),
            mod_revision: 5,
        };
        assert_eq!(found(&answer), Ok(vec![one]));
        assert_eq!(found(&json!({"header": {}})), Ok(vec![]));
        for odd in [
            json!({}),
            json!({"kvs": 3}),
            json!({"kvs": [{"key": "!"}]}),
            json!({"kvs": [{"key": ""}]}),
        ] {
            assert_eq!(found(&odd).unwrap_err().0, BROKEN, "{odd}");
        }
    }

    #[test]
    fn a_prefix_ends_where_its_last_letter_does() {
        assert_eq!(after_prefix("set/"), "set0");
        assert!("set/9" < "set0" && "set/" >= "set/");
    }
}
