//! Core dumps of services: they may be written, and it is said where they are. Where the kernel puts them is a setting of
//! the whole machine, which is read and never changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use regex::Regex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::protocol::CoreFile;

/// File systems round times.
const ROUNDED_BY: Duration = Duration::from_secs(2);

/// Lets this process, and what it executes, write as long a core as its hard limit allows; by default that is none.
pub(crate) fn allow() {
    let limit = getrlimit(Resource::Core);
    // Nobody is kept from raising a limit as far as this. Without it there would be no core, and all else the same.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// Where the kernel puts cores; core(5).
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
    /// Whether names without the process number get it.
    with_pid: bool,
}

impl Pattern {
    /// The machine's; `None` if it can't be read.
    pub(crate) fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/sys/kernel/core_pattern").ok()?;
        let with_pid = fs::read_to_string("/proc/sys/kernel/core_uses_pid").ok()?;
        Some(Pattern {
            text: text.trim_end_matches('\n').to_owned(),
            with_pid: with_pid.trim() != "0",
        })
    }

    /// What became of the core of a process that was started in `dir` at `since` and has written one: in words, and the
    /// file if it is found.
    pub(crate) fn find(
        &self,
        dir: &Path,
        pid: u32,
        since: SystemTime,
    ) -> (String, Option<CoreFile>) {
        let text = &self.text;
        if text.starts_with(['|', '@']) {
            return (
                format!("core handed over as core_pattern says: `{text}`"),
                None,
            );
        }
        let (place, name) = match text.rsplit_once('/') {
            // An absolute path takes the place of the directory.
            Some((place, name)) => (dir.join(format!("{place}/")), name),
            None => (dir.to_owned(), text.as_str()),
        };
        match newest(&place, &self.name(name, pid), since) {
            Some(core) => (
                format!("core dumped: {} ({} bytes)", core.path, core.bytes),
                Some(core),
            ),
            None => (
                format!(
                    "core dumped as core_pattern says: `{text}`; not found in {}",
                    place.display()
                ),
                None,
            ),
        }
    }

    /// What the name of a core looks like, as a regular expression.
    fn name(&self, name: &str, pid: u32) -> String {
        let mut pattern = String::from("^");
        let mut characters = name.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => match characters.next() {
                    Some('%') => pattern.push('%'),
                    Some('p') => pattern += &pid.to_string(),
                    Some(_) => pattern += ".*",
                    None => {}
                },
                other => pattern += &regex::escape(&other.to_string()),
            }
        }
        if self.with_pid && !self.text.contains("%p") {
            pattern += &format!("\\.{pid}");
        }
        pattern + "$"
    }
}

/// The newest file whose name matches and that was written since then.
fn newest(place: &Path, name: &str, since: SystemTime) -> Option<CoreFile> {
    let name = Regex::new(name).ok()?;
    let candidates = fs::read_dir(place).ok()?.flatten().filter_map(|entry| {
        let path: PathBuf = entry.path();
        let matches = name.is_match(entry.file_name().to_str()?);
        let file = entry.metadata().ok().filter(|_| matches)?;
        let written = file.modified().ok()?;
        (file.is_file() && written + ROUNDED_BY >= since).then_some((written, path, file.len()))
    });
    let (_, path, bytes) = candidates.max_by_key(|(written, ..)| *written)?;
    Some(CoreFile {
        path: path.to_str()?.to_owned(),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str, with_pid: bool) -> Pattern {
        Pattern {
            text: text.to_owned(),
            with_pid,
        }
    }

    #[test]
    fn a_core_is_found_by_the_pattern_that_named_it() {
        let dir = tempfile::tempdir().unwrap();
        let began = SystemTime::now();
        for name in ["core", "core.7", "core-web%7", "other", "core.8"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/core"), "in sub").unwrap();
        let at = dir.path().display();
        for (text, with_pid, expected) in [
            ("core", false, "core"),
            ("core", true, "core.7"),
            ("core.%p", true, "core.7"),
            ("core-%e%%%p", false, "core-web%7"),
            ("sub/core", false, "sub/core"),
        ] {
            let (words, core) = pattern(text, with_pid).find(dir.path(), 7, began);
            let bytes = fs::metadata(dir.path().join(expected)).unwrap().len();
            assert_eq!(
                words,
                format!("core dumped: {at}/{expected} ({bytes} bytes)")
            );
            assert_eq!(core.unwrap().path, format!("{at}/{expected}"));
        }
        let absolute = format!("{at}/core.%p");
        let elsewhere = tempfile::tempdir().unwrap();
        let (_, core) = pattern(&absolute, false).find(elsewhere.path(), 8, began);
        assert_eq!(core.unwrap().path, format!("{at}/core.8"));
    }

    #[test]
    fn what_is_not_there_or_older_is_no_core_and_a_program_that_takes_it_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let (words, core) = pattern("core.%t", false).find(dir.path(), 7, SystemTime::now());
        assert!(words.contains("`core.%t`; not found in "), "{words}");
        assert_eq!(core, None);
        fs::write(dir.path().join("core"), "old").unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(pattern("core", false).find(dir.path(), 7, later).1, None);
        let (words, core) = pattern("|/bin/take %p", false).find(dir.path(), 7, SystemTime::now());
        assert!(words.ends_with("`|/bin/take %p`"), "{words}");
        assert_eq!(core, None);
    }
}
