//! What invariants find, in words.

use serde_json::json;

use crate::catalogue::Finding;

/// Cases told of each class.
const SHOWN: usize = 16;

/// A class of what is wrong, with its first cases.
pub(super) fn class(
    name: &str,
    reason: String,
    count: usize,
    cases: impl IntoIterator<Item = String>,
) -> Finding {
    let mut evidence: Vec<String> = cases.into_iter().take(SHOWN).collect();
    let cases = json!(evidence);
    if count > evidence.len() {
        evidence.push(format!("and {} more", count - evidence.len()));
    }
    Finding {
        about: name.to_owned(),
        reason,
        evidence,
        facts: json!({"class": name, "count": count, "cases": cases}),
        drawing: None,
    }
}

/// `1 element`, `2 elements`.
pub(super) fn count(of: usize, what: &str) -> String {
    match of {
        1 => format!("1 {what}"),
        _ => format!("{of} {what}s"),
    }
}

/// The classes that occur, with how often: `2 lost, 1 duplicated`; empty if none does.
pub(super) fn summary(classes: &[(usize, &str)]) -> String {
    let occur = classes.iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = occur
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    told.join(", ")
}
