//! Bytes of a service's files changed behind its back, with a record of each change.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3::xxh3_64;

use super::nothing;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::{Order, time_to_effect};
use crate::agent::ledger::{Entry, UndoStep};
use crate::agent::service::Record;
use crate::agent::state_dir::StateLock;
use crate::fault::local::{Damage, Range, pattern};
use crate::outcome::{Evidence, NodeOutcome, Outcome};

/// Changes that are listed one by one.
const LISTED: usize = 50;

/// Bytes read and written at a time when content is put back.
const STEP: u64 = 1 << 20;

/// More than this much is not kept to be put back.
const MOST_KEPT: u64 = 1 << 30;

/// A change that was made.
struct Change {
    file: PathBuf,
    at: u64,
    /// Checksums (XXH3) of what was and is there.
    before: (u64, u64),
    after: (u64, u64),
}

/// Keeps a copy of what is to be put back.
pub(super) fn prepare(
    lock: &StateLock<'_>,
    order: Order<'_>,
    (service, files): (&str, &str),
    damage: Damage,
) -> Result<Vec<UndoStep>, AgentError> {
    let (Damage::Restore { .. }, false) = (damage, order.noop) else {
        return Ok(Vec::new());
    };
    let Some((base, found)) = matching(lock, service, files)? else {
        return Ok(Vec::new());
    };
    let directory = lock.state.root().join("kept");
    let directory = directory.join(format!("{}.{}", order.run, order.fault));
    let total: u64 = found.iter().map(|file| length(file)).sum();
    if total > MOST_KEPT {
        return Err(AgentError::Refused(format!(
            "corrupt: {total} bytes match, more than {MOST_KEPT} are not kept to be put back"
        )));
    }
    for file in found {
        let copy = directory.join(file.strip_prefix(&base).unwrap_or(&file));
        let parent = copy.parent().unwrap_or(&directory);
        fs::create_dir_all(parent).map_err(AgentError::file("make", parent))?;
        fs::copy(&file, &copy).map_err(AgentError::file("copy to", &copy))?;
    }
    Ok(vec![UndoStep::RemoveFiles { directory }])
}

/// Changes every file that matches.
pub(super) fn strike(
    lock: &StateLock<'_>,
    entry: &Entry,
    (service, files, damage, seed): (&str, &str, Damage, u64),
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    if noop {
        return Ok(nothing("files"));
    }
    let Some((base, found)) = matching(lock, service, files)? else {
        return Ok(NodeOutcome {
            outcome: Outcome::Skipped,
            evidence: vec![evidence(format!("service {service}"), "never started here")],
        });
    };
    let kept = entry.undo.iter().find_map(|step| match step {
        UndoStep::RemoveFiles { directory } => Some(directory.as_path()),
        _ => None,
    });
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut changes = Vec::new();
    for file in &found {
        let inside = file.strip_prefix(&base).unwrap_or(file);
        let copy = kept.map(|kept| kept.join(inside));
        changes.extend(
            change(file, damage, copy.as_deref(), &mut random)
                .map_err(AgentError::file("change", file))?,
        );
    }
    let differing = changes.iter().filter(|c| c.before != c.after).count();
    let mut seen = vec![evidence(
        "files that match",
        format!("{}, {differing} places changed", found.len()),
    )];
    seen.extend(changes.iter().take(LISTED).map(|c| c.evidence(&base)));
    if changes.len() > LISTED {
        let more = (changes.len() - LISTED).to_string();
        seen.push(evidence("places not listed", more));
    }
    seen.push(time_to_effect(ordered));
    Ok(NodeOutcome {
        outcome: match differing {
            0 => Outcome::Skipped,
            _ => Outcome::Installed,
        },
        evidence: seen,
    })
}

impl Change {
    fn evidence(&self, base: &Path) -> Evidence {
        let file = self.file.strip_prefix(base).unwrap_or(&self.file);
        let what = format!("{} at byte {}", file.display(), self.at);
        let part = |(length, sum): (u64, u64)| format!("{length} bytes, XXH3 {sum:016x}");
        evidence(
            what,
            format!("{} -> {}", part(self.before), part(self.after)),
        )
    }
}

