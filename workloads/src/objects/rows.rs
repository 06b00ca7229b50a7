//! From operations on objects to rows of the history, in the form that the checker's models read.
//!
//! A function's key and an integer value have columns. Any other value is in `detail` as `{"value": ...}`, and an
//! error as `{"error": name, "detail": text}`. The run loop adds the times.

use std::borrow::Cow;

use serde_json::{Value, json};
use shakedown_checker::history::{Event, EventKind, Process};

use crate::objects::{Effect, Invocation, KnownError};

/// How an operation ended, as far as that can be believed.
#[derive(Debug)]
pub(super) enum Ended {
    /// It happened; what it returned.
    Ok(Value),
    /// An error that the client has declared, with what the database said.
    Error(KnownError, String),
    /// The client broke its own rules: nothing is known of the operation.
    Defect(String),
}

pub(super) fn invoked(invocation: &Invocation, op: u64, process: Process) -> Event {
    let detail = serde_json::Map::new();
    row(
        invocation,
        EventKind::Invoke,
        &invocation.value,
        detail,
        op,
        process,
    )
}

pub(super) fn completed(invocation: &Invocation, ended: Ended, op: u64, process: Process) -> Event {
    let (kind, value, detail) = match ended {
        Ended::Ok(value) => (EventKind::Ok, value, Value::Null),
        Ended::Error(error, text) => {
            let (kind, value) = meaning(invocation, error.effect);
            (kind, value, json!({"error": error.name, "detail": text}))
        }
        Ended::Defect(text) => {
            let detail = json!({"error": "client-defect", "detail": text});
            (EventKind::Info, Value::Null, detail)
        }
    };
    let detail = match detail {
        Value::Object(detail) => detail,
        _ => serde_json::Map::new(),
    };
    row(invocation, kind, &value, detail, op, process)
}

/// What an error makes of an operation, and the value it then has.
fn meaning(invocation: &Invocation, effect: Effect) -> (EventKind, Value) {
    match effect {
        Effect::None => (EventKind::Fail, Value::Null),
        // A read without an answer tells nothing, and changes nothing.
        _ if invocation.f == "read" => (EventKind::Fail, Value::Null),
        Effect::Maybe => (EventKind::Info, Value::Null),
        // What its reads saw is not known, and a row that is `ok` must say.
        Effect::Happened if invocation.f == "txn" => (EventKind::Info, Value::Null),
        Effect::Happened => (EventKind::Ok, invocation.value.clone()),
    }
}

fn row(
    invocation: &Invocation,
    kind: EventKind,
    value: &Value,
    mut detail: serde_json::Map<String, Value>,
    op: u64,
    process: Process,
) -> Event {
    let column = value.as_i64();
    if column.is_none() && !value.is_null() {
        detail.insert("value".to_owned(), value.clone());
    }
    Event {
        op,
        process,
        kind,
        f: match &invocation.f {
            Cow::Borrowed(f) => Cow::Borrowed(f),
            Cow::Owned(f) => Cow::Owned(f.clone()),
        },
        time_ns: 0,
        intended_ns: None,
        key: invocation.key,
        value: column,
        detail: (!detail.is_empty()).then(|| Value::Object(detail).to_string().into_boxed_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::generator::{invocation, read};

    const LOST: KnownError = KnownError::new("lost", Effect::Happened, "");

    #[test]
    fn integers_have_a_column_and_everything_else_is_json() {
        let write = invocation("write", Some(3), 7.into());
        let row = invoked(&write, 1, Process(2));
        assert_eq!((row.key, row.value, row.detail), (Some(3), Some(7), None));
        let row = completed(&read(None), Ended::Ok(json!([1, 2])), 1, Process(2));
        assert_eq!(row.kind, EventKind::Ok);
        assert_eq!(row.detail.as_deref(), Some(r#"{"value":[1,2]}"#));
        let row = completed(&read(Some(3)), Ended::Ok(Value::Null), 1, Process(2));
        assert_eq!((row.value, row.detail), (None, None));
    }

    #[test]
    fn an_error_means_what_was_declared() {
        let kinds = |operation: &Invocation| {
            [Effect::None, Effect::Happened, Effect::Maybe].map(|effect| {
                let error = KnownError { effect, ..LOST };
                let ended = Ended::Error(error, "it said so".to_owned());
                completed(operation, ended, 1, Process(0)).kind
            })
        };
        use EventKind::{Fail, Info, Ok};
        assert_eq!(kinds(&invocation("add", None, 1.into())), [Fail, Ok, Info]);
        assert_eq!(kinds(&read(None)), [Fail, Fail, Fail]);
        let txn = invocation("txn", None, json!([["r", 1, null]]));
        assert_eq!(kinds(&txn), [Fail, Info, Info]);
    }

    #[test]
    fn a_write_that_happened_without_an_answer_keeps_its_argument_and_its_error() {
        let ended = Ended::Error(LOST, "reply cut".to_owned());
        let row = completed(
            &invocation("write", Some(1), 9.into()),
            ended,
            1,
            Process(0),
        );
        assert_eq!(row.value, Some(9));
        let detail: Value = serde_json::from_str(row.detail.as_deref().unwrap()).unwrap();
        assert_eq!(detail, json!({"error": "lost", "detail": "reply cut"}));
    }

    #[test]
    fn a_defect_leaves_everything_open() {
        let ended = Ended::Defect("an undeclared error".to_owned());
        let row = completed(&invocation("add", None, 9.into()), ended, 1, Process(0));
        assert_eq!((row.kind, row.value), (EventKind::Info, None));
    }
}
