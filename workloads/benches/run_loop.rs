//! How many operations a second the run loop sustains when the client does nothing: every
//! invocation and completion goes through the recorder into an Arrow history on disk.
//!
//! Prints the median of several runs and fails below the promised floor. Run it with
//! `cargo bench -p shakedown-workloads --bench run_loop`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::process::ExitCode;
use std::time::Instant;

use shakedown_checker::history::HistoryReader;
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::documents::{KeySpace, Mix};
use shakedown_workloads::load::{LoadSpec, drive};
use shakedown_workloads::noop::NoopClient;
use shakedown_workloads::recorder::Recorder;
use shakedown_workloads::stop::stop_pair;

/// Operations per second below which the benchmark fails.
const FLOOR: f64 = 150_000.0;
const OPERATIONS: u64 = 2_000_000;
const RUNS: usize = 5;
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let mut rates: Vec<f64> = (0..RUNS).map(|_| runtime.block_on(measure())).collect();
    for rate in &rates {
        println!("run_loop: {rate:.0} operations/s");
    }
    rates.sort_by(f64::total_cmp);
    let median = rates[RUNS / 2];
    println!(
        "run_loop: median {median:.0} operations/s over {RUNS} runs of {OPERATIONS} operations (floor {FLOOR:.0})"
    );
    if median < FLOOR {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Operations per second from the first invocation to the closed history.
async fn measure() -> f64 {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let spec = LoadSpec {
        processes: NonZeroU32::new(16).expect("not zero"),
        count: NonZeroU64::new(OPERATIONS),
        mix: Mix::new(6, 2, 1, 1).expect("not empty"),
        ..LoadSpec::default()
    };
    let keys = KeySpace::new(1, [(spec.keys.as_str(), spec.processes)]);
    let (sink, recorder) =
        Recorder::spawn(dir.path(), &BTreeMap::new()).expect("the history can be created");
    let (_stopper, stop) = stop_pair();
    let start = Instant::now();
    let summary = drive(
        &spec,
        &keys,
        |_| NoopClient,
        RunClock::start(),
        &sink,
        &stop,
    )
    .await
    .expect("the stage runs to its end");
    recorder.finish().expect("the history is complete");
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(summary.ok, OPERATIONS);
    assert_eq!(rows(dir.path()), 2 * OPERATIONS);
    OPERATIONS as f64 / seconds
}

fn rows(dir: &std::path::Path) -> u64 {
    let mut history = HistoryReader::open(dir).expect("the history can be read");
    let mut rows = 0;
    while let Some(batch) = history.next_batch().expect("the history is whole") {
        rows += batch.len() as u64;
    }
    rows
}
