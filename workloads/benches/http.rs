//! How many operations a second the load generator gets through HTTP into the history, against a server
//! that reads each request and answers at once: single writes, and batches of 100.
//!
//! The server shares the machine's processors and so counts against the figures. Prints the median of
//! several runs and fails below the promised floors. Run it with
//! `cargo bench -p shakedown-workloads --bench http`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::process::ExitCode;
use std::time::Instant;

use shakedown_workloads::clock::RunClock;
use shakedown_workloads::documents::http::{HttpClients, HttpConfig};
use shakedown_workloads::documents::{Documents, KeySpace, Mix, PayloadRange};
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::load::{LoadSpec, drive};
use shakedown_workloads::recorder::Recorder;
use shakedown_workloads::stop::stop_pair;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

/// Documents per request, documents in all, and documents per second below which the benchmark fails.
const CASES: [(u32, u64, f64); 2] = [(1, 100_000, 8_000.0), (100, 1_000_000, 60_000.0)];
const RUNS: usize = 3;
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let mut code = ExitCode::SUCCESS;
    for (batch, documents, floor) in CASES {
        let mut rates: Vec<f64> = (0..RUNS)
            .map(|_| runtime.block_on(measure(batch, documents)))
            .collect();
        rates.sort_by(f64::total_cmp);
        let median = rates[RUNS / 2];
        println!(
            "http: batches of {batch}: median {median:.0} documents/s over {RUNS} runs of {documents} (floor {floor:.0})"
        );
        if median < floor {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Documents per second from the first invocation to the closed history.
async fn measure(batch: u32, documents: u64) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let spec = LoadSpec {
        processes: NonZeroU32::new(16).expect("not zero"),
        count: NonZeroU64::new(documents),
        mix: Mix::new(1, 0, 0, 0).expect("not empty"),
        batch: NonZeroU32::new(batch).expect("not zero"),
        ..LoadSpec::default()
    };
    let config = HttpConfig {
        urls: vec![format!("http://{address}")],
        index: "docs".to_owned(),
        timeout: HumanDuration::from_secs(20),
        connect_timeout: HumanDuration::from_secs(2),
        outcome_header: None,
        headers: BTreeMap::new(),
        bearer: None,
    };
    let clients = HttpClients::new(&config, Documents::new(1, PayloadRange::default()))
        .expect("a good configuration");
    let keys = KeySpace::new(1, [(spec.keys.as_str(), spec.processes)]);
    let (sink, recorder) =
        Recorder::spawn(dir.path(), &BTreeMap::new()).expect("the history can be created");
    let (_stopper, stop) = stop_pair();
    let start = Instant::now();
    let summary = drive(
        &spec,
        &keys,
        |process| clients.client(process),
        RunClock::start(),
        &sink,
        &stop,
    )
    .await
    .expect("the stage runs to its end");
    recorder.finish().expect("the history is complete");
    let seconds = start.elapsed().as_secs_f64();
    server.abort();
    assert_eq!(summary.ok, documents);
    documents as f64 / seconds
}

/// Reads requests and answers each as done.
async fn serve(stream: TcpStream) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 34\r\n\r\n{\"taskUid\":1,\"status\":\"succeeded\"}";
    stream.set_nodelay(true).expect("a connected socket");
    let mut stream = BufStream::new(stream);
    let mut body = Vec::new();
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            match stream.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => {}
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        body.resize(length, 0);
        if stream.read_exact(&mut body).await.is_err()
            || stream.write_all(ANSWER).await.is_err()
            || stream.flush().await.is_err()
        {
            return;
        }
    }
}
