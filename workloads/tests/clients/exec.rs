//! Programs as clients: what they may do, and what becomes of it when they do something else.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use shakedown_workloads::objects::clients::exec::{ExecClient, ExecConfig};
use shakedown_workloads::objects::{Answer, Client, Effect, Invocation, Spec};

fn config(dir: &Path, program: &str) -> ExecConfig {
    ExecConfig {
        argv: ["python3", "-u", "-c", program].map(str::to_owned).into(),
        dir: dir.to_owned(),
        stderr: dir.join("stderr.log"),
        process: 3,
        endpoint: "127.0.0.1:1".to_owned(),
        endpoints: vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()],
        settings: BTreeMap::from([("reads".to_owned(), "stale".to_owned())]),
        timeout: Duration::from_secs(4),
    }
}

/// A program that greets and then does `body` with each operation, `asked`.
fn greeting(body: &str) -> String {
    format!(
        r#"
import json, os, sys, time
def tell(message): print(json.dumps(message), flush=True)
hello = json.loads(sys.stdin.readline())
tell({{"functions": ["read", "add"], "errors": {{"refused": {{"effect": "none"}}}}}})
for line in sys.stdin:
    asked = json.loads(line)
    {body}
"#
    )
}

fn read() -> Invocation {
    Invocation {
        f: "read".into(),
        key: None,
        value: Value::Null,
    }
}

fn add(value: i64) -> Invocation {
    Invocation {
        f: "add".into(),
        key: None,
        value: value.into(),
    }
}

fn counter() -> Spec {
    Spec::of_kind("counter").unwrap()
}

async fn answer_of(program: &str) -> Answer {
    let dir = tempfile::tempdir().unwrap();
    let mut client = ExecClient::new(config(dir.path(), program), &counter());
    let answer = client.invoke(&read()).await;
    if let Answer::Error(error, _) = &answer {
        assert!(client.errors().contains(error), "{error:?}");
    }
    answer
}

#[tokio::test]
async fn a_program_is_told_all_it_needs_and_answers_for_each_operation() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("told.json");
    let body = r#"tell({"id": asked["id"], "ok": asked["value"]})
    if asked["f"] == "add": json.dump([hello, asked], open("told.json", "w"))"#;
    let mut client = ExecClient::new(config(dir.path(), &greeting(body)), &counter());
    for value in [4, 5] {
        assert_eq!(client.invoke(&add(value)).await, Answer::Ok(json!(value)));
    }
    // The file is written after the answer to an add, and whole when the one to the read has come.
    assert_eq!(client.invoke(&read()).await, Answer::Ok(Value::Null));
    let told: Value = serde_json::from_str(&std::fs::read_to_string(told).unwrap()).unwrap();
    let hello = json!({
        "protocol": 1,
        "process": 3,
        "endpoint": "127.0.0.1:1",
        "endpoints": ["127.0.0.1:1", "127.0.0.1:2"],
        "workload": {"kind": "counter"},
        "timeout_ms": 4000,
        "settings": {"reads": "stale"},
    });
    assert_eq!(told[0], hello);
    assert_eq!(told[1]["f"], "add");
}

#[tokio::test]
async fn a_declared_error_has_the_effect_that_was_declared() {
    let body = r#"tell({"id": asked["id"], "error": "refused", "detail": "by n1"})"#;
    match answer_of(&greeting(body)).await {
        Answer::Error(error, text) => {
            assert_eq!((&*error.name, error.effect), ("refused", Effect::None));
            assert_eq!(text, "by n1");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_that_breaks_the_protocol_is_a_defect_and_says_why() {
    for (body, told) in [
        (
            r#"tell({"id": asked["id"], "error": "odd"})"#,
            "it has not declared the error \"odd\"",
        ),
        (r#"print("debugging")"#, "\"debugging\" is no answer"),
        (r#"tell({"id": 77, "ok": 1})"#, "does not answer request 1"),
        (
            r#"tell({"id": asked["id"], "ok": 1, "error": "refused"})"#,
            "must have either",
        ),
        (
            r#"print("x" * (17 << 20))"#,
            "a line of more than 16777216 bytes",
        ),
    ] {
        match answer_of(&greeting(body)).await {
            Answer::Defect(text) => assert!(text.contains(told), "{text}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_program_that_does_not_greet_is_a_defect_with_its_last_words() {
    for (program, told) in [
        ("print('hello')", "its first line is no greeting"),
        (
            "import sys; sys.exit('no such database')",
            "it did not greet: it has ended; its standard error ends with: no such database",
        ),
        (
            r#"print('{"functions": ["write"], "errors": {}}'); input(); input()"#,
            "a counter workload asks for read, and it greeted with functions: write",
        ),
    ] {
        match answer_of(program).await {
            Answer::Defect(text) => assert!(text.contains(told), "{text}"),
            other => panic!("{program}: {other:?}"),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut missing = config(dir.path(), "");
    missing.argv = vec!["no-such-program-anywhere".to_owned()];
    match ExecClient::new(missing, &counter()).invoke(&read()).await {
        Answer::Defect(text) => assert!(text.contains("cannot be started"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_that_ends_or_hangs_leaves_its_operation_open_and_is_started_again() {
    for (what, name) in [
        ("sys.exit('oops')", "program-ended"),
        ("time.sleep(60)", "program-silent"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let body = format!(
            r#"if not os.path.exists("again"):
        open("again", "w")
        {what}
    tell({{"id": asked["id"], "ok": 7}})"#
        );
        let mut client = ExecClient::new(config(dir.path(), &greeting(&body)), &counter());
        match client.invoke(&read()).await {
            Answer::Error(error, _) => {
                assert_eq!((&*error.name, error.effect), (name, Effect::Maybe));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(client.invoke(&read()).await, Answer::Ok(json!(7)));
    }
}

#[tokio::test]
async fn a_program_that_ended_between_operations_costs_none_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let body = r#"tell({"id": asked["id"], "ok": os.getpid()})
    sys.exit()"#;
    let mut client = ExecClient::new(config(dir.path(), &greeting(body)), &counter());
    for _ in 0..3 {
        let Answer::Ok(program) = client.invoke(&read()).await else {
            panic!("it answers");
        };
        ended(&program).await;
    }
}

#[tokio::test]
async fn a_dropped_client_leaves_no_program_behind() {
    let dir = tempfile::tempdir().unwrap();
    let body = r#"import subprocess
    child = subprocess.Popen(["sleep", "600"])
    tell({"id": asked["id"], "ok": child.pid})"#;
    let mut client = ExecClient::new(config(dir.path(), &greeting(body)), &counter());
    let Answer::Ok(child) = client.invoke(&read()).await else {
        panic!("it answers");
    };
    drop(client);
    ended(&child).await;
}

/// Waits for the end of a process.
async fn ended(pid: &Value) {
    let stat = format!("/proc/{pid}/stat");
    for _ in 0..600 {
        // Gone, or a zombie that nobody has waited for yet.
        match std::fs::read_to_string(&stat) {
            Ok(text) if !text.contains(") Z ") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            _ => return,
        }
    }
    panic!("process {pid} is still there");
}