/// The service's directory and the files in it that match, by name; `None` if it was never started here.
/// Links are not followed, and other file systems not entered but that of the directory itself.
fn matching(
    lock: &StateLock<'_>,
    service: &str,
    files: &str,
) -> Result<Option<(PathBuf, Vec<PathBuf>)>, AgentError> {
    let Some(record) = Record::load(lock, service)? else {
        return Ok(None);
    };
    let base = Path::new(&record.service.dir);
    let base = fs::canonicalize(base).map_err(AgentError::file("resolve", base))?;
    if base.parent().is_none() || lock.state.root().starts_with(&base) {
        return Err(AgentError::Refused(format!(
            "corrupt: {} is no directory of the service's own",
            base.display()
        )));
    }
    let pattern = pattern(files).map_err(AgentError::Refused)?;
    let device = fs::metadata(&base)
        .map_err(AgentError::file("look at", &base))?
        .dev();
    let mut found = Vec::new();
    let mut open = vec![base.clone()];
    while let Some(directory) = open.pop() {
        let read = |error| AgentError::file("read", &directory)(error);
        for item in fs::read_dir(&directory).map_err(read)? {
            let item = item.map_err(read)?;
            // One that vanished meanwhile is not there to be changed.
            let Ok(metadata) = item.metadata() else {
                continue;
            };
            let path = item.path();
            if metadata.is_dir() && metadata.dev() == device {
                open.push(path);
            } else if metadata.is_file() {
                let inside = path.strip_prefix(&base).unwrap_or(&path);
                if inside
                    .to_str()
                    .is_some_and(|inside| pattern.is_match(inside))
                {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    Ok(Some((base, found)))
}

fn change(
    path: &Path,
    damage: Damage,
    kept: Option<&Path>,
    random: &mut ChaCha8Rng,
) -> io::Result<Vec<Change>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut changes = Vec::new();
    let mut put = |at: u64, bytes: &[u8]| -> io::Result<()> {
        let before = checksum(&file, at, bytes.len() as u64)?;
        file.write_all_at(bytes, at)?;
        let after = checksum(&file, at, bytes.len() as u64)?;
        changes.push(Change {
            file: path.to_owned(),
            at,
            before,
            after,
        });
        Ok(())
    };
    match damage {
        Damage::Flip { bits, within } => {
            let (from, to) = bounds(within, length);
            for _ in 0..bits {
                if from == to {
                    break;
                }
                let at = random.random_range(from..to);
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                put(at, &[byte[0] ^ (1 << random.random_range(0..8_u8))])?;
            }
        }
        Damage::Copy { bytes, within } => {
            let (from, to) = bounds(within, length);
            let bytes = bytes.min((to - from) / 2);
            if bytes > 0 {
                let source = random.random_range(from..=to - bytes);
                let target = random.random_range(from..=to - bytes);
                let mut chunk = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
                file.read_exact_at(&mut chunk, source)?;
                put(target, &chunk)?;
            }
        }
        Damage::Truncate { bytes } => {
            let left = length.saturating_sub(bytes);
            let before = checksum(&file, left, length - left)?;
            file.set_len(left)?;
            changes.push(Change {
                file: path.to_owned(),
                at: left,
                before,
                after: checksum(&file, left, length - left)?,
            });
        }
        Damage::Restore { within } => {
            // One that came later has no older content.
            let Some(old) = kept.and_then(|kept| File::open(kept).ok()) else {
                return Ok(changes);
            };
            let old_length = old.metadata()?.len();
            let (from, to) = bounds(within, old_length);
            for at in (from..to).step_by(STEP as usize) {
                let size = usize::try_from(STEP.min(to - at)).map_err(io::Error::other)?;
                let mut chunk = vec![0; size];
                old.read_exact_at(&mut chunk, at)?;
                put(at, &chunk)?;
            }
            if within == Range::default() {
                file.set_len(old_length)?;
            }
        }
    }
    Ok(changes)
}

/// The first byte of a part and that after its last.
fn bounds(within: Range, length: u64) -> (u64, u64) {
    let from = within.from.min(length);
    let to = within
        .length
        .map_or(length, |part| from.saturating_add(part).min(length));
    (from, to)
}

/// How many bytes there are at a place, at most so many, and their XXH3.
fn checksum(file: &File, at: u64, length: u64) -> io::Result<(u64, u64)> {
    let there = file.metadata()?.len().saturating_sub(at).min(length);
    let mut bytes = vec![0; usize::try_from(there).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok((there, xxh3_64(&bytes)))
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(damage: Damage, kept: Option<&[u8]>, content: &[u8]) -> (Vec<u8>, usize) {
        let home = tempfile::tempdir().unwrap();
        let (file, copy) = (home.path().join("file"), home.path().join("kept"));
        fs::write(&file, content).unwrap();
        let copy = kept.map(|bytes| {
            fs::write(&copy, bytes).unwrap();
            copy.as_path()
        });
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let changes = change(&file, damage, copy, &mut random).unwrap();
        let differing = changes.iter().filter(|c| c.before != c.after).count();
        (fs::read(&file).unwrap(), differing)
    }

    fn bits_that_differ(a: &[u8], b: &[u8]) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn one_flipped_bit_is_one_flipped_bit_and_lies_where_it_may() {
        let within = Range {
            from: 40,
            length: Some(10),
        };
        let (after, places) = changed(Damage::Flip { bits: 1, within }, None, &[0; 100]);
        assert_eq!((bits_that_differ(&after, &[0; 100]), places), (1, 1));
        assert_eq!(bits_that_differ(&after[40..50], &[0; 10]), 1);
    }

    #[test]
    fn a_truncated_file_keeps_its_beginning() {
        let (after, places) = changed(Damage::Truncate { bytes: 3 }, None, b"0123456789");
        assert_eq!((after.as_slice(), places), (b"0123456".as_slice(), 1));
        let (after, _) = changed(Damage::Truncate { bytes: 30 }, None, b"0123456789");
        assert!(after.is_empty());
    }

    #[test]
    fn what_is_copied_was_there_and_the_length_stays() {
        let content: Vec<u8> = (0..=255).collect();
        let within = Range::default();
        let (after, places) = changed(Damage::Copy { bytes: 16, within }, None, &content);
        assert_eq!((after.len(), places), (256, 1));
        assert_ne!(after, content);
        assert!(
            after
                .windows(2)
                .filter(|w| w[1] != w[0].wrapping_add(1))
                .count()
                <= 2
        );
    }

    #[test]
    fn older_content_is_put_back_with_its_length_and_a_newer_file_left_alone() {
        let within = Range::default();
        let damage = Damage::Restore { within };
        let (after, _) = changed(damage, Some(b"old"), b"newer and longer");
        assert_eq!(after, b"old");
        let (after, places) = changed(damage, None, b"newer");
        assert_eq!((after.as_slice(), places), (b"newer".as_slice(), 0));
    }

    #[test]
    fn an_empty_file_and_a_part_beyond_the_end_have_nothing_to_change() {
        let within = Range {
            from: 1000,
            length: None,
        };
        for damage in [
            Damage::Flip { bits: 3, within },
            Damage::Copy { bytes: 4, within },
        ] {
            assert_eq!(changed(damage, None, b"short"), (b"short".to_vec(), 0));
        }
    }
}
