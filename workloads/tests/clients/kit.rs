//! The kit: it finds nothing wrong with a client that tells the truth, and does with every one that does not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use shakedown_workloads::objects::Spec;
use shakedown_workloads::objects::clients::exec::{ExecClient, ExecConfig};
use shakedown_workloads::objects::kit::{self, Fault, KitReport};

use crate::liars::{Hesitant, Liar, Lie};
use crate::memcached;

const TIMEOUT: Duration = Duration::from_millis(200);

/// The example of docs/clients.md.
fn example(dir: &Path, spec: &Spec, server: SocketAddr) -> ExecClient {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/examples/memcached_client.py")
        .canonicalize()
        .unwrap();
    let config = ExecConfig {
        argv: vec!["python3".to_owned(), program.display().to_string()],
        dir: dir.to_owned(),
        stderr: dir.join("stderr.log"),
        process: 0,
        endpoint: server.to_string(),
        endpoints: vec![server.to_string()],
        settings: BTreeMap::new(),
        timeout: TIMEOUT,
    };
    ExecClient::new(config, spec)
}

fn told(report: &KitReport) -> String {
    let problems: Vec<String> = report.problems().map(ToString::to_string).collect();
    problems.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_client_calls_nothing_certain_that_is_not() {
    for kind in ["cas", "counter"] {
        let dir = tempfile::tempdir().unwrap();
        let server = memcached::start();
        let make = |spec: &Spec, address| example(dir.path(), spec, address);
        let report = kit::run(kind, server, TIMEOUT, make).await.unwrap();
        assert_eq!(told(&report), "", "{kind}");
        for fault in Fault::ALL {
            let struck = |kept| {
                let mut trials = report.trials.iter();
                trials.any(|trial| trial.fault == fault && trial.struck && trial.kept == kept)
            };
            assert!(struck(false), "{kind}: {}", fault.name());
            // A kept connection is not accepted again.
            assert_eq!(struck(true), fault != Fault::CloseOnAccept, "{kind}");
        }
        let happened = |happened| {
            report
                .trials
                .iter()
                .any(|trial| trial.happened == Some(happened))
        };
        assert!(happened(true) && happened(false), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_tell_the_truth_is_found_out() {
    for (lie, kind, expected) in [
        (Lie::MaybeIsNone, "register", "and it did happen"),
        (Lie::MaybeIsOk, "register", "and it did not happen"),
        (Lie::Repeats, "counter", "it happened 2 times"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let server = memcached::start();
        let make = |spec: &Spec, address| Liar::new(example(dir.path(), spec, address), lie);
        let report = kit::run(kind, server, TIMEOUT, make).await.unwrap();
        assert!(
            told(&report).contains(expected),
            "{lie:?}: {}",
            told(&report)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_that_runs_out_once_without_a_fault_is_no_problem_and_each_time_it_is_one() {
    for (one_in, problem) in [(3, ""), (1, "and there was no fault")] {
        let dir = tempfile::tempdir().unwrap();
        let server = memcached::start();
        let asked = Arc::new(AtomicU32::new(0));
        let make = |spec: &Spec, address| Hesitant {
            client: example(dir.path(), spec, address),
            // The one that looks at the server itself does not.
            one_in: (address != server).then_some(one_in),
            asked: asked.clone(),
        };
        let report = kit::run("counter", server, TIMEOUT, make).await.unwrap();
        assert_eq!(told(&report).is_empty(), problem.is_empty(), "{report:#?}");
        assert!(told(&report).contains(problem), "{}", told(&report));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_at_all_tests_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let make = |spec: &Spec, address| example(dir.path(), spec, address);
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let error = kit::run("register", nobody, TIMEOUT, make)
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("without any fault, read ended with no-connection (none)"),
        "{told}"
    );
    let error = kit::run("queue", nobody, TIMEOUT, make).await.unwrap_err();
    assert!(error.to_string().contains("expected register, cas, append"));
}
