//! Load stages against clients that answer in every way, with the history read back from disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shakedown_checker::history::{Event, EventKind, HistoryReader, Process};
use shakedown_workloads::client::{Client, Completion};
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::documents::{KeySpace, Mix};
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::load::{LoadError, LoadSpec, StageSummary, drive};
use shakedown_workloads::noop::NoopClient;
use shakedown_workloads::operation::Operation;
use shakedown_workloads::recorder::{Recorder, RecorderError};
use shakedown_workloads::sink::EventSink;
use shakedown_workloads::stop::{StopSignal, Stopper, stop_pair};

fn history(dir: &Path) -> Vec<Event> {
    let mut reader = HistoryReader::open(dir).unwrap();
    let mut events = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        events.extend(batch.rows().map(|row| row.to_event()));
    }
    assert!(!reader.truncated());
    events
}

fn spec(processes: u32, count: u64) -> LoadSpec {
    LoadSpec {
        processes: NonZeroU32::new(processes).unwrap(),
        count: NonZeroU64::new(count),
        mix: Mix::new(6, 2, 1, 1).unwrap(),
        ..LoadSpec::default()
    }
}

async fn run<C: Client>(
    spec: &LoadSpec,
    client: impl FnMut(u32) -> C,
    stop: &StopSignal,
) -> (StageSummary, Vec<Event>) {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeySpace::new(5, [(spec.keys.as_str(), spec.processes)]);
    let (sink, recorder) = Recorder::spawn(dir.path(), &BTreeMap::new()).unwrap();
    let summary = drive(spec, &keys, client, RunClock::start(), &sink, stop)
        .await
        .unwrap();
    assert_eq!(sink.totals().completed(), summary.offered);
    recorder.finish().unwrap();
    (summary, history(dir.path()))
}

/// Function, key and version.
type Offer = (String, Option<i64>, Option<i64>);

/// Operations offered, by process in the order it offered them.
fn offered(events: &[Event]) -> HashMap<Process, Vec<Offer>> {
    let mut offered: HashMap<_, Vec<_>> = HashMap::new();
    for event in events.iter().filter(|e| e.kind == EventKind::Invoke) {
        let row = (event.f.to_string(), event.key, event.value);
        offered.entry(event.process).or_default().push(row);
    }
    offered
}

/// Answers in turn: done, failed, indeterminate.
struct Moody(u32);

