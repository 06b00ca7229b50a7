//! `miroir predict`: which documents NEW lacks or holds older, by the audit log, when no delta pass runs.
//!
//! For each document the states of OLD and NEW are played through. OLD has its acknowledged writes, and before them
//! a document or none (`old_had` of the first). NEW has the dual writes it acknowledged and what each copied page
//! that covers the key found on OLD at the page's commit; of those the highest stamp counts. If OLD ends newer:
//! `lost` (OLD has the document, NEW has none), `stale` (NEW has an older one) or `resurrected` (OLD has deleted it).
//!
//! What the router cannot know is not guessed: where a failure may have been applied after all (a reset, a time-out)
//! and that makes a difference, the verdict is `maybe`, with `kind` and `cause`: what is true if it was not applied.
//! Records lost with a crash of the router make the prediction incomplete.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::BufRead as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use super::record::{CopiedPage, DualWrite, Line};

/// Options of `miroir predict`.
#[derive(Debug, clap::Args)]
pub(crate) struct PredictArgs {
    /// Audit logs of the router
    #[arg(long, required = true, num_args = 1..)]
    audit: Vec<PathBuf>,
}

/// What is expected of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Expectation {
    /// Primary key.
    pub(crate) id: String,
    /// `lost`, `stale`, `resurrected` or `maybe`.
    pub(crate) expect: &'static str,
    /// For `maybe`: what it is if the uncertain write was not applied (`none` if it only is wrong if it was).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'static str>,
    /// For `maybe`: how the uncertain write failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// The migration.
    pub(crate) migration: u64,
}

/// Prints how many documents were at risk, the dual writes of each shard and how many of them failed on NEW, then
/// one JSON line per document that is not expected to survive.
pub(crate) fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let mut damaged = 0_u64;
    for path in &args.audit {
        let file =
            std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        for line in std::io::BufReader::new(file).split(b'\n') {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            match serde_json::from_slice(&line) {
                Ok(line) => lines.push(line),
                Err(_) => damaged += u64::from(!line.is_empty()),
            }
        }
    }
    if damaged > 0 {
        eprintln!("{damaged} damaged lines were skipped: the prediction may be incomplete");
    }
    println!("{}", serde_json::json!({ "at_risk": at_risk(&lines) }));
    for (shard, (writes, failed)) in dual_writes(&lines) {
        let group = shard.to_string();
        println!(
            "{}",
            serde_json::json!({ "group": group, "dual_writes": writes, "failed": failed })
        );
    }
    for expectation in predict(lines) {
        println!("{}", serde_json::to_string(&expectation)?);
    }
    Ok(())
}

/// Documents of which OLD acknowledged a write while NEW was written, too: each could have failed on NEW.
fn at_risk(lines: &[Line]) -> usize {
    let written = lines.iter().filter_map(|line| match line {
        Line::Write(w) if w.old_ok => Some((w.migration, &w.id)),
        _ => None,
    });
    written.collect::<BTreeSet<_>>().len()
}

/// By shard: writes that OLD acknowledged and that went to NEW, too, and those of them that NEW failed.
fn dual_writes(lines: &[Line]) -> BTreeMap<u32, (u64, u64)> {
    let mut shards: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for line in lines {
        if let Line::Write(w) = line
            && w.old_ok
        {
            let of_shard = shards.entry(w.shard).or_default();
            of_shard.0 += 1;
            of_shard.1 += u64::from(!w.new_ok);
        }
    }
    shards
}

