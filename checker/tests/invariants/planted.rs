//! One violation of each class in a history that is valid without it: it must be found and named.

use super::written::{edn, judge, outcome, told};
use shakedown_checker::catalogue::Invariants;

#[test]
fn a_set_read_in_the_end() {
    let valid = ["0 add 1", "1 add 2?", "0 add 3!", "0 read -> [1 2]"];
    assert_eq!(told("final-set", &valid), "valid");
    assert_eq!(outcome("final-set", &valid).facts["recovered"], 1);
    let judge = |last: &str| told("final-set", &["0 add 1", "1 add 2?", "0 add 3!", last]);
    assert_eq!(judge("0 read -> [2]"), "invalid lost");
    assert_eq!(judge("0 read -> [1 9]"), "invalid unexpected");
    assert_eq!(judge("0 read -> [1 3]"), "invalid unexpected");
    assert_eq!(judge("0 read?"), "unknown");
    // What was added while the last read went on need not be in it.
    let late = ["0 add 1", "(1 read", "0 add 2", ")1 read -> [1]"];
    assert_eq!(told("final-set", &late), "valid");
}

#[test]
fn every_element_of_a_set() {
    let judge = |rest: &[&str]| {
        let mut lines = vec!["0 add 1", "1 add 2", "0 read -> [1 2]"];
        lines.extend(rest);
        told("set-full", &lines)
    };
    assert_eq!(judge(&["0 read -> [2 1]"]), "valid");
    assert_eq!(judge(&["0 read -> [1]"]), "invalid lost");
    assert_eq!(judge(&["0 read -> [1 2 2]"]), "invalid duplicated");
    assert_eq!(judge(&["0 read -> [1 2 7]"]), "invalid unexpected");
    assert_eq!(
        judge(&["2 add 5!", "0 read -> [1 2 5]"]),
        "invalid unexpected"
    );
    assert_eq!(
        judge(&["0 read -> [1 2 5]", "2 add 5"]),
        "invalid unexpected"
    );
    // Stale: allowed, but for the strict form.
    let stale = ["0 read -> [1]", "0 read -> [1 2]"];
    assert_eq!(judge(&stale), "valid stale");
    assert_eq!(
        told(
            "set-full-strict",
            &["0 add 1", stale[0], "1 add 2", stale[0], stale[1]]
        ),
        "invalid stale"
    );
    // A read that began before the element was known proves nothing.
    let overlapping = [
        "(2 read",
        "0 add 4",
        ")2 read -> [1 2]",
        "0 read -> [1 2 4]",
    ];
    assert_eq!(judge(&overlapping), "valid");
    // Nor does one that began earlier than a read with the element, though it ended later.
    let reversed = [
        "(2 read",
        "0 add 4",
        "3 read -> [1 2 4]",
        ")2 read -> [1 2]",
    ];
    assert_eq!(judge(&reversed), "valid");
    assert_eq!(told("set-full", &["0 add 1"]), "unknown");
}

#[test]
fn latencies_to_visibility_and_to_loss_are_measured() {
    // Events are a millisecond apart: 1 is known at 2, the read called at 3 lacks it.
    let found = outcome("set-full", &["0 add 1", "0 read -> []", "0 read -> [1]"]);
    assert_eq!(found.facts["visible_after"]["max_ns"], 1_000_001);
    let lost = outcome("set-full", &["0 add 1", "0 read -> [1]", "0 read -> []"]);
    assert_eq!(lost.facts["lost_after"]["p50_ns"], 1_000_001);
    let early = outcome(
        "set-full",
        &["0 add 1", "0 add 2", "0 read -> [1 2]", "0 read -> []"],
    );
    assert_eq!(early.facts["lost_after"]["max_ns"], 3_000_001);
}

#[test]
fn reads_may_be_written_as_what_changed() {
    let lines = [
        "0 add 1",
        "0 add 2",
        "0 read -> {:added [1 2]}",
        "0 read -> {:removed [1]}",
        "0 read -> {}",
    ];
    assert_eq!(told("set-full", &lines), "invalid lost");
    assert_eq!(told("set-full", &lines[..3]), "valid");
}

#[test]
fn a_counter() {
    let judge = |read: &str| {
        told(
            "counter-bounds",
            &["0 add 5", "1 add -2?", "2 add 9!", "(3 add 1", read],
        )
    };
    for possible in [3, 4, 5, 6] {
        assert_eq!(judge(&format!("0 read -> {possible}")), "valid");
    }
    assert_eq!(judge("0 read -> 2"), "invalid out-of-bounds");
    assert_eq!(judge("0 read -> 7"), "invalid out-of-bounds");
    let later = ["0 add 5", "0 read -> 5", "(3 add 1"];
    assert_eq!(told("counter-bounds", &later), "valid");
}

