//! What the logs of services must never say, or must say on every node; read from the files that a run keeps.

use std::fs;
use std::path::Path;

use regex::Regex;
use shakedown_reports::results::{CheckResult, Verdict};

use crate::system::{LogRule, System};

/// Lines shown of those that should not be there.
const SHOWN: usize = 3;

/// A check for each rule of the system about a service that has logs here; `nodes` has a directory for each node.
/// Linear in the size of the logs.
pub(crate) fn logs(system: &System, nodes: &Path) -> Vec<CheckResult> {
    system
        .log
        .iter()
        .filter_map(|rule| check(rule, nodes))
        .collect()
}

fn check(rule: &LogRule, nodes: &Path) -> Option<CheckResult> {
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    let mut unread = Vec::new();
    let mut directories: Vec<_> = fs::read_dir(nodes)
        .ok()?
        .flatten()
        .map(|e| e.path())
        .collect();
    directories.sort();
    for directory in directories {
        let path = directory.join(format!("{}.log", rule.service));
        if !path.is_file() {
            continue;
        }
        let node = directory.file_name().unwrap_or_default().to_string_lossy();
        match fs::read(&path) {
            Ok(bytes) => {
                looked_at += 1;
                wrong.extend(wrong_in(rule, &node, &String::from_utf8_lossy(&bytes)));
            }
            Err(error) => unread.push(format!("{node}: {error}")),
        }
    }
    if looked_at == 0 && unread.is_empty() {
        return None;
    }
    let (verdict, detail) = if !wrong.is_empty() {
        let more = match wrong.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        wrong.truncate(SHOWN);
        (Verdict::Invalid, format!("{}{more}", wrong.join("; ")))
    } else if !unread.is_empty() {
        (Verdict::Unknown, unread.join("; "))
    } else {
        (Verdict::Valid, format!("logs of {looked_at} nodes"))
    };
    Some(CheckResult {
        name: name(rule),
        verdict,
        detail,
    })
}

fn name(rule: &LogRule) -> String {
    match (&rule.never, &rule.always) {
        (Some(never), _) => format!("no log of `{}` says `{}`", rule.service, never.get_ref()),
        (None, Some(always)) => format!(
            "every log of `{}` says `{}`",
            rule.service,
            always.get_ref()
        ),
        (None, None) => String::new(),
    }
}

fn wrong_in(rule: &LogRule, node: &str, text: &str) -> Vec<String> {
    let compiled = |pattern: &toml::Spanned<String>| {
        Regex::new(pattern.get_ref())
            .expect("validation saw to it that this is a regular expression")
    };
    let mut wrong = Vec::new();
    if let Some(never) = rule.never.as_ref().map(compiled) {
        let said = text
            .lines()
            .enumerate()
            .filter(|(_, line)| never.is_match(line));
        wrong.extend(said.map(|(number, line)| format!("{node} line {}: {line}", number + 1)));
    }
    if let Some(always) = rule.always.as_ref().map(compiled)
        && !text.lines().any(|line| always.is_match(line))
    {
        wrong.push(format!("{node} never says it"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Catalogue;

    fn judged(rule: &str, logs: &[(&str, &str)]) -> Vec<(Verdict, String)> {
        let mut system = Catalogue::embedded().unwrap().systems.remove(0);
        system.log = vec![toml::from_str(&format!("service = 'node'\n{rule}")).unwrap()];
        let dir = tempfile::tempdir().unwrap();
        for (node, text) in logs {
            fs::create_dir(dir.path().join(node)).unwrap();
            fs::write(dir.path().join(node).join("node.log"), text).unwrap();
        }
        let checks = super::logs(&system, dir.path());
        checks.into_iter().map(|c| (c.verdict, c.detail)).collect()
    }

    #[test]
    fn a_line_that_must_never_appear_is_shown_with_its_place() {
        let rule = "never = 'panicked at'";
        let clean = judged(rule, &[("n1", "started\n"), ("n2", "")]);
        assert_eq!(clean, [(Verdict::Valid, "logs of 2 nodes".to_owned())]);
        let crashed = judged(
            rule,
            &[("n1", "started\n"), ("n2", "a\nthread 'x' panicked at y\n")],
        );
        assert_eq!(
            crashed,
            [(
                Verdict::Invalid,
                "n2 line 2: thread 'x' panicked at y".to_owned()
            )]
        );
    }

    #[test]
    fn a_line_that_must_appear_on_every_node_is_missed_where_it_does_not() {
        let rule = "always = '^listening'";
        let half = judged(
            rule,
            &[("n1", "listening on 1\n"), ("n2", "not listening\n")],
        );
        assert_eq!(half, [(Verdict::Invalid, "n2 never says it".to_owned())]);
    }

    #[test]
    fn a_service_without_logs_here_is_not_judged() {
        assert_eq!(judged("never = 'x'", &[]), []);
    }
}
