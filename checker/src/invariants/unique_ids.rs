//! Identifiers that are given out once each.

use hashbrown::HashMap;
use serde_json::json;

use super::{Invariant, Moment, Numbering, told, unknown};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::ImportError;
use crate::verdict::Verdict;

/// No two answers of `generate` are the same. After Jepsen's `unique-ids` checker. O(n).
#[derive(Debug, Default)]
pub struct UniqueIds {
    names: Numbering,
    /// The lines that gave out each.
    lines: Vec<u64>,
    again: HashMap<u32, Vec<u64>>,
    operations: usize,
    acknowledged: usize,
}

impl Invariant for UniqueIds {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        match &*call.event.f {
            "generate" => Ok(()),
            _ => unknown(call),
        }
    }

    fn answered(&mut self, _: &Moment, answer: &Moment) -> Result<(), ImportError> {
        if answer.event.kind == EventKind::Ok {
            self.acknowledged += 1;
            let id = self.names.number(&answer.event.value);
            match self.lines.len() == id as usize {
                true => self.lines.push(answer.event.line),
                false => self.again.entry(id).or_default().push(answer.event.line),
            }
        }
        Ok(())
    }

    fn outcome(&mut self) -> Outcome {
        let ids = told::count(self.acknowledged, "identifier");
        let (verdict, reason) = match (self.again.len(), self.acknowledged) {
            (0, 0) => (Verdict::Unknown, "no identifier was given out".to_owned()),
            (0, _) => (Verdict::Valid, format!("{ids}, all different")),
            (twice, _) => {
                let reason = format!("{twice} given out more than once, of {ids}");
                (Verdict::Invalid, reason)
            }
        };
        let mut again: Vec<_> = self.again.iter().collect();
        again.sort_unstable();
        let cases = again.iter().map(|(id, lines)| {
            let lines: Vec<_> = lines.iter().map(u64::to_string).collect();
            let (name, first) = (self.names.value(**id), self.lines[**id as usize]);
            format!("{name}: lines {first}, {}", lines.join(", "))
        });
        let finding = told::class("duplicated", reason.clone(), again.len(), cases);
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            findings: if again.is_empty() {
                Vec::new()
            } else {
                vec![finding]
            },
            facts: json!({
                "attempts": self.operations,
                "acknowledged": self.acknowledged,
                "duplicated": again.len(),
            }),
            ..Outcome::default()
        }
    }
}
