//! Every form of every fault has tests that prove it, and the page about faults names them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read what it checks should stop"
)]

mod docs;

use std::collections::BTreeSet;
use std::path::Path;

use shakedown_nemesis::fault::forms::FORMS;

use docs::{read, repository, table_after};

/// What is shown of one form.
struct Proof {
    form: (String, String),
    /// Tests that show its effect, that it ends, and that nothing is left.
    effect: Vec<String>,
    /// Tests that show that it is skipped without its effect.
    control: Vec<String>,
}

/// The code spans of a cell.
fn names(cell: &str) -> Vec<String> {
    let spans = cell.split('`').skip(1).step_by(2);
    spans.map(str::to_owned).collect()
}

fn proofs() -> Vec<Proof> {
    let rows = table_after(&read("docs/faults.md"), "<!-- proofs -->");
    let proof = |row: Vec<String>| {
        let [fault, form, effect, control] = row.try_into().unwrap();
        Proof {
            form: (names(&fault).remove(0), form.replace('`', "")),
            effect: names(&effect),
            control: names(&control),
        }
    };
    rows.into_iter().map(proof).collect()
}

/// The tests in a directory that run when nothing else is asked for, and those on virtual machines.
fn tests_in(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for after in text.split("#[test]").skip(1) {
                let (attributes, rest) = after.split_once("fn ").unwrap();
                let (name, _) = rest.split_once('(').unwrap();
                if !attributes.contains("#[ignore") || attributes.contains("make test-vm") {
                    found.insert(name.to_owned());
                }
            }
        }
    }
}

fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in [
        "nemesis/src",
        "nemesis/tests",
        "harness/src",
        "harness/tests",
    ] {
        tests_in(&repository().join(part), &mut found);
    }
    found
}

#[test]
fn every_form_of_every_fault_has_a_row_of_its_own_and_no_other() {
    let rows: Vec<(String, String)> = proofs().into_iter().map(|proof| proof.form).collect();
    let shown: BTreeSet<(&str, &str)> =
        rows.iter().map(|(k, f)| (k.as_str(), f.as_str())).collect();
    // What operators do is inflicted by no agent.
    let all: BTreeSet<(&str, &str)> = FORMS.into_iter().chain([("operation", "")]).collect();
    assert_eq!(shown, all, "left: in docs/faults.md; right: there are");
    assert_eq!(rows.len(), shown.len(), "one row each");
}

#[test]
fn every_form_has_a_test_of_its_effect_and_one_without_it_and_these_exist() {
    let tests = tests();
    for Proof {
        form: (kind, form),
        effect,
        control,
    } in proofs()
    {
        for name in effect.iter().chain(&control) {
            assert!(
                tests.contains(name),
                "{kind} {form}: no test `{name}` is run"
            );
        }
        assert!(!effect.is_empty(), "{kind} {form}: its effect");
        assert!(!control.is_empty(), "{kind} {form}: without its effect");
    }
}
