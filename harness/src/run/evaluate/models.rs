//! A workload on objects: whether enough was done, everything read at the end, and each model's word against what
//! is expected of it.

use shakedown_reports::results::{CheckResult, ModelResult, Verdict};

use super::exercised::at_least;
use super::{Record, check};
use crate::scenario::Expect;

pub(super) fn judged(expect: &Expect, record: &Record<'_>, checks: &mut Vec<CheckResult>) {
    if let Some(least) = &expect.operations_at_least {
        let ok: u64 = record
            .timeline
            .iter()
            .map(|second| u64::from(second.ok))
            .sum();
        checks.push(check(
            format!("at least {} operations ended ok", least.get_ref()),
            at_least(ok, *least.get_ref()),
            format!("{ok} ended ok"),
        ));
    }
    let read = "everything was read at the end";
    match &record.observed.objects {
        None => checks.push(check(
            read,
            Verdict::Unknown,
            "the final reads were not made",
        )),
        Some(seen) => {
            let detail = format!("{} of {} reads answered", seen.answered, seen.wanted);
            checks.push(check(read, at_least(seen.answered, seen.wanted), detail));
            if seen.defects > 0 {
                let first = seen.first_defects.join("; ");
                let detail = format!("{} operations are of no use: {first}", seen.defects);
                checks.push(check(
                    "clients kept to their own rules",
                    Verdict::Unknown,
                    detail,
                ));
            }
        }
    }
    if record.models.is_empty() {
        checks.push(check(
            "models",
            Verdict::Unknown,
            "no model judged the history",
        ));
    }
    checks.extend(record.models.iter().map(of_model));
}

/// A model's word against what is expected of it.
pub(crate) fn of_model(model: &ModelResult) -> CheckResult {
    let name = &model.model;
    let mut detail = format!("{}: {}", model.verdict, model.reason);
    if model.verdict != Verdict::Valid
        && let Some(first) = model.findings.first()
    {
        detail = format!("{detail}; {}: {}", first.about, first.reason);
    }
    if model.expected == "holds" {
        return check(format!("`{name}` holds"), model.verdict, detail);
    }
    // What was to be found and was not may not be there, or not have been put to the test.
    let verdict = match model.verdict {
        Verdict::Invalid => Verdict::Valid,
        Verdict::Valid | Verdict::Unknown => Verdict::Unknown,
    };
    check(
        format!("`{name}` is violated, as expected"),
        verdict,
        detail,
    )
}
