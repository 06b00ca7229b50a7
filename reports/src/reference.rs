//! Keeps `docs/report_reference.md` and the results type together: neither may name a field that
//! the other lacks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::example;

const REFERENCE: &str = include_str!("../../docs/report_reference.md");

/// Every field of the example, and whether it holds anything anywhere.
fn fields() -> BTreeMap<String, bool> {
    let mut fields = BTreeMap::new();
    collect(
        &serde_json::to_value(example::suite()).unwrap(),
        &mut fields,
    );
    fields
}

fn collect(value: &Value, fields: &mut BTreeMap<String, bool>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let filled =
                    !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
                *fields.entry(name.clone()).or_default() |= filled;
                collect(value, fields);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, fields)),
        _ => {}
    }
}

/// Names in backticks in the first column of the reference's field tables.
fn documented() -> BTreeSet<&'static str> {
    REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

#[test]
fn the_example_fills_every_field_so_that_none_escapes_these_tests() {
    let empty: Vec<String> = fields()
        .into_iter()
        .filter(|(_, filled)| !filled)
        .map(|(name, _)| name)
        .collect();
    assert!(empty.is_empty(), "empty everywhere: {empty:?}");
}

#[test]
fn every_field_of_the_results_is_documented() {
    let documented = documented();
    let missing: Vec<String> = fields()
        .into_keys()
        .filter(|name| !documented.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/report_reference.md: {missing:?}"
    );
}

#[test]
fn every_documented_field_exists() {
    let fields = fields();
    let gone: Vec<&str> = documented()
        .into_iter()
        .filter(|name| !fields.contains_key(*name))
        .collect();
    assert!(
        gone.is_empty(),
        "only in docs/report_reference.md: {gone:?}"
    );
}

#[test]
fn every_value_of_an_enumeration_is_documented() {
    use crate::results::Verdict;
    use shakedown_checker::loss::KeyClass;
    let verdicts = [Verdict::Valid, Verdict::Unknown, Verdict::Invalid];
    let classes = [
        KeyClass::Ok,
        KeyClass::Lost,
        KeyClass::Stale,
        KeyClass::Resurrected,
        KeyClass::Corrupted,
        KeyClass::Phantom,
        KeyClass::Misplaced,
        KeyClass::LeftBehind,
    ];
    let names = (verdicts
        .iter()
        .map(|verdict| serde_json::to_value(verdict).unwrap()))
    .chain(
        classes
            .iter()
            .map(|class| serde_json::to_value(class).unwrap()),
    );
    for name in names {
        let name = format!("`{}`", name.as_str().unwrap());
        assert!(
            REFERENCE.contains(&name),
            "{name} is not in docs/report_reference.md"
        );
    }
}
