//! Jepsen's histories with known verdicts. They are not part of the repository: the tests look for them in
//! the folder that `SHAKEDOWN_HISTORIES` names, or beside the repository, and say so if they are not there.

use std::path::{Path, PathBuf};

use shakedown_checker::catalogue::{Invariants, Options, Outcome, find};
use shakedown_checker::verdict::Verdict;

fn check(model: &str, name: &str, invariants: Invariants) -> Option<Outcome> {
    let root = std::env::var_os("SHAKEDOWN_HISTORIES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories"),
        PathBuf::from,
    );
    let file = root.join("jepsen").join(name);
    if !file.is_file() {
        println!("skipped: no {} (set SHAKEDOWN_HISTORIES)", file.display());
        return None;
    }
    let options = Options {
        invariants,
        ..Options::default()
    };
    Some(
        find(model)
            .unwrap()
            .check_file(&file, None, &options)
            .unwrap(),
    )
}

#[test]
fn published_histories_have_their_verdicts() {
    let bank = |negative_balances, total| Invariants {
        negative_balances,
        total: Some(total),
        ..Invariants::default()
    };
    let of_three = Invariants {
        group_size: Some(3),
        ..Invariants::default()
    };
    let cases = [
        (
            "counter-bounds",
            "counter.edn",
            Invariants::default(),
            Verdict::Valid,
        ),
        (
            "set-full",
            "set_full.edn",
            Invariants::default(),
            Verdict::Invalid,
        ),
        (
            "final-set",
            "set.edn",
            Invariants::default(),
            Verdict::Valid,
        ),
        ("set-full", "set.edn", Invariants::default(), Verdict::Valid),
        ("bank", "bank.edn", bank(false, 100), Verdict::Valid),
        ("bank", "bank-neg.edn", bank(true, 30), Verdict::Valid),
        ("long-fork", "long-fork.edn", of_three, Verdict::Invalid),
    ];
    for (model, file, invariants, expected) in cases {
        if let Some(outcome) = check(model, file, invariants) {
            println!("{file}: {}: {}", outcome.verdict, outcome.reason);
            assert_eq!(outcome.verdict, expected, "{file}");
        }
    }
}

#[test]
fn a_published_set_that_lost_everything_is_told_so() {
    if let Some(outcome) = check("set-full", "set_full.edn", Invariants::default()) {
        let classes: Vec<_> = outcome.findings.iter().map(|one| &*one.about).collect();
        assert_eq!(classes, ["lost", "unexpected"]);
        assert_eq!(outcome.facts["lost"], 293);
    }
}
