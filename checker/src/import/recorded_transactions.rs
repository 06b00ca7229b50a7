//! Transactions in our own histories, written as Jepsen does, for the one reader of transactions.
//!
//! Line n of the text is event n, so that places in errors stay what they are.

use std::fmt::Write;

use crate::history::EventKind;

use super::error::ImportError;
use super::event::Event;
use super::value::Value;

/// The text of all client events. Linear time; more than `limit_bytes` of text is an error.
pub(crate) fn as_edn(
    events: &mut dyn Iterator<Item = Result<Event, ImportError>>,
    limit_bytes: usize,
) -> Result<String, ImportError> {
    let mut text = String::new();
    for (at, event) in (0..).zip(events) {
        let event = event?;
        if let Some(process) = event.process {
            let kind = match event.kind {
                EventKind::Invoke => "invoke",
                EventKind::Ok => "ok",
                EventKind::Fail => "fail",
                EventKind::Info => "info",
            };
            let index = event.op.unwrap_or(at);
            write!(
                text,
                "{{:index {index}, :type :{kind}, :process {process}, :value "
            )
            .and_then(|()| transaction(&mut text, &event.value))
            .and_then(|()| text.write_char('}'))
            .expect("text takes whatever is written to it");
        }
        text.push('\n');
        if text.len() > limit_bytes {
            return Err(ImportError::too_large(event.line));
        }
    }
    Ok(text)
}

/// JSON has no keywords: the functions in a transaction are texts there.
fn transaction(text: &mut String, value: &Value) -> std::fmt::Result {
    let Value::Vector(steps) = value else {
        return write!(text, "{value}");
    };
    text.write_char('[')?;
    for step in steps {
        match step {
            Value::Vector(parts) => {
                text.write_char('[')?;
                for (at, part) in parts.iter().enumerate() {
                    match part {
                        Value::Text(f) if at == 0 => write!(text, ":{f} ")?,
                        part => write!(text, "{part} ")?,
                    }
                }
                text.write_char(']')?;
            }
            step => write!(text, "{step}")?,
        }
    }
    text.write_char(']')
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use crate::catalogue::{Options, find};
    use crate::clock::Clock;
    use crate::verdict::Verdict;

    fn row(op: u64, kind: &str, detail: &str) -> String {
        let detail = serde_json::to_string(detail).unwrap();
        format!(
            "{{\"op\":{op},\"process\":{op},\"kind\":\"{kind}\",\"f\":\"txn\",\"time_ns\":1,\
             \"intended_ns\":null,\"key\":null,\"value\":null,\"detail\":{detail}}}\n"
        )
    }

    fn source(last_read: &str) -> Source {
        let mark = row(9, "info", "a mark").replace("\"process\":9", "\"process\":-1");
        let text = [
            mark,
            row(1, "invoke", r#"{"value":[["append",3,7]]}"#),
            row(1, "ok", r#"{"value":[["append",3,7]]}"#),
            row(2, "invoke", r#"{"value":[["append",3,8]]}"#),
            row(2, "info", r#"{"error":"timeout"}"#),
            row(3, "invoke", r#"{"value":[["r",3,null]]}"#),
            row(3, "ok", &format!(r#"{{"value":[["r",3,{last_read}]]}}"#)),
        ]
        .concat();
        Source::of_text(text, None, 1 << 20).unwrap()
    }

    #[test]
    fn transactions_of_our_own_histories_are_judged() {
        let model = find("strict-serializable").unwrap();
        for (seen, verdict) in [
            ("[7]", Verdict::Valid),
            ("[7,8]", Verdict::Valid),
            ("null", Verdict::Invalid),
            ("[8]", Verdict::Invalid),
        ] {
            let outcome = model.check(&source(seen), &Options::default()).unwrap();
            assert_eq!(outcome.verdict, verdict, "{seen}: {}", outcome.reason);
        }
    }

    #[test]
    fn what_is_no_transaction_is_refused_with_its_place() {
        let model = find("serializable").unwrap();
        let error = model
            .check(&source("\"x\""), &Options::default())
            .unwrap_err();
        assert!(error.to_string().contains("line 7: "), "{error}");
    }

    #[test]
    fn a_text_past_the_limit_is_not_made() {
        let source = source("[7]");
        let error = as_edn(&mut source.events(Clock::default()).unwrap(), 20).unwrap_err();
        assert_eq!(error, ImportError::too_large(error.line));
    }
}
