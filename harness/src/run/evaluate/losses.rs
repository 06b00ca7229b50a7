//! Losses at a checkpoint against what is expected there.

use shakedown_checker::loss::{KeyClass, LossReport};
use shakedown_reports::results::{CheckResult, Explained, Verdict};

use super::check;
use crate::scenario::Loss;

pub(super) fn judge_loss(
    checkpoint: &str,
    loss: &LossReport,
    expected: Loss,
    allow: &[KeyClass],
    unmended: &[&str],
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
    let mendable = |class: KeyClass| {
        matches!(
            class,
            KeyClass::Lost | KeyClass::Stale | KeyClass::Resurrected
        )
    };
    let expected_kind =
        |class: KeyClass| allow.contains(&class) || (expected == Loss::Some && mendable(class));
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
    for (class, _, _) in &found {
        if expected_kind(*class) {
            continue;
        }
        verdict = verdict.max(match mendable(*class) && !unmended.is_empty() {
            true => Verdict::Unknown,
            false => Verdict::Invalid,
        });
    }
    if !unmended.is_empty() && !found.is_empty() {
        let not_done = unmended.join("`, `");
        detail = format!("{detail}; `{not_done}`, which mends copies, was not done before");
    }
    check(name, verdict, detail)
}

/// A document that the records say must be lost may still be alive if what would have lost it never ran.
pub(super) fn explained(explained: Option<&Explained>, finished: bool) -> CheckResult {
    let name = "every loss is accounted for by the system's records, and no other";
    let Some(e) = explained else {
        return check(
            name,
            Verdict::Unknown,
            "the system's records could not be read",
        );
    };
    let verdict = match (e.unexplained.is_empty(), e.found_alive.is_empty()) {
        (true, true) => Verdict::Valid,
        (true, false) if !finished => Verdict::Unknown,
        _ => Verdict::Invalid,
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