#[test]
fn a_queue() {
    let judge = |rest: &[&str]| {
        let mut lines = vec!["0 enqueue 1", "0 enqueue 2?", "0 enqueue 3!"];
        lines.extend(rest);
        (
            told("total-queue", &lines),
            told("total-queue-once", &lines),
        )
    };
    let both = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(judge(&["1 dequeue -> 1"]), both("valid"));
    assert_eq!(judge(&["1 drain -> [1 2]"]), both("valid"));
    assert_eq!(judge(&["1 dequeue -> 2"]), both("invalid lost"));
    assert_eq!(judge(&["1 drain -> [1 3]"]), both("invalid unexpected"));
    assert_eq!(judge(&["1 drain -> [1 9]"]), both("invalid unexpected"));
    assert_eq!(
        judge(&["1 drain -> [1 7]", "0 enqueue 7"]),
        both("invalid unexpected")
    );
    let twice = judge(&["1 drain -> [1]", "1 dequeue -> 1"]);
    assert_eq!(
        twice,
        (
            "valid duplicated".to_owned(),
            "invalid duplicated".to_owned()
        )
    );
    // A dequeue without answer may have taken what is missing; one that failed has not.
    assert_eq!(judge(&["1 dequeue?"]), both("unknown lost"));
    assert_eq!(judge(&["1 dequeue!"]), both("invalid lost"));
}

#[test]
fn identifiers() {
    assert_eq!(
        told(
            "unique-ids",
            &["0 generate -> 1", "0 generate -> \"a\"", "0 generate?"]
        ),
        "valid"
    );
    assert_eq!(
        told("unique-ids", &["0 generate -> 1", "0 generate -> 1"]),
        "invalid duplicated"
    );
    assert_eq!(
        told("unique-ids", &["0 generate?", "1 generate!"]),
        "unknown"
    );
}

#[test]
fn a_bank() {
    let lines = |read: &'static str| {
        [
            "0 read -> {a 7, b 3}",
            "0 transfer {:from a, :to b, :amount 9}?",
            read,
        ]
    };
    let check = |read| told("bank", &lines(read));
    assert_eq!(check("0 read -> {a 10, b 0}"), "valid");
    assert_eq!(check("0 read -> {a 10, b 1}"), "invalid wrong-total");
    assert_eq!(check("0 read -> {a 10}"), "invalid other-accounts");
    assert_eq!(check("0 read -> {a nil, b 3}"), "invalid no-balance");
    assert_eq!(check("0 read -> {a 12, b -2}"), "invalid negative");
    let allowed = Invariants {
        negative_balances: true,
        ..Invariants::default()
    };
    let text = edn(&lines("0 read -> {a 12, b -2}"));
    assert_eq!(judge("bank", &text, allowed).verdict.word(), "valid");
    let other = Invariants {
        total: Some(11),
        ..Invariants::default()
    };
    assert_eq!(judge("bank", &text, other).verdict.word(), "invalid");
}

#[test]
fn a_long_fork() {
    let judge = |second: &str| {
        let first = "0 txn [[:r x nil] [:r y nil]] -> [[:r x 1] [:r y nil]]";
        told(
            "long-fork",
            &["1 txn [[:w x 1]]", "2 txn [[:w y 2]]", first, second],
        )
    };
    assert_eq!(
        judge("1 txn [[:r y nil] [:r x nil]] -> [[:r y 2] [:r x 1]]"),
        "valid"
    );
    assert_eq!(
        judge("1 txn [[:r y nil] [:r x nil]] -> [[:r y 2] [:r x nil]]"),
        "invalid long-fork"
    );
    assert_eq!(judge("1 txn [[:w x 5]]"), "unknown");
}

#[test]
fn errors_that_nobody_knows() {
    let error = |error: &str| {
        format!(
            "{{:type :invoke :f :write :process 0}} {{:type :info :f :write :process 0 {error}}}"
        )
    };
    let verdict = |text: &str| {
        let outcome = judge("unhandled-errors", &error(text), Invariants::default());
        outcome.verdict.word()
    };
    assert_eq!(verdict(":error :timeout"), "valid");
    assert_eq!(verdict(":error [:conflict \"with 5\"]"), "valid");
    assert_eq!(verdict(":error \"boom\""), "invalid");
    assert_eq!(
        verdict(":exception {:via [{:type java.io.IOException}]} :error :timeout"),
        "invalid"
    );
    assert_eq!(verdict(""), "invalid");
}

#[test]
fn a_function_that_never_succeeds() {
    assert_eq!(
        told("availability", &["0 write 1", "0 read!", "0 read -> 1"]),
        "valid"
    );
    assert_eq!(
        told("availability", &["0 write 1", "0 read!", "0 read?"]),
        "invalid never-ok"
    );
    let found = outcome(
        "availability",
        &["0 write 1", "0 read!", "0 read -> 1", "0 write 2"],
    );
    assert_eq!(found.facts["ok_share"], 0.75);
}

