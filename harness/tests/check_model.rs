//! `shakedown check FILE --model MODEL` as a person runs it, on small histories of its own.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const STALE: &str = "\
{:type :invoke, :f :write, :value 1, :process 0}
{:type :ok, :f :write, :value 1, :process 0}
{:type :invoke, :f :write, :value 2, :process 0}
{:type :ok, :f :write, :value 2, :process 0}
{:type :invoke, :f :read, :value nil, :process 1}
{:type :ok, :f :read, :value 1, :process 1}
{:type :invoke, :f :read, :value nil, :process 1}
{:type :ok, :f :read, :value 2, :process 1}
";

/// What a command said, and its exit code.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn check(file: &Path, arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .arg("check")
        .arg(file)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code: output.status.code().unwrap(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn written(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_stale_read_is_invalid_and_told_with_its_lines() {
    let dir = TempDir::new().unwrap();
    let file = written(&dir, "stale.edn", STALE);
    let ended = check(&file, &["--model", "register"]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    let told = ended.out.replace(&file.display().to_string(), "FILE");
    insta::assert_snapshot!(told);
}

#[test]
fn the_same_history_is_valid_without_the_stale_read() {
    let dir = TempDir::new().unwrap();
    let fresh = STALE.replace(":read, :value 1", ":read, :value 2");
    let file = written(&dir, "fresh.edn", fresh);
    let ended = check(&file, &["--model", "register"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(ended.out.starts_with("valid: "), "{}", ended.out);
}

#[test]
fn a_page_is_drawn_and_json_says_the_same() {
    let dir = TempDir::new().unwrap();
    let file = written(&dir, "stale.edn", STALE);
    let page = dir.path().join("page.html");
    let arguments = ["--model", "map", "--json", "--html", page.to_str().unwrap()];
    let ended = check(&file, &arguments);
    assert_eq!(ended.code, 1, "{}", ended.err);
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["verdict"], "invalid");
    assert_eq!(json["operations"], 4);
    assert_eq!(json["findings"][0]["facts"]["until"], 6);
    assert_eq!(json["findings"][0]["facts"]["unit"], "line");
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains("INVALID") && html.contains("<svg"), "{html}");
}

#[test]
fn a_history_that_is_cut_off_is_checked_as_far_as_it_goes() {
    let dir = TempDir::new().unwrap();
    let vector = format!("[{STALE}]");
    let before = vector.find(":read, :value 1").unwrap();
    let ended = check(
        &written(&dir, "before.edn", &vector[..before]),
        &["--model", "register"],
    );
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.out.contains("as far as it goes"), "{}", ended.out);
    // What is wrong already stays wrong.
    let after = vector.find(":read, :value 2").unwrap();
    let ended = check(
        &written(&dir, "after.edn", &vector[..after]),
        &["--model", "register"],
    );
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(ended.out.contains("the file ends"), "{}", ended.out);
}

#[test]
fn compressed_histories_are_read_and_one_that_is_cut_off_says_so() {
    let dir = TempDir::new().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(STALE.repeat(50).as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    let ended = check(&written(&dir, "h.edn.gz", &bytes), &["--model", "register"]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    let ended = check(
        &written(&dir, "cut.edn.gz", &bytes[..bytes.len() - 12]),
        &["--model", "register"],
    );
    assert!(
        ended.out.contains("the compressed file is cut off"),
        "{}{}",
        ended.out,
        ended.err
    );
}

#[test]
fn malformed_input_ends_with_file_line_and_reason() {
    let dir = TempDir::new().unwrap();
    for (content, expected) in [
        (
            "{:type :invoke, :f :read, :process 0}\n{:type :done}",
            "line 2: an operation without :type",
        ),
        (
            "{:type :ok, :f :read, :process 0}",
            "line 1: a completion without invocation",
        ),
        ("i 0 w 0 1\no 0 w 0 x\n", "line 2: not a value"),
        ("{\"op\":1}\n", "line 1: not an event"),
        ("INFO  jepsen.util - 0 :invoke\n", "line 1: no function"),
        ("{:a\n\n \u{1}}", "is no"),
        ("once upon a time", "no format known here"),
    ] {
        let file = written(&dir, "wrong", content);
        let ended = check(&file, &["--model", "register"]);
        assert_eq!(ended.code, 64, "{content}: {}", ended.out);
        let place = file.display().to_string();
        if expected != "is no" {
            assert!(
                ended.err.contains(&place) && ended.err.contains(expected),
                "{content}: {}",
                ended.err
            );
        }
    }
    let ended = check(&written(&dir, "x.edn", STALE), &[]);
    assert_eq!(ended.code, 64);
    assert!(ended.err.contains("--model"), "{}", ended.err);
}

#[test]
fn a_limit_that_is_reached_is_named_and_the_verdict_is_unknown() {
    let dir = TempDir::new().unwrap();
    let file = written(&dir, "h.edn", STALE);
    let ended = check(&file, &["--model", "register", "--memory-limit", "100"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(
        ended.out.contains("memory limit of 100 bytes"),
        "{}",
        ended.out
    );
    // Clients enqueue at once, one value twice, and what nobody enqueued is dequeued: the search tries every order.
    let mut hard = String::new();
    for process in 0..20 {
        let value = process.max(1);
        hard += &format!("{{:type :invoke, :f :enqueue, :value {value}, :process {process}}}\n");
    }
    for kind in ["invoke", "ok"] {
        hard += &format!("{{:type :{kind}, :f :dequeue, :value 77, :process 99}}\n");
    }
    let file = written(&dir, "hard.edn", hard);
    for (limit, size, named) in [
        ("--memory-limit", "64kB", "memory bound"),
        ("--time-limit", "20ms", "time limit"),
    ] {
        let ended = check(&file, &["--model", "fifo-queue", limit, size]);
        assert_eq!(ended.code, 2, "{}{}", ended.out, ended.err);
        assert!(ended.out.contains(named), "{}", ended.out);
    }
}

/// Transactions: process, and what it did. All are called before any is answered, unless `calls` says after how
/// many answers they are.
fn transactions(all: &[(u32, &str)], calls: &[usize]) -> String {
    let mut text = String::new();
    for answered in 0..=all.len() {
        for (at, (process, does)) in all.iter().enumerate() {
            if calls.get(at).copied().unwrap_or(0) == answered {
                text += &format!("{{:type :invoke, :f :txn, :process {process}, :value {does}}}\n");
            }
        }
        if let Some((process, does)) = all.get(answered) {
            text += &format!("{{:type :ok, :f :txn, :process {process}, :value {does}}}\n");
        }
    }
    text
}

#[test]
fn each_option_of_isolation_changes_the_outcome_that_it_is_for() {
    let dir = TempDir::new().unwrap();
    // T1 missed a write of T2, and T2 missed one of T1 if x = 1 comes before x = 2.
    let (first, second, third) = ("[[:w x 1]]", "[[:w x 2] [:r y nil]]", "[[:r x 1] [:w y 1]]");
    let follows = "[[:r x 1] [:w x 2] [:r y nil]]";
    let by_read = transactions(&[(0, first), (1, follows), (2, third)], &[]);
    let by_process = transactions(&[(0, first), (0, second), (2, third)], &[0, 1]);
    let by_time = transactions(&[(0, first), (1, second), (2, third)], &[0, 1]);
    let skew = transactions(
        &[
            (0, "[[:append x 1] [:r y []]]"),
            (1, "[[:append y 1] [:r x []]]"),
            (0, "[[:r x [1]] [:r y [1]]]"),
        ],
        &[0, 0, 2],
    );
    let reads = transactions(&[(0, "[[:r x 1]]")], &[]);
    let keys = ["--wfr-keys", "--sequential-keys", "--linearizable-keys"];
    for (name, text, model, options, code) in [
        ("read", &by_read, "serializable", &[][..], 0),
        ("read", &by_read, "serializable", &keys[..1], 1),
        ("read", &by_read, "serializable", &keys[1..], 0),
        ("process", &by_process, "serializable", &[], 0),
        ("process", &by_process, "serializable", &keys[1..2], 1),
        ("process", &by_process, "serializable", &keys[..1], 0),
        ("time", &by_time, "serializable", &keys[..2], 0),
        ("time", &by_time, "serializable", &keys[2..], 1),
        ("skew", &skew, "snapshot-isolation", &[], 0),
        (
            "skew",
            &skew,
            "snapshot-isolation",
            &["--forbid", "G2-item"],
            1,
        ),
        ("skew", &skew, "snapshot-isolation", &["--forbid", "G0"], 0),
        ("skew", &skew, "serializable", &[], 1),
        // What was read is no list, unless one says that these are registers.
        ("reads", &reads, "serializable", &[], 64),
        (
            "reads",
            &reads,
            "serializable",
            &["--workload", "rw-register"],
            2,
        ),
    ] {
        let arguments = [&["--model", model], options].concat();
        let ended = check(&written(&dir, name, text), &arguments);
        assert_eq!(
            ended.code, code,
            "{arguments:?} {text}{}{}",
            ended.out, ended.err
        );
    }
}

#[test]
fn each_option_of_other_models_changes_the_outcome_that_it_is_for() {
    let dir = TempDir::new().unwrap();
    let one = |f: &str, asked: &str, told: &str| {
        format!(
            "{{:type :invoke, :f :{f}, :process 0, :value {asked}}}\n{{:type :ok, :f :{f}, :process 0, :value {told}}}\n"
        )
    };
    let pairs = [
        one("add", "[a 1]", "[a 1]"),
        one("read", "[a nil]", "[a [1]]"),
    ]
    .concat();
    let two = "[[:r 1 nil] [:r 2 nil]]";
    for (text, model, option, without, with) in [
        (
            one("read", "nil", "5"),
            "register",
            &["--initial", "5"][..],
            1,
            0,
        ),
        (pairs, "set-full", &["--by-key"], 1, 0),
        (
            one("read", "nil", "{0 5, 1 4}"),
            "bank",
            &["--total", "10"],
            0,
            1,
        ),
        (
            one("read", "nil", "{0 -1, 1 4}"),
            "bank",
            &["--negative-balances"],
            1,
            0,
        ),
        (
            one("txn", two, two),
            "long-fork",
            &["--group-size", "3"],
            0,
            64,
        ),
        (
            one("read", "nil", "0"),
            "register",
            &["--format", "etcd-log"],
            0,
            64,
        ),
    ] {
        let file = written(&dir, "history", &text);
        let both = [without, with].map(|code| {
            let option = if code == with { option } else { &[] };
            check(&file, &[&["--model", model], option].concat()).code
        });
        assert_eq!(both, [without, with], "{model} {option:?}: {text}");
    }
}

#[test]
fn an_anomaly_of_transactions_is_drawn() {
    let dir = TempDir::new().unwrap();
    let lists = [
        (0, "[[:append x 1] [:r y []]]"),
        (1, "[[:append y 1] [:r x []]]"),
        (0, "[[:r x [1]] [:r y [1]]]"),
    ];
    let file = written(&dir, "skew.edn", transactions(&lists, &[0, 0, 2]));
    let page = dir.path().join("page.html");
    let ended = check(
        &file,
        &["--model", "serializable", "--html", page.to_str().unwrap()],
    );
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains("G2-item") && html.contains("<svg"), "{html}");
}

#[test]
fn a_time_limit_ends_reading_and_what_was_read_is_checked() {
    let dir = TempDir::new().unwrap();
    let stale = written(&dir, "stale.edn", STALE);
    let lists = written(
        &dir,
        "lists.edn",
        transactions(&[(0, "[[:append x 1]]")], &[]),
    );
    for (file, model) in [
        (&stale, "register"),
        (&stale, "unhandled-errors"),
        (&lists, "serializable"),
    ] {
        let ended = check(file, &["--model", model, "--time-limit", "0ms"]);
        assert_eq!(ended.code, 2, "{}{}", ended.out, ended.err);
        assert!(
            ended.out.contains("time limit was reached after"),
            "{}",
            ended.out
        );
    }
}