/// What follows from the records; in order of migration and key.
fn predict(lines: Vec<Line>) -> Vec<Expectation> {
    let mut writes: BTreeMap<(u64, String), Vec<DualWrite>> = BTreeMap::new();
    let mut pages: HashMap<(u64, u32), Vec<CopiedPage>> = HashMap::new();
    let mut given_up = Vec::new();
    for line in lines {
        match line {
            Line::Write(w) => writes
                .entry((w.migration, w.id.clone()))
                .or_default()
                .push(w),
            Line::Page(p) => pages.entry((p.migration, p.shard)).or_default().push(p),
            Line::GivenUp { migration } => given_up.push(migration),
        }
    }
    writes
        .into_iter()
        .filter(|((migration, _), _)| !given_up.contains(migration))
        .filter_map(|((migration, id), mut writes)| {
            writes.sort_by_key(|w| w.stamp);
            let covering: Vec<u64> = pages
                .get(&(migration, writes[0].shard))
                .map(|pages| {
                    pages
                        .iter()
                        .filter(|p| p.covers(&id))
                        .map(|p| p.seq)
                        .collect()
                })
                .unwrap_or_default();
            let (expect, kind, cause) = judge(&writes, &covering)?;
            Some(Expectation {
                id,
                expect,
                kind,
                cause,
                migration,
            })
        })
        .collect()
}

impl CopiedPage {
    fn covers(&self, id: &str) -> bool {
        let from = self.after.as_deref().is_none_or(|after| id > after);
        from && (self.end || self.last.as_deref().is_some_and(|last| id <= last))
    }
}

type Verdict = (&'static str, Option<&'static str>, Option<String>);

fn judge(writes: &[DualWrite], pages: &[u64]) -> Option<Verdict> {
    let if_not = compare(writes, pages, false);
    // Only writes to OLD with a certain end have a place in its history.
    let doubtful = writes.iter().find(|w| !w.old_ok && !w.old_certain);
    let if_applied = compare(writes, pages, true);
    if if_not == if_applied && (doubtful.is_none() || if_not.is_none()) {
        return if_not.map(|kind| (kind, None, None));
    }
    let cause = doubtful.and_then(|w| w.old_failure.clone()).or_else(|| {
        writes
            .iter()
            .rev()
            .find(|w| !w.new_ok && !w.new_certain)
            .and_then(|w| w.new_failure.clone())
    });
    Some(("maybe", Some(if_not.unwrap_or("none")), cause))
}

