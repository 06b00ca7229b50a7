//! The pages of documentation, and what stands in them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every page, relative to the repository.
pub(crate) fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages.sort();
    pages
}

pub(crate) fn read(page: &str) -> String {
    let path = repository().join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The contents of code blocks with this info string; also of indented ones.
pub(crate) fn fenced(text: &str, info: &str) -> Vec<String> {
    blocks(text, |found| found == info)
}

fn blocks(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Vec<&str>)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(found)) => open = Some((wanted(found.trim()), Vec::new())),
            (Some(_), Some(_)) => {
                if let Some((true, lines)) = open.take() {
                    blocks.push(lines.join("\n") + "\n");
                }
            }
            (Some((_, lines)), None) => lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a code block is not closed");
    blocks
}

/// The page without its code blocks and code spans.
pub(crate) fn prose(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The cells of the rows of the first table after a line.
pub(crate) fn table_after(text: &str, line: &str) -> Vec<Vec<String>> {
    let (_, rest) = text
        .split_once(line)
        .unwrap_or_else(|| panic!("no {line:?}"));
    rest.lines()
        .skip_while(|l| !l.starts_with('|'))
        .take_while(|l| l.starts_with('|'))
        .skip(2)
        .map(|row| {
            row.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// The keys in the table after the marker `<!-- keys: SECTION -->`.
pub(crate) fn documented_keys(text: &str, section: &str) -> BTreeSet<String> {
    let rows = table_after(text, &format!("<!-- keys: {section} -->"));
    let keys: Vec<String> = rows
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let distinct: BTreeSet<String> = keys.iter().cloned().collect();
    assert_eq!(
        keys.len(),
        distinct.len(),
        "a key is documented twice under `keys: {section}`"
    );
    distinct
}

/// Command lines in `console` blocks (after a prompt) and `sh` blocks that call `program`, in words.
pub(crate) fn commands(text: &str, program: &str) -> Vec<Vec<String>> {
    let prompted = fenced(text, "console").into_iter().flat_map(|block| {
        let lines = block
            .lines()
            .map(str::trim_start)
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let stripped = lines.into_iter().filter_map(|line| {
            line.strip_prefix("$ ")
                .or_else(|| line.strip_prefix("# "))
                .map(str::to_owned)
        });
        stripped.collect::<Vec<_>>()
    });
    let plain = blocks(text, |info| info.split(' ').next() == Some("sh"))
        .into_iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    prompted
        .chain(plain)
        .map(|line| {
            line.split_whitespace()
                // What follows is for the shell.
                .take_while(|word| !word.starts_with(['>', '|', '&']))
                .map(str::to_owned)
                .collect::<Vec<String>>()
        })
        .filter(|words| words.first().is_some_and(|word| word == program))
        .collect()
}