#[test]
fn session_guarantees_on_a_set() {
    let of = |lines: &[&str]| -> Vec<&'static str> {
        [
            "monotonic-reads",
            "read-your-writes",
            "monotonic-writes",
            "writes-follow-reads",
        ]
        .into_iter()
        .filter(|model| told(model, lines).starts_with("invalid"))
        .collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(
        of(&[
            "0 add 1",
            "0 read -> [1]",
            "0 add 2",
            "1 read -> []",
            "1 read -> [1]",
            "1 read -> [1 2]"
        ]),
        none
    );
    assert_eq!(
        of(&["0 add 1", "1 read -> [1]", "1 read -> []"]),
        ["monotonic-reads"]
    );
    assert_eq!(of(&["0 add 1", "0 read -> []"]), ["read-your-writes"]);
    assert_eq!(
        of(&["0 add 1", "0 add 2", "1 read -> [2]"]),
        ["monotonic-writes"]
    );
    assert_eq!(
        of(&["0 add 1", "1 read -> [1]", "1 add 2", "2 read -> [2]"]),
        ["writes-follow-reads"]
    );
    // An add without answer need not be there.
    assert_eq!(
        of(&["0 add 1?", "0 read -> []", "0 add 2", "1 read -> [2]"]),
        none
    );
}

#[test]
fn session_guarantees_on_registers_with_one_writer_each() {
    let check = |model: &str, lines: &[&str]| {
        let by_key = Invariants {
            by_key: true,
            ..Invariants::default()
        };
        judge(model, &edn(lines), by_key).verdict.word()
    };
    let of = |lines: &[&str]| -> Vec<&'static str> {
        [
            "monotonic-reads",
            "read-your-writes",
            "monotonic-writes",
            "writes-follow-reads",
        ]
        .into_iter()
        .filter(|model| check(model, lines) == "invalid")
        .collect()
    };
    let none: [&str; 0] = [];
    let (write_a, write_b) = ("0 write [a 1]", "0 write [b 1]");
    let start = [write_a, "0 write [a 2]", write_b];
    let after = |rest: &[&str]| of(&[&start[..], rest].concat());
    assert_eq!(
        after(&[
            "1 read [a nil] -> [a 1]",
            "1 read [a nil] -> [a 2]",
            "1 read [b nil] -> [b 1]"
        ]),
        none
    );
    assert_eq!(
        after(&["1 read [a nil] -> [a 2]", "1 read [a nil] -> [a 1]"]),
        ["monotonic-reads"]
    );
    assert_eq!(after(&["0 read [a nil] -> [a 1]"]), ["read-your-writes"]);
    assert_eq!(
        after(&["1 read [b nil] -> [b 1]", "1 read [a nil] -> [a 1]"]),
        ["monotonic-writes"]
    );
    let follows = [
        "1 read [a nil] -> [a 2]",
        "1 write [c 1]",
        "2 read [c nil] -> [c 1]",
        "2 read [a nil] -> [a 1]",
    ];
    assert_eq!(after(&follows), ["writes-follow-reads"]);
}

#[test]
fn session_guarantees_on_registers_with_several_writers() {
    let of = |lines: &[&str]| -> Vec<String> {
        let by_key = Invariants {
            by_key: true,
            ..Invariants::default()
        };
        [
            "monotonic-reads",
            "read-your-writes",
            "monotonic-writes",
            "writes-follow-reads",
        ]
        .into_iter()
        .filter_map(|model| {
            let verdict = judge(model, &edn(lines), by_key.clone()).verdict.word();
            (verdict != "valid").then(|| format!("{verdict} {model}"))
        })
        .collect()
    };
    let none: [&str; 0] = [];
    let written = ["0 write [a 1]", "1 write [a 2]"];
    let after = |rest: &[&str]| of(&[&written[..], rest].concat());
    // Some order of the writes agrees with these reads.
    let reads = ["2 read [a nil] -> [a 2]", "2 read [a nil] -> [a 1]"];
    assert_eq!(after(&reads), none);
    let others = ["3 read [a nil] -> [a 1]", "3 read [a nil] -> [a 2]"];
    assert_eq!(
        after(&[reads, others].concat()),
        ["invalid monotonic-reads"]
    );
    // Whoever sees b sees 1, whoever sees c sees 2: both need not hold together.
    let marks = ["0 write [b 1]", "1 write [c 1]"];
    let sees_b = ["2 read [b nil] -> [b 1]", "2 read [a nil] -> [a 2]"];
    let sees_c = ["3 read [c nil] -> [c 1]", "3 read [a nil] -> [a 1]"];
    assert_eq!(after(&[marks, sees_b].concat()), none);
    assert_eq!(
        after(&[marks, sees_b, sees_c].concat()),
        ["invalid monotonic-writes"]
    );
    // The same of those who had read them.
    let marks = [
        "4 read [a nil] -> [a 1]",
        "4 write [b 1]",
        "5 read [a nil] -> [a 2]",
        "5 write [c 1]",
    ];
    assert_eq!(after(&[&marks[..], &sees_b].concat()), none);
    assert_eq!(
        after(&[&marks[..], &sees_b, &sees_c].concat()),
        ["invalid writes-follow-reads"]
    );
    // It was not the first writer of a whose write was read, but the other, who knew nothing of b.
    let lines = [
        "0 write [a 1]",
        "0 write [b 1]",
        "0 write [b 2]",
        "1 write [a 2]",
        "2 read [a nil] -> [a 2]",
        "2 read [b nil] -> [b 1]",
    ];
    assert_eq!(of(&lines), none);
}
