//! Whether what a client answers can be an answer to what it was asked.

use serde_json::Value;

use crate::objects::Invocation;
use crate::objects::spec::Kind;

/// Why the answer is none.
pub(super) fn misfit(kind: &Kind, asked: &Invocation, answer: &Value) -> Option<String> {
    let integers = |value: &Value| {
        let items = value.as_array();
        items.is_some_and(|items| items.iter().all(Value::is_i64))
    };
    let expected = match (kind, &*asked.f) {
        (Kind::Append { .. }, _) if same_transaction(&asked.value, answer) => return None,
        (Kind::Append { .. }, _) => {
            "the same transaction, with a list of integers or null for each read"
        }
        (Kind::Register { .. }, "read") if answer.is_null() || answer.is_i64() => return None,
        (Kind::Register { .. }, "read") => "an integer, or null for a key that has no value",
        (Kind::Set, "read") if integers(answer) => return None,
        (Kind::Set, "read") => "a list of integers",
        (Kind::Counter, "read") if answer.is_i64() => return None,
        (Kind::Counter, "read") => "an integer",
        (Kind::Bank { accounts, .. }, "read") => match answer {
            Value::Object(balances)
                if balances.len() == accounts.get() as usize
                    && balances.values().all(Value::is_i64) =>
            {
                return None;
            }
            _ => "an integer for each account, by its number",
        },
        // Writes return nothing that is looked at.
        _ => return None,
    };
    let mut answer = answer.to_string();
    if answer.len() > LONGEST {
        let end = (0..=LONGEST)
            .rev()
            .find(|end| answer.is_char_boundary(*end));
        answer.truncate(end.unwrap_or(0));
        answer += "...";
    }
    Some(format!(
        "answered {} with {answer}: expected {expected}",
        asked.f
    ))
}

/// Bytes of an answer that are shown.
const LONGEST: usize = 120;

fn same_transaction(asked: &Value, answer: &Value) -> bool {
    let (Some(asked), Some(answer)) = (asked.as_array(), answer.as_array()) else {
        return false;
    };
    let same = |(asked, answer): (&Value, &Value)| {
        if asked[0] != "r" {
            return asked == answer;
        }
        let seen = &answer[2];
        let list = seen
            .as_array()
            .is_some_and(|items| items.iter().all(Value::is_i64));
        answer.as_array().is_some_and(|parts| parts.len() == 3)
            && asked[0] == answer[0]
            && asked[1] == answer[1]
            && (list || seen.is_null())
    };
    asked.len() == answer.len() && asked.iter().zip(answer).all(same)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::Spec;
    use crate::objects::generator::{invocation, read};

    fn fits(kind: &str, asked: &Invocation, answer: Value) -> bool {
        misfit(&Spec::of_kind(kind).unwrap().0, asked, &answer).is_none()
    }

    #[test]
    fn answers_have_the_form_that_the_models_read() {
        let whole = read(None);
        assert!(fits("register", &read(Some(1)), json!(null)));
        assert!(fits("register", &read(Some(1)), json!(5)));
        assert!(!fits("register", &read(Some(1)), json!("5")));
        assert!(fits("set", &whole, json!([1, 2])));
        assert!(!fits("set", &whole, json!(null)));
        assert!(!fits("set", &whole, json!(["1"])));
        assert!(fits("counter", &whole, json!(-1)));
        assert!(!fits("counter", &whole, json!(null)));
        let all: serde_json::Map<_, _> = (0..8).map(|a| (a.to_string(), json!(1))).collect();
        assert!(fits("bank", &whole, all.into()));
        assert!(!fits("bank", &whole, json!({"0": 1})));
        assert!(fits("set", &invocation("add", None, 1.into()), json!("OK")));
    }

    #[test]
    fn a_transaction_is_answered_by_itself_with_its_reads_filled_in() {
        let asked = invocation("txn", None, json!([["append", 1, 9], ["r", 1, null]]));
        for (answer, good) in [
            (json!([["append", 1, 9], ["r", 1, [9]]]), true),
            (json!([["append", 1, 9], ["r", 1, null]]), true),
            (json!([["append", 1, 8], ["r", 1, [8]]]), false),
            (json!([["append", 1, 9], ["r", 2, [9]]]), false),
            (json!([["append", 1, 9], ["r", 1, "9"]]), false),
            (json!([["append", 1, 9]]), false),
            (json!([[], []]), false),
            (json!(null), false),
        ] {
            assert_eq!(fits("append", &asked, answer.clone()), good, "{answer}");
        }
    }

    #[test]
    fn a_long_answer_is_cut_in_what_is_told() {
        let kind = Spec::of_kind("set").unwrap().0;
        let told = misfit(&kind, &read(None), &json!("ü".repeat(1000))).unwrap();
        assert!(told.len() < 250, "{told}");
    }
}
