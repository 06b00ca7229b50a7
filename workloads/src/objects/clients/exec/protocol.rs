//! The lines that are exchanged with a program; `docs/clients.md` describes them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::objects::{Effect, KnownError, Spec};

/// The version of the protocol.
pub(super) const VERSION: u32 = 1;

/// The first line to a program.
#[derive(Debug, Serialize)]
pub(super) struct Hello<'a> {
    pub(super) protocol: u32,
    pub(super) process: u32,
    pub(super) endpoint: &'a str,
    pub(super) endpoints: &'a [String],
    pub(super) workload: &'a Spec,
    pub(super) timeout_ms: u64,
    pub(super) settings: &'a BTreeMap<String, String>,
}

/// The first line from a program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Greeting {
    /// What it can be asked for.
    pub(super) functions: Vec<String>,
    /// Errors that it answers with, and what they mean.
    pub(super) errors: BTreeMap<String, Declared>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declared {
    effect: Effect,
    #[serde(default)]
    about: String,
}

/// Names that begin so are ours.
const RESERVED: &str = "program-";

impl Greeting {
    /// Reads the line.
    pub(super) fn parse(line: &[u8]) -> Result<Greeting, String> {
        let greeting: Greeting = serde_json::from_slice(line)
            .map_err(|error| format!("its first line is no greeting: {error}"))?;
        match greeting
            .errors
            .keys()
            .find(|name| name.starts_with(RESERVED))
        {
            Some(name) => Err(format!(
                "it declares the error {name:?}: names that begin with {RESERVED:?} are taken"
            )),
            None => Ok(greeting),
        }
    }

    /// The errors it declares.
    pub(super) fn known_errors(&self) -> impl Iterator<Item = KnownError> + '_ {
        self.errors.iter().map(|(name, declared)| KnownError {
            name: Cow::Owned(name.clone()),
            effect: declared.effect,
            about: Cow::Owned(declared.about.clone()),
        })
    }
}

/// A line to a program: an operation.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) id: u64,
    pub(super) f: &'a str,
    pub(super) key: Option<i64>,
    pub(super) value: &'a Value,
}

/// A line from a program: how an operation ended.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    Ok(Value),
    Error { name: String, detail: String },
}

impl Reply {
    /// Reads the line that must answer request `id`.
    pub(super) fn parse(line: &[u8], id: u64) -> Result<Reply, String> {
        let shown = || shorten(line);
        let fields: serde_json::Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| format!("{} is no answer: {error}", shown()))?;
        let known = ["id", "ok", "error", "detail"];
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("{} has the unknown field {name:?}", shown()));
        }
        if fields.get("id").and_then(Value::as_u64) != Some(id) {
            return Err(format!("{} does not answer request {id}", shown()));
        }
        let text = |name: &str| {
            fields
                .get(name)
                .map(|value| value.as_str().map(str::to_owned))
        };
        match (fields.get("ok"), text("error"), text("detail")) {
            (Some(value), None, None) => Ok(Reply::Ok(value.clone())),
            (None, Some(Some(name)), None) => Ok(Reply::Error {
                name,
                detail: String::new(),
            }),
            (None, Some(Some(name)), Some(Some(detail))) => Ok(Reply::Error { name, detail }),
            _ => Err(format!(
                "{} must have either \"ok\" with a value, or \"error\" with a name and maybe \"detail\" with a text",
                shown()
            )),
        }
    }
}

/// The beginning of a line, for messages.
pub(super) fn shorten(line: &[u8]) -> String {
    const LONGEST: usize = 160;
    let text = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]);
    let dots = if line.len() > LONGEST { "..." } else { "" };
    format!("{:?}{dots}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_declares_errors_with_their_effect() {
        let line = br#"{"functions": ["read"], "errors": {"refused": {"effect": "none", "about": "no connection"}}}"#;
        let greeting = Greeting::parse(line).unwrap();
        let errors: Vec<_> = greeting.known_errors().collect();
        assert_eq!(
            errors,
            [KnownError::new("refused", Effect::None, "no connection")]
        );
        for (line, told) in [
            ("hello", "its first line is no greeting"),
            (r#"{"functions": []}"#, "missing field `errors`"),
            (
                r#"{"functions": [], "errors": {"x": {"effect": "failed"}}}"#,
                "unknown variant `failed`, expected one of `none`, `happened`, `maybe`",
            ),
            (
                r#"{"functions": [], "errors": {"program-x": {"effect": "none"}}}"#,
                "are taken",
            ),
        ] {
            let error = Greeting::parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn an_answer_is_a_value_or_an_error_of_the_request_it_names() {
        let parse = |line: &str| Reply::parse(line.as_bytes(), 7);
        assert_eq!(
            parse(r#"{"id": 7, "ok": null}"#),
            Ok(Reply::Ok(Value::Null))
        );
        assert_eq!(
            parse(r#"{"id": 7, "error": "refused", "detail": "by n1"}"#),
            Ok(Reply::Error {
                name: "refused".into(),
                detail: "by n1".into()
            })
        );
        for (line, told) in [
            ("oops", "\"oops\" is no answer"),
            (r#"{"id": 6, "ok": 1}"#, "does not answer request 7"),
            (r#"{"ok": 1}"#, "does not answer request 7"),
            (r#"{"id": 7}"#, "must have either"),
            (r#"{"id": 7, "ok": 1, "error": "x"}"#, "must have either"),
            (r#"{"id": 7, "error": 5}"#, "must have either"),
            (r#"{"id": 7, "ok": 1, "detail": "x"}"#, "must have either"),
            (r#"{"id": 7, "okay": 1}"#, "unknown field \"okay\""),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