/// OLD's end against NEW's, with NEW's uncertain writes taken as applied or not.
fn compare(writes: &[DualWrite], pages: &[u64], uncertain_applied: bool) -> Option<&'static str> {
    let old: Vec<&DualWrite> = writes.iter().filter(|w| w.old_ok).collect();
    let base = old
        .iter()
        .min_by_key(|w| (w.old_seq, w.stamp))
        .is_some_and(|w| w.old_had);
    let copied = pages.iter().map(|&seq| {
        let seen = old
            .iter()
            .rev()
            .find(|w| w.old_seq.is_some_and(|s| s <= seq));
        seen.map_or((0, base), |w| (w.stamp, !w.delete))
    });
    let sent = writes
        .iter()
        .filter(|w| w.new_ok || (uncertain_applied && !w.new_certain))
        .map(|w| (w.stamp, !w.delete));
    let new = copied.chain(sent).max().unwrap_or((0, false));
    let last = old.last()?;
    match (last.stamp > new.0, last.delete, new.1) {
        (false, ..) | (true, true, false) => None,
        (true, false, false) => Some("lost"),
        (true, false, true) => Some("stale"),
        (true, true, true) => Some("resurrected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(stamp: u64, old_seq: u64, new: Result<(), &str>) -> DualWrite {
        DualWrite {
            id: "k".to_owned(),
            shard: 0,
            stamp,
            old_ok: true,
            old_seq: Some(old_seq),
            new_ok: new.is_ok(),
            delete: false,
            old_had: stamp > 1,
            old_failure: None,
            old_certain: true,
            new_failure: new.err().map(str::to_owned),
            new_certain: new.err().is_none_or(|f| f == "refused"),
            migration: 1,
        }
    }

    fn delete(stamp: u64, old_seq: u64, new: Result<(), &str>) -> DualWrite {
        DualWrite {
            delete: true,
            ..put(stamp, old_seq, new)
        }
    }

    fn page(after: Option<&str>, last: Option<&str>, seq: u64) -> Line {
        let end = last.is_none();
        let (after, last) = (after.map(str::to_owned), last.map(str::to_owned));
        Line::Page(CopiedPage {
            shard: 0,
            after,
            first: None,
            last,
            seq,
            docs: 0,
            end,
            migration: 1,
        })
    }

    fn expect(
        writes: Vec<DualWrite>,
        pages: Vec<Line>,
    ) -> Vec<(&'static str, Option<&'static str>)> {
        let lines = writes.into_iter().map(Line::Write).chain(pages).collect();
        predict(lines)
            .into_iter()
            .map(|e| (e.expect, e.kind))
            .collect()
    }

    const REFUSED: Result<(), &str> = Err("refused");
    const RESET: Result<(), &str> = Err("reset");

    #[test]
    fn a_write_refused_by_new_after_its_page_is_lost() {
        assert_eq!(
            expect(vec![put(1, 5, REFUSED)], vec![page(None, None, 4)]),
            [("lost", None)]
        );
    }

    #[test]
    fn a_write_refused_by_new_before_its_page_is_copied() {
        assert_eq!(
            expect(vec![put(1, 5, REFUSED)], vec![page(None, None, 5)]),
            []
        );
    }

    #[test]
    fn a_page_covers_only_its_range() {
        assert_eq!(
            expect(vec![put(1, 5, REFUSED)], vec![page(None, Some("j"), 9)]),
            [("lost", None)]
        );
        assert_eq!(
            expect(vec![put(1, 5, REFUSED)], vec![page(Some("k"), None, 9)]),
            [("lost", None)]
        );
        assert_eq!(
            expect(
                vec![put(1, 5, REFUSED)],
                vec![page(Some("j"), Some("k"), 9)]
            ),
            []
        );
    }

    #[test]
    fn a_later_write_that_new_takes_heals_an_earlier_failure() {
        assert_eq!(
            expect(
                vec![put(1, 5, REFUSED), put(2, 6, Ok(()))],
                vec![page(None, None, 4)]
            ),
            []
        );
    }

    #[test]
    fn a_failed_update_of_a_copied_document_is_stale() {
        assert_eq!(
            expect(vec![put(2, 6, REFUSED)], vec![page(None, None, 4)]),
            [("stale", None)]
        );
    }

    #[test]
    fn a_failed_delete_of_a_copied_document_resurrects_it() {
        assert_eq!(
            expect(vec![delete(2, 6, REFUSED)], vec![page(None, None, 4)]),
            [("resurrected", None)]
        );
        assert_eq!(
            expect(vec![delete(2, 6, REFUSED)], vec![page(None, None, 6)]),
            []
        );
        assert_eq!(
            expect(vec![delete(1, 6, REFUSED)], vec![page(None, None, 4)]),
            []
        );
    }

    #[test]
    fn a_reset_is_only_maybe_lost() {
        assert_eq!(
            expect(vec![put(1, 5, RESET)], vec![page(None, None, 4)]),
            [("maybe", Some("lost"))]
        );
    }

    #[test]
    fn dual_writes_and_failures_on_new_are_counted_by_shard() {
        let on = |shard, write: DualWrite| Line::Write(DualWrite { shard, ..write });
        let lines = [
            on(5, put(1, 5, REFUSED)),
            on(5, put(2, 6, Ok(()))),
            on(3, put(1, 7, Ok(()))),
        ];
        let expected = BTreeMap::from([(3, (1, 0)), (5, (2, 1))]);
        assert_eq!(dual_writes(&lines), expected);
    }

    #[test]
    fn nothing_is_expected_of_a_migration_that_was_given_up() {
        let lines = vec![
            Line::Write(put(1, 5, REFUSED)),
            Line::GivenUp { migration: 1 },
        ];
        assert_eq!(predict(lines), []);
    }
}
