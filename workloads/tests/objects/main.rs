//! Workloads on objects, from what is offered to the verdict of the models that judge it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod memory;

use std::collections::{BTreeMap, HashMap};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;

use memory::{Bug, Database, MemoryClient};
use shakedown_checker::catalogue::{Invariants, Options, Outcome, check_file, find};
use shakedown_checker::history::{Event, EventKind, HistoryReader, Process};
use shakedown_checker::verdict::Verdict;
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::load::StageSummary;
use shakedown_workloads::objects::{
    Answer, Client, Effect, FinalReads, Invocation, KnownError, ObjectLoad, Objects, Spec, drive,
};
use shakedown_workloads::recorder::Recorder;
use shakedown_workloads::stop::stop_pair;

fn load(processes: u32, count: u64) -> ObjectLoad {
    ObjectLoad {
        processes: NonZeroU32::new(processes).unwrap(),
        count: NonZeroU64::new(count),
        ..ObjectLoad::default()
    }
}

/// Runs a load and the final reads, with the history in `dir`.
async fn run<C: Client>(
    objects: &Objects,
    load: &ObjectLoad,
    dir: &Path,
    mut client: impl FnMut(u32) -> C,
) -> (StageSummary, FinalReads) {
    let (_stopper, stop) = stop_pair();
    let clock = RunClock::start();
    let (sink, recorder) = Recorder::spawn(dir, &BTreeMap::new()).unwrap();
    let summary = drive(load, objects, &mut client, clock, &sink, &stop)
        .await
        .unwrap();
    let clients = (0..load.processes.get()).map(client).collect();
    let reads = objects.final_reads(clients, clock, &sink).await.unwrap();
    let completed = summary.offered + reads.summary.offered;
    assert_eq!(sink.totals().completed(), completed);
    recorder.finish().unwrap();
    (summary, reads)
}

fn judge(spec: &Spec, dir: &Path) -> Outcome {
    let models: Vec<_> = spec
        .models()
        .iter()
        .map(|name| find(name).unwrap())
        .collect();
    let invariants = Invariants {
        total: spec.total(),
        ..Invariants::default()
    };
    let options = Options {
        invariants,
        ..Options::default()
    };
    check_file(&models, dir, None, &options).unwrap()
}

fn events(dir: &Path) -> Vec<Event> {
    let mut reader = HistoryReader::open(dir).unwrap();
    let mut events = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        events.extend(batch.rows().map(|row| row.to_event()));
    }
    events
}

