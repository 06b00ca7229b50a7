//! Clients of real databases, from Debian's packages redis-server and etcd-server.
//!
//! Run with `cargo nextest run -p shakedown-workloads --run-ignored only -E 'test(real)'`, and with the programs
//! on the `PATH`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use shakedown_checker::catalogue::{Options, check_file, find};
use shakedown_checker::verdict::Verdict;
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::objects::clients::etcd::{EtcdClient, EtcdConfig, Reads};
use shakedown_workloads::objects::clients::redis::{RedisClient, RedisConfig};
use shakedown_workloads::objects::kit::{self, KitReport};
use shakedown_workloads::objects::{Client, Defects, ObjectLoad, Objects, Spec, drive};
use shakedown_workloads::recorder::Recorder;
use shakedown_workloads::stop::stop_pair;

use crate::liars::{Liar, Lie};

const TIMEOUT: Duration = Duration::from_millis(250);

/// A program that ends with the test.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(dir: &Path, port: u16, argv: &[&str]) -> Server {
        let child = Command::new(argv[0])
            .args(&argv[1..])
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server(child);
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{} does not listen", argv[0]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) fn start_redis(dir: &Path) -> (Server, SocketAddr) {
    let port = free_port();
    let words = format!("redis-server --port {port} --bind 127.0.0.1 --save '' --dir .");
    let words: Vec<&str> = words
        .split(' ')
        .map(|word| word.trim_matches('\''))
        .collect();
    let server = Server::start(dir, port, &words);
    (server, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn start_etcd(dir: &Path) -> (Server, SocketAddr) {
    let (port, peer) = (free_port(), free_port());
    let words = format!(
        "etcd --data-dir data --listen-client-urls http://127.0.0.1:{port} \
         --advertise-client-urls http://127.0.0.1:{port} --listen-peer-urls http://127.0.0.1:{peer} \
         --initial-advertise-peer-urls http://127.0.0.1:{peer} --initial-cluster default=http://127.0.0.1:{peer}"
    );
    let words: Vec<&str> = words.split_whitespace().collect();
    let server = Server::start(dir, port, &words);
    // It listens before it has elected itself.
    std::thread::sleep(Duration::from_secs(3));
    (server, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn redis(spec: &Spec, address: SocketAddr) -> RedisClient {
    let config = RedisConfig {
        address: address.to_string(),
        sentinel: None,
        timeout: TIMEOUT,
    };
    RedisClient::new(config, spec)
}

fn etcd(reads: Reads) -> impl Fn(&Spec, SocketAddr) -> EtcdClient {
    move |spec, address| {
        let config = EtcdConfig {
            address: address.to_string(),
            reads,
            timeout: TIMEOUT,
        };
        EtcdClient::new(config, spec)
    }
}

async fn test<C: Client>(
    kind: &str,
    server: SocketAddr,
    make: impl Fn(&Spec, SocketAddr) -> C,
) -> KitReport {
    let report = kit::run(kind, server, TIMEOUT, make).await.unwrap();
    println!(
        "{kind}: {} trials, {} struck",
        report.trials.len(),
        report.struck()
    );
    for trial in &report.trials {
        println!("  {trial} (happened: {:?})", trial.happened);
    }
    report
}

/// Every workload on a server of its own, by several processes at once, judged by its models.
async fn all_workloads<C: Client>(
    start: fn(&Path) -> (Server, SocketAddr),
    make: impl Fn(&Spec, SocketAddr) -> C,
) {
    for kind in Spec::kinds() {
        let spec = Spec::of_kind(kind).unwrap();
        let data = tempfile::tempdir().unwrap();
        let (_server, address) = start(data.path());
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::new(&spec, 3);
        let load = ObjectLoad {
            processes: NonZeroU32::new(5).unwrap(),
            count: NonZeroU64::new(3_000),
            ..ObjectLoad::default()
        };
        let (_stopper, stop) = stop_pair();
        let clock = RunClock::start();
        let (sink, recorder) = Recorder::spawn(dir.path(), &BTreeMap::new()).unwrap();
        let client = |_| make(&spec, address);
        let summary = drive(&load, &objects, client, clock, &sink, &stop)
            .await
            .unwrap();
        let clients = (0..5).map(client).collect();
        let reads = objects.final_reads(clients, clock, &sink).await.unwrap();
        recorder.finish().unwrap();
        println!("{kind}: {summary:?} {reads:?} {:?}", objects.errors());
        assert_eq!(objects.defects(), Defects::default(), "{kind}");
        assert!(reads.is_complete() && summary.ok > 300, "{kind}");
        let models: Vec<_> = spec
            .models()
            .iter()
            .map(|name| find(name).unwrap())
            .collect();
        let mut options = Options::default();
        options.invariants.total = spec.total();
        let outcome = check_file(&models, dir.path(), None, &options).unwrap();
        assert_eq!(
            outcome.verdict,
            Verdict::Valid,
            "{kind}: {}",
            outcome.reason
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn every_workload_runs_on_redis() {
    all_workloads(start_redis, redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs etcd"]
async fn every_workload_runs_on_etcd() {
    all_workloads(start_etcd, etcd(Reads::Linearizable)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn the_client_of_redis_calls_nothing_certain_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, address) = start_redis(dir.path());
    for kind in Spec::kinds() {
        let report = test(kind, address, redis).await;
        assert_eq!(report.problems().count(), 0, "{kind}");
        assert!(report.struck() > 40);
    }
    let lying = |spec: &Spec, address| Liar::new(redis(spec, address), Lie::MaybeIsNone);
    let report = test("set", address, lying).await;
    assert!(report.problems().count() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs etcd"]
async fn the_client_of_etcd_calls_nothing_certain_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, address) = start_etcd(dir.path());
    for kind in Spec::kinds() {
        let reads = match kind {
            "register" | "bank" => Reads::Serializable,
            _ => Reads::Linearizable,
        };
        let report = test(kind, address, etcd(reads)).await;
        assert_eq!(report.problems().count(), 0, "{kind}");
        assert!(report.struck() > 40);
    }
    let make = etcd(Reads::Linearizable);
    let lying = |spec: &Spec, address| Liar::new(make(spec, address), Lie::MaybeIsNone);
    let report = test("register", address, lying).await;
    assert!(report.problems().count() > 0);
}
