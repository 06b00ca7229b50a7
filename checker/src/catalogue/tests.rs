//! Models by name, as the command line asks for them.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use super::*;

fn check(model: &str, text: &str, options: &Options) -> Outcome {
    let source = Source::of_text(text.to_owned(), None, 1 << 20).unwrap();
    let model = MODELS.iter().find(|found| found.name == model).unwrap();
    model.check(&source, options).unwrap()
}

fn verdict(model: &str, text: &str) -> Verdict {
    check(model, text, &Options::default()).verdict
}

/// Operations one after the other, as EDN.
fn edn(ops: &[(&str, &str, &str)]) -> String {
    let mut text = String::new();
    for (f, invoked, completed) in ops {
        text += &format!("{{:type :invoke :f :{f} :value {invoked} :process 0}}\n");
        text += &format!("{{:type :ok :f :{f} :value {completed} :process 0}}\n");
    }
    text
}

#[test]
fn names_are_distinct() {
    for (at, model) in MODELS.iter().enumerate() {
        assert!(std::ptr::eq(find(model.name).unwrap(), &MODELS[at]));
    }
    assert!(find("no such model").is_none());
}

#[test]
fn models_of_linearizability_accept_one_history_and_reject_another() {
    let cases: &[(&str, &str, &str)] = &[
        ("register", "write 1 1, read nil 1", "write 1 1, read nil 2"),
        ("cas-register", "cas [0 1] [0 1]", "cas [1 2] [1 2]"),
        (
            "map",
            "put [a 1] [a 1], get [b nil] [b 0]",
            "put [a 1] [a 1], get [a nil] [a 0]",
        ),
        (
            "multi-register",
            "txn [[:w x 1][:r y nil]] [[:w x 1][:r y 0]]",
            "txn [[:r x nil]] [[:r x 1]]",
        ),
        (
            "mutex",
            "acquire nil nil, release nil nil",
            "acquire nil nil, acquire nil nil",
        ),
        ("counter", "add 2 2, read nil 2", "add 2 2, read nil 3"),
        ("set", "add 1 1, read nil #{1}", "add 1 1, read nil #{}"),
        (
            "queue",
            "put 1 1, put 2 2, take nil 2",
            "put 1 1, take nil 2",
        ),
        (
            "fifo-queue",
            "put 1 1, put 2 2, take nil 1",
            "put 1 1, put 2 2, take nil 2",
        ),
        (
            "stack",
            "push 1 1, push 2 2, pop nil 2",
            "push 1 1, push 2 2, pop nil 1",
        ),
        (
            "append-text",
            "append \"a\" \"a\", get nil \"a\"",
            "append \"a\" \"a\", get nil \"\"",
        ),
    ];
    for (model, good, bad) in cases {
        let read = |text: &str| {
            // f, then two values, which may have blanks inside brackets.
            let mut ops = String::new();
            let mut reader = crate::import::edn::Reader::new(text);
            while let Some(f) = reader.value().unwrap() {
                let (invoked, completed) = (
                    reader.value().unwrap().unwrap(),
                    reader.value().unwrap().unwrap(),
                );
                ops += &edn(&[(&f.to_string(), &invoked.to_string(), &completed.to_string())]);
            }
            ops
        };
        assert_eq!(
            verdict(model, &read(good)),
            Verdict::Valid,
            "{model}: {good}"
        );
        assert_eq!(
            verdict(model, &read(bad)),
            Verdict::Invalid,
            "{model}: {bad}"
        );
    }
}

#[test]
fn a_register_begins_as_asked_for_or_as_the_format_has_it() {
    let zero = edn(&[("read", "nil", "0")]);
    assert_eq!(verdict("register", &zero), Verdict::Valid);
    let options = Options {
        initial: Some(Value::Int(5)),
        ..Options::default()
    };
    assert_eq!(check("register", &zero, &options).verdict, Verdict::Invalid);
    assert_eq!(
        verdict("register", "i 0 r 0 -\no 0 r 0 nil\n"),
        Verdict::Valid
    );
    assert_eq!(
        verdict("register", "i 0 r 0 -\no 0 r 0 0\n"),
        Verdict::Invalid
    );
    assert_eq!(
        verdict("register", "# lin-gen v1 init=0 x\ni 0 r 0 -\no 0 r 0 0\n"),
        Verdict::Valid
    );
}

#[test]
fn a_read_of_nil_says_nothing_in_edn_and_something_in_our_own_histories() {
    let nil = edn(&[("write", "1", "1"), ("read", "nil", "nil")]);
    assert_eq!(verdict("register", &nil), Verdict::Valid);
    let row = |op: u64, kind: &str, f: &str, value: &str| {
        format!(
            "{{\"op\":{op},\"process\":0,\"kind\":\"{kind}\",\"f\":\"{f}\",\"time_ns\":1,\
             \"intended_ns\":null,\"key\":7,\"value\":{value},\"detail\":null}}\n"
        )
    };
    let ours = [
        row(1, "invoke", "put", "1"),
        row(1, "ok", "put", "1"),
        row(2, "invoke", "read", "null"),
        row(2, "ok", "read", "null"),
    ]
    .concat();
    let outcome = check("register", &ours, &Options::default());
    assert_eq!(outcome.verdict, Verdict::Invalid);
    assert_eq!(outcome.findings[0].about, "key 7");
}

#[test]
fn an_undecided_key_does_not_hide_a_violation_and_a_cut_off_end_does_not_either() {
    let mut outcome = Outcome {
        verdict: Verdict::Invalid,
        ..Outcome::default()
    };
    outcome.cut_off("the end is missing".to_owned());
    assert_eq!(outcome.verdict, Verdict::Invalid);
    // Key 0 has one violation that is found at once; key 1 is past any memory.
    let mut text = String::new();
    for process in 0..20 {
        let value = process % 7;
        text += &format!("i {process} c 1 {value} {}\n", process * 3 % 7);
    }
    text += "i 90 w 0 1\no 90 w 0 1\ni 90 r 0 -\no 90 r 0 9\n";
    text += "i 91 r 1 -\no 91 r 1 0\n";
    let options = Options {
        memory_bytes: text.len() + 2_000,
        ..Options::default()
    };
    let source = Source::of_text(text, None, 1 << 20).unwrap();
    let outcome = find("register").unwrap().check(&source, &options).unwrap();
    assert_eq!(outcome.verdict, Verdict::Invalid, "{outcome:?}");
}

#[test]
fn a_model_that_cannot_judge_a_history_costs_the_others_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.edn");
    let written = edn(&[("write", "1", "1"), ("read", "nil", "2")]);
    std::fs::write(&path, written).unwrap();
    let models = ["bank", "register", "final-set"].map(|name| find(name).unwrap());
    let outcomes = check_each(&models, &path, &Options::default());
    let verdicts: Vec<Verdict> = outcomes.iter().map(|outcome| outcome.verdict).collect();
    assert_eq!(
        verdicts,
        [Verdict::Unknown, Verdict::Invalid, Verdict::Unknown]
    );
    assert!(
        outcomes[0].reason.contains("not an operation of this type"),
        "{}",
        outcomes[0].reason
    );
    // Past a bound every model is unknown, and says which.
    let bounded = Options {
        memory_bytes: 10,
        ..Options::default()
    };
    for outcome in check_each(&models, &path, &bounded) {
        assert_eq!(outcome.verdict, Verdict::Unknown);
        assert!(outcome.reason.contains("memory"), "{}", outcome.reason);
    }
}