async fn verdict_with(spec: &Spec, bug: Bug) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::new(spec, 11);
    let database = Database::new(spec, bug);
    let client = |_| MemoryClient::new(&database, spec);
    let mut load = load(5, 2_000);
    if spec.kind() == "set" {
        let mix = [("add".to_owned(), 20), ("read".to_owned(), 1)];
        load.mix = Some(BTreeMap::from(mix));
    }
    let (summary, reads) = run(&objects, &load, dir.path(), client).await;
    assert_eq!(summary.offered, 2_000);
    assert!(summary.ok > 800 && summary.failed > 0 && summary.indeterminate > 0);
    assert!(reads.is_complete(), "{reads:?}");
    assert_eq!(objects.defects().count, 0, "{:?}", objects.defects());
    judge(spec, dir.path())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_database_is_found_valid_and_each_workload_finds_its_bug() {
    for (kind, bug) in [
        ("register", Bug::StaleRead),
        ("cas", Bug::StaleRead),
        ("cas", Bug::CasWithoutCompare),
        ("append", Bug::LostAppend),
        ("set", Bug::LostAdd),
        ("counter", Bug::DoubleAdd),
        ("bank", Bug::BrokenTransfer),
    ] {
        let spec = Spec::of_kind(kind).unwrap();
        let right = verdict_with(&spec, Bug::None).await;
        assert_eq!(right.verdict, Verdict::Valid, "{kind}: {}", right.reason);
        assert!(right.operations > 800, "{kind}: {}", right.operations);
        let wrong = verdict_with(&spec, bug).await;
        assert_eq!(wrong.verdict, Verdict::Invalid, "{kind}: {}", wrong.reason);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_load_goes_on_where_the_first_ended() {
    let spec = Spec::of_kind("set").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::new(&spec, 11);
    let database = Database::new(&spec, Bug::None);
    let client = |_| MemoryClient::new(&database, &spec);
    run(&objects, &load(3, 300), &dir.path().join("1"), client).await;
    run(&objects, &load(5, 300), &dir.path().join("2"), client).await;
    let mut values = HashMap::new();
    for event in events(&dir.path().join("1"))
        .into_iter()
        .chain(events(&dir.path().join("2")))
    {
        if event.kind == EventKind::Invoke && event.f == "add" {
            *values.entry(event.value).or_insert(0) += 1;
        }
    }
    assert!(values.len() > 550);
    assert!(values.values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_ends_with_its_indeterminate_operation_and_its_slot_goes_on() {
    let spec = Spec::of_kind("register").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::new(&spec, 11);
    let database = Database::new(&spec, Bug::None);
    let client = |_| MemoryClient::new(&database, &spec);
    run(&objects, &load(4, 1_000), dir.path(), client).await;
    let mut ended: HashMap<Process, bool> = HashMap::new();
    for event in events(dir.path()) {
        assert_ne!(ended.get(&event.process), Some(&true), "{event:?}");
        assert!(event.process.0 % 1000 < 4, "{event:?}");
        ended.insert(event.process, event.kind == EventKind::Info);
    }
    assert!(ended.len() > 20);
}

static DECLARED: [KnownError; 1] = [KnownError::new("refused", Effect::None, "")];

type Given = fn() -> Answer;

/// Does what no client may.
struct Liar(Given);

impl Client for Liar {
    fn errors(&self) -> &[KnownError] {
        &DECLARED
    }

    async fn invoke(&mut self, _: &Invocation) -> Answer {
        tokio::task::yield_now().await;
        (self.0)()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_client_may_do_leaves_operations_open_and_is_told() {
    let cases: [(Given, &str); 4] = [
        (
            || Answer::Error(KnownError::new("odd", Effect::None, ""), String::new()),
            "has not declared the error \"odd\"",
        ),
        (
            || {
                let effect = Effect::Happened;
                Answer::Error(
                    KnownError {
                        effect,
                        ..DECLARED[0].clone()
                    },
                    String::new(),
                )
            },
            "as None and calls it Happened",
        ),
        (
            || Answer::Ok("12".into()),
            "answered read with \"12\": expected an integer",
        ),
        (
            || Answer::Defect("not a line of JSON".to_owned()),
            "not a line of JSON",
        ),
    ];
    for (answer, told) in cases {
        let spec = Spec::of_kind("counter").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::new(&spec, 1);
        let load = ObjectLoad {
            mix: Some(BTreeMap::from([("read".to_owned(), 1)])),
            ..load(2, 20)
        };
        let (_stopper, stop) = stop_pair();
        let (sink, recorder) = Recorder::spawn(dir.path(), &BTreeMap::new()).unwrap();
        let clock = RunClock::start();
        let summary = drive(&load, &objects, |_| Liar(answer), clock, &sink, &stop)
            .await
            .unwrap();
        recorder.finish().unwrap();
        assert_eq!(summary.indeterminate, 20);
        let defects = objects.defects();
        assert_eq!(defects.count, 20);
        assert!(defects.first[0].contains(told), "{defects:?}");
    }
}

/// Answers nothing until it was asked so many times.
struct Reluctant(MemoryClient, u32);

impl Client for Reluctant {
    fn errors(&self) -> &[KnownError] {
        &DECLARED
    }

    async fn invoke(&mut self, asked: &Invocation) -> Answer {
        match self.1.checked_sub(1) {
            Some(left) => {
                self.1 = left;
                Answer::Error(DECLARED[0].clone(), String::new())
            }
            None => self.0.invoke(asked).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn final_reads_that_one_client_does_not_answer_go_through_another() {
    for (kinds, refusals, complete) in [
        (["set", "register"].as_slice(), [u32::MAX, 0], true),
        (&["bank"], [u32::MAX; 2], false),
    ] {
        for kind in kinds {
            let spec = Spec::of_kind(kind).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let objects = Objects::new(&spec, 1);
            let database = Database::new(&spec, Bug::None);
            let client = |_| MemoryClient::new(&database, &spec);
            let (_stopper, stop) = stop_pair();
            let (sink, recorder) = Recorder::spawn(dir.path(), &BTreeMap::new()).unwrap();
            let clock = RunClock::start();
            drive(&load(2, 50), &objects, client, clock, &sink, &stop)
                .await
                .unwrap();
            let clients = refusals.map(|times| Reluctant(client(0), times));
            let reads = objects
                .final_reads(clients.into(), clock, &sink)
                .await
                .unwrap();
            recorder.finish().unwrap();
            assert_eq!(reads.is_complete(), complete, "{kind}: {reads:?}");
            assert!(reads.wanted > 1);
        }
    }
}
