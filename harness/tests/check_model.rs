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
