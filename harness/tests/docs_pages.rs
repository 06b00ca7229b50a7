//! The pages of documentation hang together: links lead somewhere, and nothing private is in them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read what it checks should stop"
)]

mod docs;

use docs::{pages, prose, read, repository};

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> Vec<String> {
    let text = read(page);
    let mut inside = false;
    let headings = text.lines().filter(|line| {
        inside ^= line.trim_start().starts_with("```");
        !inside && line.starts_with('#')
    });
    headings
        .map(|heading| anchor(&heading.replace('`', "")))
        .collect()
}

/// Targets of links in the prose.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// Why a link on a page leads nowhere.
fn broken(page: &str, target: &str) -> Option<String> {
    let here = repository().join(page);
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() {
        here
    } else {
        here.parent().unwrap().join(path)
    };
    let Ok(file) = file.canonicalize() else {
        return Some(format!("{page}: {target} leads nowhere"));
    };
    let root = repository().canonicalize().unwrap();
    let heading_is_there = || {
        let relative = file.strip_prefix(&root).unwrap();
        anchors(&relative.to_string_lossy())
            .iter()
            .any(|a| a == fragment)
    };
    (!fragment.is_empty() && !heading_is_there())
        .then(|| format!("{page}: {target}: no such heading"))
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut found = 0;
    let mut problems = Vec::new();
    for page in pages() {
        for target in links(&read(&page))
            .into_iter()
            .filter(|target| !target.contains("://"))
        {
            found += 1;
            problems.extend(broken(&page, &target));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(found >= 30, "{found} links found");
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let linked = links(&read("README.md"));
    for page in pages().iter().filter(|page| *page != "README.md") {
        assert!(linked.contains(page), "README.md has no link to {page}");
    }
}

#[test]
fn no_page_mentions_paths_of_the_machine_it_was_written_on() {
    // In parts, so that this file does not contain them.
    let private = [
        ["/wo", "rk/"],
        ["/tmp/re", "search"],
        [".lib", "rary"],
        ["/far", "m/"],
    ];
    for page in pages() {
        let text = read(&page);
        for word in private.map(|parts| parts.concat()) {
            assert!(!text.contains(&word), "{page} contains {word}");
        }
    }
}

#[test]
fn the_readme_shows_the_loss_table_of_a_demo_with_its_command() {
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once("<!-- demo excerpt -->")
        .expect("the excerpt is marked");
    let (excerpt, _) = rest.split_once("<!-- end -->").expect("the excerpt ends");
    assert!(excerpt.contains("shakedown run demo --seed"), "{excerpt}");
    for configuration in [
        "anti-entropy on, delta pass on",
        "anti-entropy on, delta pass skipped",
        "anti-entropy off, delta pass on",
        "anti-entropy off, delta pass skipped",
    ] {
        assert!(excerpt.contains(configuration), "{excerpt}");
    }
}
