//! From what was recorded to checks and a verdict: pure, so that a stored run can be judged again.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_checker::loss::{KeyClass, LossReport};
use shakedown_reports::results::{
    ActionResult, CheckResult, CheckpointResult, Explained, FaultResult, Verdict,
};

use crate::scenario::{Expect, Loss, Scenario};

/// What a run left to judge.
pub(crate) struct Record<'a> {
    pub(crate) faults: &'a [FaultResult],
    pub(crate) actions: &'a [ActionResult],
    pub(crate) checkpoints: &'a [CheckpointResult],
    /// Captured outputs by name.
    pub(crate) captures: &'a BTreeMap<String, String>,
    /// Names the system reported, by lane (`phase`, ...).
    pub(crate) marks: &'a BTreeMap<String, BTreeSet<String>>,
    /// Items that never began or never ended.
    pub(crate) unfinished: &'a [String],
    /// Documents the system's records say were in danger; `None` if it keeps no such records.
    pub(crate) endangered: Option<u64>,
    /// Whether the system came back after its faults, where it can tell.
    pub(crate) recovered: Result<(), String>,
}

fn check(name: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> CheckResult {
    CheckResult {
        name: name.into(),
        verdict,
        detail: detail.into(),
    }
}

/// Every check of a scenario, in a fixed order.
pub(crate) fn evaluate(scenario: &Scenario, record: &Record<'_>) -> Vec<CheckResult> {
    let mut checks = Vec::new();
    exercised(&scenario.expect, record, &mut checks);
    for action in record.actions {
        if !action.as_expected {
            let item = scenario
                .action
                .iter()
                .find(|a| *a.name.get_ref() == action.span.name);
            // A refusal that did not come is a broken promise; any other failure leaves things untested.
            let refusal = item.is_some_and(|a| a.fails_with.is_some());
            let verdict = if refusal {
                Verdict::Invalid
            } else {
                Verdict::Unknown
            };
            let detail = format!(
                "exit status {}: {}",
                action.exit_status,
                action.output.trim()
            );
            checks.push(check(
                format!("action `{}` ended as expected", action.span.name),
                verdict,
                detail,
            ));
        } else if let Some(text) = scenario
            .action
            .iter()
            .find(|a| *a.name.get_ref() == action.span.name)
            .and_then(|a| a.fails_with.as_ref())
        {
            checks.push(check(
                format!("action `{}` was refused", action.span.name),
                Verdict::Valid,
                format!("exit status {}, with `{text}`", action.exit_status),
            ));
        }
    }
    for pair in &scenario.expect.same {
        checks.push(same(pair.get_ref(), record.captures));
    }
    for checkpoint in record.checkpoints {
        let item = scenario
            .checkpoint
            .iter()
            .find(|c| *c.name.get_ref() == checkpoint.name);
        let (loss, allow) = item.map_or((scenario.expect.loss, &scenario.expect.allow), |item| {
            (item.loss, &item.allow)
        });
        checks.push(judge_loss(&checkpoint.name, &checkpoint.loss, loss, allow));
        if loss == Loss::Some {
            checks.push(explained(checkpoint.explained.as_ref()));
        }
    }
    if !record.checkpoints.iter().any(|c| c.name == "final") {
        checks.push(check(
            "final read",
            Verdict::Unknown,
            "the final state was not read",
        ));
    }
    checks
}

/// The worst of the checks: `invalid` over `unknown` over `valid`; without checks, `unknown`.
pub(crate) fn verdict(checks: &[CheckResult]) -> Verdict {
    Verdict::worst(checks.iter().map(|c| c.verdict))
}

/// Whether the run exercised what it promises.
fn exercised(expect: &Expect, record: &Record<'_>, checks: &mut Vec<CheckResult>) {
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
    for item in record.unfinished {
        checks.push(check(
            format!("`{item}` ran to its end"),
            Verdict::Unknown,
            "it did not",
        ));
    }
    let acknowledged = record
        .checkpoints
        .last()
        .map_or(0, |c| c.loss.acknowledged_writes);
    checks.push(check(
        format!("at least {} writes acknowledged", expect.writes_at_least),
        if acknowledged >= expect.writes_at_least {
            Verdict::Valid
        } else {
            Verdict::Unknown
        },
        format!("{acknowledged} acknowledged"),
    ));
    let entered = record.marks.get("phase").cloned().unwrap_or_default();
    if !expect.phases.is_empty() {
        checks.push(names("phases entered", &expect.phases, &entered));
    }
    for (lane, expected) in &expect.marks {
        let seen = record.marks.get(lane).cloned().unwrap_or_default();
        checks.push(names(&format!("{lane} seen"), expected, &seen));
    }
    if expect.endangered_at_least > 0 {
        let endangered = record.endangered.unwrap_or(0);
        checks.push(check(
            format!("the faults endangered at least {} documents", expect.endangered_at_least),
            if endangered >= expect.endangered_at_least { Verdict::Valid } else { Verdict::Unknown },
            match record.endangered {
                Some(n) => format!("by the system's own records {n} documents would be lost, stale or resurrected without its safety net"),
                None => "the system's records could not be read".to_owned(),
            },
        ));
    }
    if let Err(reason) = &record.recovered {
        checks.push(check(
            "the system was healthy before the final read",
            Verdict::Unknown,
            reason.clone(),
        ));
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

fn same(pair: &[String; 2], captures: &BTreeMap<String, String>) -> CheckResult {
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

fn judge_loss(
    checkpoint: &str,
    loss: &LossReport,
    expected: Loss,
    allow: &[KeyClass],
) -> CheckResult {
    let c = &loss.counts;
    let found: Vec<(KeyClass, &str, u64)> = [
        (KeyClass::Lost, "lost", c.lost),
        (KeyClass::Stale, "stale", c.stale),
        (KeyClass::Resurrected, "resurrected", c.resurrected),
        (KeyClass::Corrupted, "corrupted", c.corrupted),
        (KeyClass::Phantom, "phantom", c.phantom),
        (KeyClass::Misplaced, "misplaced", c.misplaced),
        (KeyClass::LeftBehind, "left behind", c.left_behind),
    ]
    .into_iter()
    .filter(|(_, _, count)| *count > 0)
    .collect();
    let expected_kind = |class: KeyClass| {
        allow.contains(&class)
            || (expected == Loss::Some
                && matches!(
                    class,
                    KeyClass::Lost | KeyClass::Stale | KeyClass::Resurrected
                ))
    };
    let in_words = if found.is_empty() {
        format!("all {} keys are in a permitted state", loss.keys)
    } else {
        let parts: Vec<String> = found
            .iter()
            .map(|(_, word, count)| format!("{count} {word}"))
            .collect();
        format!("{} of {} keys", parts.join(", "), loss.keys)
    };
    let (name, mut verdict) = match expected {
        Loss::None => (format!("no loss at `{checkpoint}`"), Verdict::Valid),
        Loss::Some if c.lost == 0 => (
            format!("loss at `{checkpoint}` is measured"),
            Verdict::Unknown,
        ),
        Loss::Some => (
            format!("loss at `{checkpoint}` is measured"),
            Verdict::Valid,
        ),
    };
    let mut detail = in_words;
    // What has no key, or no state that could be told, is in no class.
    for (count, what, its) in [
        (
            loss.foreign,
            "documents nobody could have written",
            Verdict::Invalid,
        ),
        (
            loss.impossible_reads,
            "reads of what nobody wrote",
            Verdict::Invalid,
        ),
        (
            loss.unjudged_keys,
            "keys about which nothing can be said",
            Verdict::Unknown,
        ),
    ] {
        if count > 0 {
            verdict = verdict.max(its);
            detail = format!("{detail}; {count} {what}");
        }
    }
    if !loss.incomplete_sources.is_empty() {
        verdict = verdict.max(Verdict::Unknown);
        let reasons: Vec<String> = loss
            .incomplete_sources
            .iter()
            .map(|(s, why)| format!("{s}: {why}"))
            .collect();
        detail = format!("{detail}; incomplete reads: {}", reasons.join("; "));
    }
    if found.iter().any(|(class, _, _)| !expected_kind(*class)) {
        verdict = Verdict::Invalid;
    }
    check(name, verdict, detail)
}

fn explained(explained: Option<&Explained>) -> CheckResult {
    let name = "every loss is accounted for by the system's records, and no other";
    let Some(e) = explained else {
        return check(
            name,
            Verdict::Unknown,
            "the system's records could not be read",
        );
    };
    let verdict = if e.unexplained.is_empty() && e.found_alive.is_empty() {
        Verdict::Valid
    } else {
        Verdict::Invalid
    };
    let detail = format!(
        "{} predicted, {} of them lost, stale or resurrected; {} without explanation; {} found alive",
        e.predicted,
        e.explained,
        e.unexplained.len(),
        e.found_alive.len()
    );
    check(name, verdict, detail)
}

#[cfg(test)]
mod tests {
    use shakedown_checker::loss::ClassCounts;
    use shakedown_reports::results::Span;

    use super::*;
    use crate::scenario::Catalogue;

    /// A run of a scenario that has a fault, phases, endangered documents and a minimum of writes.
    struct Run {
        faults: Vec<FaultResult>,
        actions: Vec<ActionResult>,
        checkpoints: Vec<CheckpointResult>,
        marks: BTreeMap<String, BTreeSet<String>>,
        unfinished: Vec<String>,
        endangered: Option<u64>,
        recovered: Result<(), String>,
    }

    fn scenario(name: &str) -> Scenario {
        let catalogue = Catalogue::embedded().unwrap();
        catalogue.select(name).unwrap().remove(0).0
    }

    /// Everything happened as promised.
    fn good_run(scenario: &Scenario) -> Run {
        let loss = LossReport {
            acknowledged_writes: 1_000_000,
            keys: 10,
            ..LossReport::default()
        };
        Run {
            faults: vec![FaultResult {
                name: "reset-new".to_owned(),
                kind: "reset".to_owned(),
                summary: String::new(),
                start_ns: 0,
                end_ns: 1,
                outcome: "installed".to_owned(),
                evidence: Vec::new(),
            }],
            actions: Vec::new(),
            checkpoints: vec![CheckpointResult {
                name: "final".to_owned(),
                time_ns: 1,
                loss,
                explained: None,
            }],
            marks: BTreeMap::from([(
                "phase".to_owned(),
                scenario.expect.phases.iter().cloned().collect(),
            )]),
            unfinished: Vec::new(),
            endangered: Some(7),
            recovered: Ok(()),
        }
    }

    fn judge(scenario: &Scenario, run: Run) -> Verdict {
        let record = Record {
            faults: &run.faults,
            actions: &run.actions,
            checkpoints: &run.checkpoints,
            captures: &BTreeMap::new(),
            marks: &run.marks,
            unfinished: &run.unfinished,
            endangered: run.endangered,
            recovered: run.recovered,
        };
        verdict(&evaluate(scenario, &record))
    }

    const SAFE: &str = "cutover_chaos_with_anti_entropy";
    const UNSAFE: &str = "cutover_chaos_loss_rate_no_ae_no_delta";

    #[test]
    fn a_run_that_did_all_it_promised_and_lost_nothing_is_valid() {
        let scenario = scenario(SAFE);
        assert_eq!(judge(&scenario, good_run(&scenario)), Verdict::Valid);
    }

    #[test]
    fn whatever_was_not_exercised_makes_a_run_unknown() {
        let scenario = scenario(SAFE);
        let spoils: [fn(&mut Run); 8] = [
            |run| run.faults[0].outcome = "skipped".to_owned(),
            |run| run.faults[0].outcome = "indeterminate".to_owned(),
            |run| run.marks.clear(),
            |run| run.unfinished.push("cutover".to_owned()),
            |run| run.endangered = Some(0),
            |run| run.endangered = None,
            |run| run.recovered = Err("still down".to_owned()),
            |run| run.checkpoints[0].loss.acknowledged_writes = 3999,
        ];
        for (number, spoil) in spoils.into_iter().enumerate() {
            let mut run = good_run(&scenario);
            spoil(&mut run);
            assert_eq!(judge(&scenario, run), Verdict::Unknown, "spoil {number}");
        }
    }

    #[test]
    fn an_incomplete_or_missing_final_read_makes_a_run_unknown() {
        let scenario = scenario(SAFE);
        let mut run = good_run(&scenario);
        run.checkpoints[0]
            .loss
            .incomplete_sources
            .push(("n2".to_owned(), "timed out".to_owned()));
        assert_eq!(judge(&scenario, run), Verdict::Unknown);
        let mut run = good_run(&scenario);
        run.checkpoints.clear();
        assert_eq!(judge(&scenario, run), Verdict::Unknown);
    }

    #[test]
    fn any_bad_class_is_invalid_even_if_the_fault_did_not_happen() {
        let scenario = scenario(SAFE);
        let counts: [ClassCounts; 7] = [
            ClassCounts {
                lost: 1,
                ..ClassCounts::default()
            },
            ClassCounts {
                stale: 1,
                ..ClassCounts::default()
            },
            ClassCounts {
                resurrected: 1,
                ..ClassCounts::default()
            },
            ClassCounts {
                corrupted: 1,
                ..ClassCounts::default()
            },
            ClassCounts {
                phantom: 1,
                ..ClassCounts::default()
            },
            ClassCounts {
                misplaced: 1,
                ..ClassCounts::default()
            },
            ClassCounts {
                left_behind: 1,
                ..ClassCounts::default()
            },
        ];
        for counts in counts {
            let mut run = good_run(&scenario);
            run.faults[0].outcome = "skipped".to_owned();
            run.checkpoints[0].loss.counts = counts.clone();
            assert_eq!(judge(&scenario, run), Verdict::Invalid, "{counts:?}");
        }
    }

    #[test]
    fn what_no_client_wrote_is_invalid_and_what_cannot_be_judged_unknown() {
        let scenario = scenario(SAFE);
        let with = |change: fn(&mut LossReport)| {
            let mut run = good_run(&scenario);
            change(&mut run.checkpoints[0].loss);
            judge(&scenario, run)
        };
        assert_eq!(with(|loss| loss.foreign = 1), Verdict::Invalid);
        assert_eq!(with(|loss| loss.impossible_reads = 1), Verdict::Invalid);
        assert_eq!(with(|loss| loss.unjudged_keys = 1), Verdict::Unknown);
    }

    #[test]
    fn an_expected_loss_must_be_seen_and_accounted_for() {
        let scenario = scenario(UNSAFE);
        let run = |lost, explained: Option<Explained>| {
            let mut run = good_run(&scenario);
            run.checkpoints[0].loss.counts.lost = lost;
            run.checkpoints[0].explained = explained;
            judge(&scenario, run)
        };
        let good = Explained {
            predicted: 2,
            explained: 2,
            unexplained: Vec::new(),
            found_alive: Vec::new(),
            at_risk: None,
        };
        assert_eq!(run(2, Some(good.clone())), Verdict::Valid);
        assert_eq!(
            run(
                0,
                Some(Explained {
                    predicted: 0,
                    explained: 0,
                    ..good.clone()
                })
            ),
            Verdict::Unknown
        );
        assert_eq!(run(2, None), Verdict::Unknown);
        assert_eq!(
            run(
                2,
                Some(Explained {
                    unexplained: vec![4],
                    ..good.clone()
                })
            ),
            Verdict::Invalid
        );
        assert_eq!(
            run(
                2,
                Some(Explained {
                    found_alive: vec![4],
                    ..good
                })
            ),
            Verdict::Invalid
        );
    }

    #[test]
    fn a_refusal_that_does_not_come_is_invalid_and_any_other_failed_action_unknown() {
        let scenario = scenario(UNSAFE);
        let explained = Explained {
            predicted: 1,
            explained: 1,
            unexplained: vec![],
            found_alive: vec![],
            at_risk: None,
        };
        let with = |name: &str| {
            let mut run = good_run(&scenario);
            run.checkpoints[0].loss.counts.lost = 1;
            run.checkpoints[0].explained = Some(explained.clone());
            run.actions.push(ActionResult {
                span: Span {
                    name: name.to_owned(),
                    start_ns: 0,
                    end_ns: 1,
                },
                command: String::new(),
                exit_status: 0,
                output: String::new(),
                as_expected: false,
            });
            judge(&scenario, run)
        };
        assert_eq!(with("refused-by-configuration"), Verdict::Invalid);
        assert_eq!(with("cutover"), Verdict::Unknown);
    }
}
