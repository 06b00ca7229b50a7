//! Whether a run exercised what it promises: faults, writes, phases, marks.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_reports::results::{CheckResult, FaultResult, Verdict};

use super::{Record, check};
use crate::scenario::Expect;

/// Whether the run exercised what it promises.
pub(super) fn exercised(expect: &Expect, record: &Record<'_>, checks: &mut Vec<CheckResult>) {
    let observed = record.observed;
    for fault in record.faults {
        let verdict = if fault.outcome == "installed" {
            Verdict::Valid
        } else {
            Verdict::Unknown
        };
        checks.push(check(
            format!("fault `{}` happened", fault.name),
            verdict,
            fault_detail(fault),
        ));
    }
    for item in &observed.unfinished {
        checks.push(check(
            format!("`{item}` ran to its end"),
            Verdict::Unknown,
            "it did not",
        ));
    }
    if let Some(least) = expect
        .writes_at_least
        .as_ref()
        .map(|least| *least.get_ref())
    {
        let last = record.checkpoints.last();
        let acknowledged = last.map_or(0, |c| c.loss.acknowledged_writes);
        checks.push(check(
            format!("at least {least} writes acknowledged"),
            at_least(acknowledged, least),
            format!("{acknowledged} acknowledged"),
        ));
    }
    let entered = observed.marks.get("phase").cloned().unwrap_or_default();
    if !expect.phases.is_empty() {
        checks.push(names("phases entered", &expect.phases, &entered));
    }
    for (lane, expected) in &expect.marks {
        let seen = observed.marks.get(lane).cloned().unwrap_or_default();
        checks.push(names(&format!("{lane} seen"), expected, &seen));
    }
    if expect.endangered_at_least > 0 {
        let endangered = observed.endangered.unwrap_or(0);
        checks.push(check(
            format!("the faults endangered at least {} documents", expect.endangered_at_least),
            at_least(endangered, expect.endangered_at_least),
            match observed.endangered {
                Some(n) => format!("by the system's own records {n} documents would be lost, stale or resurrected without its safety net"),
                None => "the system's records could not be read".to_owned(),
            },
        ));
    }
    if let Some(reason) = &observed.not_recovered {
        checks.push(check(
            "the system was healthy before the final read",
            Verdict::Unknown,
            reason.clone(),
        ));
    }
}

/// Too little of something leaves untested what it was for.
pub(super) fn at_least(count: u64, least: u64) -> Verdict {
    if count >= least {
        Verdict::Valid
    } else {
        Verdict::Unknown
    }
}

/// Outcome and evidence, without the listing of rules that the evidence table has.
fn fault_detail(fault: &FaultResult) -> String {
    let telling = fault
        .evidence
        .iter()
        .filter(|(_, what, _)| !what.starts_with("rules of table"));
    let evidence: Vec<String> = telling
        .map(|(node, what, seen)| format!("{node}: {what}: {seen}"))
        .collect();
    format!("{}; {}", fault.outcome, evidence.join("; "))
}

fn names(name: &str, expected: &[String], seen: &BTreeSet<String>) -> CheckResult {
    let missing: Vec<&str> = expected
        .iter()
        .filter(|e| !seen.contains(*e))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        check(name, Verdict::Valid, expected.join(", "))
    } else {
        check(
            name,
            Verdict::Unknown,
            format!("not seen: {}", missing.join(", ")),
        )
    }
}

pub(super) fn same(pair: &[String; 2], captures: &BTreeMap<String, String>) -> CheckResult {
    let name = format!("`{}` and `{}` are the same", pair[0], pair[1]);
    match (captures.get(&pair[0]), captures.get(&pair[1])) {
        (Some(a), Some(b)) if a == b => check(name, Verdict::Valid, "byte for byte"),
        (Some(a), Some(b)) => check(
            name,
            Verdict::Invalid,
            format!("before: {}; after: {}", a.trim(), b.trim()),
        ),
        _ => check(name, Verdict::Unknown, "not both were captured"),
    }
}
