//! Files of a service that are changed behind its back.

use std::fs;

use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::fault::local::{Damage, LocalFault, Range};
use shakedown_nemesis::outcome::Outcome;

use crate::channel::seen;
use crate::local::{TICK, assert_nothing_left, local, started, web};
use crate::node::Node;

fn corrupt(files: &str, damage: Damage) -> NodeFault {
    local(LocalFault::Corrupt {
        service: web(),
        files: files.to_owned(),
        damage,
        seed: 7,
    })
}

#[test]
fn exactly_the_bytes_asked_for_are_changed_and_each_change_is_on_record() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    let file = |name: &str| format!("{}/data/{name}", node.state());
    let content = vec![b'x'; 10_000];
    for name in ["a.db", "b.db", "a.log"] {
        fs::write(file(name), &content).unwrap();
    }
    let flip = Damage::Flip {
        bits: 1,
        within: Range {
            from: 100,
            length: Some(50),
        },
    };
    let installed = agent.install("flip", corrupt(r".*\.db", flip));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    assert_eq!(seen(&installed, "files that match"), "2, 2 places changed");
    for name in ["a.db", "b.db"] {
        let now = fs::read(file(name)).unwrap();
        let differing: Vec<usize> = (0..now.len()).filter(|at| now[*at] != b'x').collect();
        assert_eq!(differing.len(), 1);
        assert!((100..150).contains(&differing[0]));
        let record = seen(&installed, &format!("{name} at byte {}", differing[0]));
        assert!(record.starts_with("1 bytes, XXH3 "), "{record}");
    }
    assert_eq!(fs::read(file("a.log")).unwrap(), content);
    agent.undo("flip");
    assert_ne!(
        fs::read(file("a.db")).unwrap(),
        content,
        "nothing puts it right"
    );

    agent.install("cut", corrupt(r"a\.log", Damage::Truncate { bytes: 1 }));
    assert_eq!(fs::read(file("a.log")).unwrap().len(), 9_999);
    agent.undo("cut");

    let within = Range::default();
    let restore = corrupt(r"a\.log", Damage::Restore { within });
    agent.prepare("restore", restore.clone());
    fs::write(file("a.log"), "newer").unwrap();
    assert_eq!(
        agent.install("restore", restore).outcome,
        Outcome::Installed
    );
    assert_eq!(fs::read(file("a.log")).unwrap().len(), 9_999);
    agent.undo("restore");
    assert_nothing_left(&node);
}

#[test]
fn files_outside_the_services_directory_are_out_of_reach() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    let outside = format!("{}/outside", node.state());
    fs::write(&outside, "x").unwrap();
    std::os::unix::fs::symlink(&outside, format!("{}/data/link", node.state())).unwrap();
    std::os::unix::fs::symlink("/etc", format!("{}/data/etc", node.state())).unwrap();
    let flip = Damage::Flip {
        bits: 8,
        within: Range::default(),
    };
    for files in ["link", r"\.\./outside", "etc/.*"] {
        let installed = agent.install("flip", corrupt(files, flip));
        assert_eq!(
            installed.outcome,
            Outcome::Skipped,
            "{files}: {installed:?}"
        );
        agent.undo("flip");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "x");
}

#[test]
fn a_stretch_of_a_file_is_copied_over_another_and_nothing_else_changes() {
    let node = Node::new(1);
    let mut agent = started(&node, TICK);
    let file = format!("{}/data/a.db", node.state());
    // No two stretches are the same.
    let content: Vec<u8> = (0..5_000_u16).flat_map(u16::to_be_bytes).collect();
    fs::write(&file, &content).unwrap();
    let copy = Damage::Copy {
        bytes: 100,
        within: Range::default(),
    };
    let installed = agent.install("copy", corrupt(r"a\.db", copy));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    let now = fs::read(&file).unwrap();
    assert_eq!(now.len(), content.len());
    let changed: Vec<usize> = (0..now.len())
        .filter(|at| now[*at] != content[*at])
        .collect();
    let (first, last) = (changed[0], changed[changed.len() - 1]);
    assert!(last - first < 100, "{first} to {last}");
    let is_elsewhere = |from: usize| {
        let stretch = now.get(from..from + 100);
        stretch.is_some_and(|stretch| content.windows(100).any(|other| other == stretch))
    };
    assert!((last.saturating_sub(99)..=first).any(is_elsewhere));
    agent.undo("copy");
    assert_eq!(fs::read(&file).unwrap(), now, "nothing puts it right");
    assert_nothing_left(&node);
}