impl Client for Moody {
    async fn invoke(&mut self, _: &Operation) -> Completion {
        tokio::task::yield_now().await;
        self.0 += 1;
        let error = "as it pleases".to_owned();
        match self.0 % 3 {
            0 => Completion::Done { seen: None },
            1 => Completion::Failed { error },
            _ => Completion::Indeterminate { error },
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_in_the_history_once_and_invoked_before_it_is_completed() {
    let (_stopper, stop) = stop_pair();
    for batch in [1, 7] {
        let spec = LoadSpec {
            batch: NonZeroU32::new(batch).unwrap(),
            ..spec(5, 1_003)
        };
        let (summary, events) = run(&spec, Moody, &stop).await;
        assert_eq!(summary.offered, 1_003);
        assert_eq!(summary.ok + summary.failed + summary.indeterminate, 1_003);
        let mut open: HashMap<u64, &Event> = HashMap::new();
        let mut invoked = HashSet::new();
        for event in &events {
            if event.kind == EventKind::Invoke {
                assert!(
                    invoked.insert(event.op),
                    "an operation number is used twice"
                );
                open.insert(event.op, event);
            } else {
                let start = open
                    .remove(&event.op)
                    .expect("completed after it was invoked");
                assert_eq!(
                    (start.process, start.key, &start.f),
                    (event.process, event.key, &event.f)
                );
                assert!(start.time_ns <= event.time_ns);
            }
        }
        assert_eq!((invoked.len(), open.len()), (1_003, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_ends_with_its_indeterminate_operation() {
    let (_stopper, stop) = stop_pair();
    let (summary, events) = run(&spec(3, 300), Moody, &stop).await;
    assert!(summary.indeterminate > 0);
    let mut ended: HashSet<Process> = HashSet::new();
    for event in &events {
        assert!(!ended.contains(&event.process), "{event:?}");
        if event.kind == EventKind::Info {
            ended.insert(event.process);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_offered_does_not_depend_on_the_answers() {
    let (_stopper, stop) = stop_pair();
    let spec = spec(4, 500);
    let (_, calm) = run(&spec, |_| NoopClient, &stop).await;
    let (_, moody) = run(&spec, Moody, &stop).await;
    let mut all: Vec<_> = offered(&calm).into_values().flatten().collect();
    let mut others: Vec<_> = offered(&moody).into_values().flatten().collect();
    all.sort();
    others.sort();
    assert_eq!(all, others);
    let (_, again) = run(&spec, |_| NoopClient, &stop).await;
    assert_eq!(offered(&calm), offered(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_offers_rate_times_duration_with_intended_starts() {
    let (_stopper, stop) = stop_pair();
    let spec = LoadSpec {
        count: None,
        rate: NonZeroU32::new(1_000),
        duration: Some("300ms".parse::<HumanDuration>().unwrap()),
        ..spec(3, 1)
    };
    let (summary, events) = run(&spec, |_| NoopClient, &stop).await;
    assert_eq!(summary.offered, 300);
    let invoked: Vec<&Event> = events
        .iter()
        .filter(|e| e.kind == EventKind::Invoke)
        .collect();
    let mut intended: Vec<u64> = invoked.iter().map(|e| e.intended_ns.unwrap()).collect();
    intended.sort_unstable();
    assert!(
        intended
            .windows(2)
            .all(|pair| pair[1] - pair[0] == 1_000_000)
    );
    assert!(
        invoked.iter().all(|e| e.time_ns >= e.intended_ns.unwrap()),
        "none starts early"
    );
    let start = intended[0];
    for event in invoked {
        let i = (event.intended_ns.unwrap() - start) / 1_000_000;
        assert_eq!(
            event.process,
            Process((i % 3) as i32),
            "request i goes to process i mod 3"
        );
    }
}

/// Stops the stage at its hundredth request, and answers that one all the same.
struct StopAtHundred(Arc<(AtomicU64, Stopper)>);

impl Client for StopAtHundred {
    async fn invoke(&mut self, _: &Operation) -> Completion {
        if self.0.0.fetch_add(1, Ordering::SeqCst) == 99 {
            self.0.1.stop();
        }
        tokio::task::yield_now().await;
        Completion::Done { seen: None }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_stage_finishes_what_is_under_way_and_offers_no_more() {
    for rate in [None, NonZeroU32::new(2_000)] {
        let (stopper, stop) = stop_pair();
        let shared = Arc::new((AtomicU64::new(0), stopper));
        let endless = LoadSpec {
            count: None,
            rate,
            ..spec(4, 1)
        };
        let (summary, events) = run(&endless, |_| StopAtHundred(shared.clone()), &stop).await;
        assert!((100..=104).contains(&summary.offered), "{summary:?}");
        assert_eq!(summary.ok, summary.offered);
        assert_eq!(events.len() as u64, 2 * summary.offered);
    }
}

/// Counts the requests made.
struct Counting(Arc<AtomicU64>);

impl Client for Counting {
    async fn invoke(&mut self, _: &Operation) -> Completion {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Completion::Done { seen: None }
    }
}

const FULL_DISK: &str = "SHAKEDOWN_TEST_FULL_DISK";

/// Runs itself again in a process that may not write files above 256 KiB: the writes of the real
/// recorder then fail as they do on a full disk.
#[test]
fn when_the_history_cannot_be_written_the_load_stops_and_the_reason_is_told() {
    if std::env::var_os(FULL_DISK).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        return runtime.unwrap().block_on(load_on_a_full_disk());
    }
    let this = "when_the_history_cannot_be_written_the_load_stops_and_the_reason_is_told";
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 512; exec \"$0\" --exact \"$1\" --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(this)
        .env(FULL_DISK, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

async fn load_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, recorder) = Recorder::spawn(dir.path(), &BTreeMap::new()).unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let endless = LoadSpec {
        count: None,
        ..spec(4, 1)
    };
    let keys = KeySpace::new(5, [(endless.keys.as_str(), endless.processes)]);
    let (_stopper, stop) = stop_pair();
    let client = |_| Counting(sent.clone());
    let stage = drive(&endless, &keys, client, RunClock::start(), &sink, &stop).await;
    assert!(matches!(stage, Err(LoadError::Recorder(_))), "{stage:?}");
    let Err(RecorderError::Write { source, lost }) = recorder.finish() else {
        panic!("the recorder knows of its failure");
    };
    assert!(source.to_string().contains("000001.arrows"), "{source}");
    // What is neither lost nor readable would be missing without a word.
    let mut reader = HistoryReader::open(dir.path()).unwrap();
    let mut readable = 0;
    while let Some(batch) = reader.next_batch().unwrap() {
        readable += batch.len() as u64;
    }
    let accepted_at_least = sent.load(Ordering::SeqCst);
    assert!(
        readable + lost >= accepted_at_least,
        "{readable} + {lost} < {accepted_at_least}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_recorder_lets_no_request_be_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, recorder) = Recorder::spawn(dir.path(), &BTreeMap::new()).unwrap();
    recorder.finish().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let spec = spec(4, 100);
    let keys = KeySpace::new(5, [(spec.keys.as_str(), spec.processes)]);
    let (_stopper, stop) = stop_pair();
    let client = |_| Counting(sent.clone());
    let stage = drive(&spec, &keys, client, RunClock::start(), &sink, &stop).await;
    assert!(matches!(stage, Err(LoadError::Recorder(_))), "{stage:?}");
    assert_eq!(sent.load(Ordering::SeqCst), 0);
}

#[test]
fn everything_accepted_before_the_end_is_in_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, recorder) = Recorder::spawn(dir.path(), &BTreeMap::new()).unwrap();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn({
                let sink = sink.clone();
                move || record_until_refused(&sink)
            })
        })
        .collect();
    while sink.next_ops(1) < 100_000 {
        std::thread::yield_now();
    }
    recorder.finish().unwrap();
    let accepted: u64 = writers.into_iter().map(|w| w.join().unwrap()).sum();
    assert_eq!(history(dir.path()).len() as u64, accepted);
}

fn record_until_refused(sink: &EventSink) -> u64 {
    let mut accepted = 0;
    while sink
        .record_blocking([mark(sink.next_ops(1), "mark".to_owned())])
        .is_ok()
    {
        accepted += 1;
    }
    accepted
}

fn mark(op: u64, f: String) -> Event {
    Event {
        op,
        process: Process::OPERATOR,
        kind: EventKind::Info,
        f: f.into(),
        time_ns: 0,
        intended_ns: None,
        key: None,
        value: None,
        detail: None,
    }
}
