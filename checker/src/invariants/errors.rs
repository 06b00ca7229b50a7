//! Errors that the client does not know.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Invariant, Moment, told};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// Every operation that failed, or whose outcome is not known, says why in terms that its client knows:
/// `:error` is a keyword or begins with one (`[:conflict "..."]`), or is the text that our own clients record. A bare
/// text, an exception or nothing at all is unclassified, and whether such an operation happened is a guess.
/// After Jepsen's `unhandled-exceptions`, which only lists them. O(n).
#[derive(Debug, Default)]
pub struct UnhandledErrors {
    operations: usize,
    not_ok: usize,
    classified: usize,
    /// By error: how often, and the first line.
    unclassified: BTreeMap<String, (usize, u64)>,
}

/// Whether the client knows what it is.
fn is_classified(error: &Value) -> bool {
    match error {
        Value::Keyword(_) => true,
        error => matches!(error.items(), Some([Value::Keyword(_), ..])),
    }
}

impl Invariant for UnhandledErrors {
    fn called(&mut self, _: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        Ok(())
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        let (event, kind) = (&answer.event, answer.event.kind);
        // A failed operation without a word is one whose precondition was false.
        let silent = event.error.is_none() && kind == EventKind::Fail;
        if kind == EventKind::Ok {
            return Ok(());
        }
        self.not_ok += 1;
        if silent || event.error.as_ref().is_some_and(is_classified) {
            self.classified += 1;
            return Ok(());
        }
        let said = event.error.as_ref().map(Value::to_string);
        let said = said.unwrap_or_else(|| "no reason given".to_owned());
        let said: String = said.chars().take(200).collect();
        let kind = if kind == EventKind::Fail {
            "fail"
        } else {
            "info"
        };
        let what = format!("{} {kind}: {said}", call.event.f);
        self.unclassified.entry(what).or_insert((0, event.line)).0 += 1;
        Ok(())
    }

    fn outcome(&mut self) -> Outcome {
        let bad = self.not_ok - self.classified;
        let mut kinds: Vec<_> = self.unclassified.iter().collect();
        kinds.sort_by_key(|(_, (count, line))| (std::cmp::Reverse(*count), *line));
        let (verdict, reason) = match (bad, self.operations) {
            (0, 0) => (Verdict::Unknown, "there are no operations".to_owned()),
            (0, _) => {
                let errors = told::count(self.classified, "error");
                (
                    Verdict::Valid,
                    format!("{errors}, all of kinds that clients know"),
                )
            }
            _ => {
                let errors = told::count(self.not_ok, "error");
                (Verdict::Invalid, format!("{bad} unclassified, of {errors}"))
            }
        };
        let cases = kinds
            .iter()
            .map(|(what, (count, line))| format!("{count} times, first in line {line}: {what}"));
        let finding = told::class("unclassified", reason.clone(), kinds.len(), cases);
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            findings: if bad > 0 { vec![finding] } else { Vec::new() },
            facts: json!({"errors": self.not_ok, "classified": self.classified, "unclassified": bad}),
            ..Outcome::default()
        }
    }
}
