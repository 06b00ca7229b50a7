//! Control groups that a node's agent made and that outlived the node, empty.
//!
//! Hierarchies belong to the machine, and nothing removes a group when the last process in it dies. The agent's
//! groups are called `shakedown_..._NUMBER`, by the number of the node's process namespace; without a process in
//! that namespace, nobody needs them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A hierarchy is not searched deeper than this.
const DEPTH: u32 = 6;

/// Removes those that are left of nodes that are gone. What can't be removed is tried again with the next cluster.
pub(crate) fn remove_orphans() {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return;
    };
    let mut found = Vec::new();
    for hierarchy in hierarchies(&mounts) {
        search(&hierarchy, DEPTH, &mut found);
    }
    if found.is_empty() {
        return;
    }
    let alive = process_namespaces();
    for (group, _) in found.iter().filter(|(_, number)| !alive.contains(number)) {
        let _ = fs::remove_dir(group);
    }
}

/// Where hierarchies of control groups are mounted; proc_pid_mountinfo(5).
fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    mounts
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let kind = after.split(' ').next()?;
            let is_it = matches!(kind, "cgroup" | "cgroup2");
            is_it.then(|| before.split(' ').nth(4).map(PathBuf::from))?
        })
        .collect()
}

fn search(directory: &Path, depth: u32, found: &mut Vec<(PathBuf, u64)>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        match entry.file_name().to_str().and_then(namespace_of) {
            Some(number) => found.push((path, number)),
            None if depth > 0 => search(&path, depth - 1, found),
            None => {}
        }
    }
}

/// The process namespace in the name of an agent's group.
fn namespace_of(name: &str) -> Option<u64> {
    let (_, number) = name.strip_prefix("shakedown_")?.rsplit_once('_')?;
    number.parse().ok()
}

/// The process namespaces that have a process.
fn process_namespaces() -> BTreeSet<u64> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path().join("ns/pid")).ok())
        .filter_map(|link| {
            let digits = |c: &char| c.is_ascii_digit();
            let number: String = link.to_string_lossy().chars().filter(digits).collect();
            number.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_agents_groups_are_known_by_their_names() {
        assert_eq!(
            namespace_of("shakedown_r1_f1_4026532000"),
            Some(4_026_532_000)
        );
        assert_eq!(namespace_of("shakedown_trial_7"), Some(7));
        for other in [
            "system.slice",
            "shakedown",
            "shakedown_web",
            "my_shakedown_r1_7",
        ] {
            assert_eq!(namespace_of(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_has_a_process_namespace() {
        assert!(!process_namespaces().is_empty());
    }
}
