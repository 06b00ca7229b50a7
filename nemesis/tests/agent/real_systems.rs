//! Faults on systems that others wrote, from Debian's packages redis-server and etcd-server.
//!
//! Run with `cargo nextest run -p shakedown-nemesis --run-ignored only -E 'test(real_systems)'`, and with the programs
//! on the `PATH`.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use shakedown_nemesis::fault::{NodeFault, Skew};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::{RequestBody, Service};

use crate::channel::{Channel, LONG_LEASE_MS};
use crate::node::{Node, eventually};
use crate::service::start;

const HOUR_MS: i64 = 3_600_000;

fn printed(node: &Node, words: &[&str]) -> String {
    let output = node.run(words);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn start_system(node: &Node, argv: &[&str]) -> Channel {
    node.run(&["ip", "link", "set", "lo", "up"]);
    let mut agent = Channel::greet(node, LONG_LEASE_MS);
    start_service(&mut agent, node, argv);
    agent
}

fn start_service(agent: &mut Channel, node: &Node, argv: &[&str]) {
    let libraries = std::env::var("LD_LIBRARY_PATH").ok();
    let service = Service {
        name: "system".into(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::from_iter(libraries.map(|path| ("LD_LIBRARY_PATH".to_owned(), path))),
        dir: format!("{}/data", node.state()),
        log: format!("{}/system.log", node.state()),
    };
    start(agent, &service);
}

fn redis(node: &Node, words: &[&str]) -> String {
    printed(node, &[&["redis-cli", "-p", "6500"], words].concat())
}

fn clock(skew: Skew) -> NodeFault {
    NodeFault::Clock {
        service: "system".into(),
        skew,
    }
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// Goes through jump, drift and standstill, as a client is told the time; to the minute.
fn tells_wrong_time(agent: &mut Channel, told_s: impl Fn() -> i64) {
    let off = || (told_s() - now_s() + 30).div_euclid(60);
    assert_eq!(off(), 0);
    for (fault, offset_ms) in [("ahead", HOUR_MS), ("behind", -HOUR_MS)] {
        agent.install(fault, clock(Skew::Jump { offset_ms }));
        eventually("it is off", || off() == offset_ms / 60_000);
        assert_eq!(agent.undo(fault).outcome, Outcome::Installed);
        eventually("it is right again", || off() == 0);
    }
    agent.install("fast", clock(Skew::Drift { rate: 100.0 }));
    eventually("it runs ahead", || off() > 1);
    agent.undo("fast");
    eventually("it is right again", || off() == 0);
    let strobe = Skew::Strobe {
        offset_ms: HOUR_MS,
        every_ms: 500,
    };
    agent.install("strobe", clock(strobe));
    for minutes in [60, 0, 60] {
        eventually("off and right by turns", || off() == minutes);
    }
    agent.undo("strobe");
    agent.install("freeze", clock(Skew::Freeze));
    let frozen = told_s();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(told_s(), frozen);
    assert_eq!(agent.undo("freeze").outcome, Outcome::Installed);
    eventually("it goes on", || told_s() > frozen + 1 && off() == 0);
}

#[test]
#[ignore = "needs redis-server"]
fn redis_a_program_in_c_tells_its_clients_the_wrong_time() {
    let node = Node::new(1);
    let mut agent = start_system(&node, &["redis-server", "--port", "6500", "--save", ""]);
    eventually("redis answers", || redis(&node, &["ping"]) == "PONG");
    let told = || {
        redis(&node, &["time"])
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    tells_wrong_time(&mut agent, told);
    assert_eq!(redis(&node, &["ping"]), "PONG");
}

#[test]
#[ignore = "needs etcd and curl"]
fn etcd_a_program_in_go_tells_its_clients_the_wrong_time() {
    let node = Node::new(1);
    let mut agent = start_system(&node, &["etcd", "--data-dir", "etcd"]);
    let date = || {
        let url = "http://127.0.0.1:2379/version";
        let answer = printed(&node, &["curl", "-s", "-i", url]);
        let date = answer
            .lines()
            .find_map(|line| line.strip_prefix("Date: "))?
            .to_owned();
        let seconds = printed(&node, &["date", "-u", "-d", &date, "+%s"]);
        seconds.parse::<i64>().ok()
    };
    eventually("etcd answers", || date().is_some());
    tells_wrong_time(&mut agent, || date().unwrap());
    assert!(date().is_some());
}

/// Writes acknowledged before a power loss, and keys there afterwards.
fn keys_after_power_loss(appendfsync: &str) -> (usize, String) {
    let node = Node::new(1);
    node.run(&["ip", "link", "set", "lo", "up"]);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let dir = format!("{}/data", node.state());
    let disk = RequestBody::Disk {
        path: dir.clone(),
        size_mib: 64,
    };
    agent.ask(disk).unwrap();
    let argv = [
        "redis-server",
        "--port",
        "6500",
        "--save",
        "",
        "--dir",
        &dir,
        "--appendonly",
        "yes",
        "--appendfsync",
        appendfsync,
    ];
    start_service(&mut agent, &node, &argv);
    eventually("redis answers", || redis(&node, &["ping"]) == "PONG");
    let script = "for i in $(seq 500); do echo set k$i v; done | redis-cli -p 6500 | grep -c OK";
    let acknowledged = printed(&node, &["sh", "-c", script]).parse().unwrap();
    let cut = NodeFault::PowerLoss {
        service: "system".into(),
        dir,
    };
    assert_eq!(agent.install("cut", cut).outcome, Outcome::Installed);
    let ended = agent.undo("cut");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    eventually("redis answers again", || redis(&node, &["ping"]) == "PONG");
    let keys = redis(&node, &["dbsize"]);
    let timeout_ms = 20_000;
    agent.ask(RequestBody::StopAll { timeout_ms }).unwrap();
    (acknowledged, keys)
}

#[test]
#[ignore = "needs redis-server"]
fn redis_loses_what_it_acknowledged_without_fsync_and_nothing_with_it() {
    assert_eq!(keys_after_power_loss("no"), (500, "0".to_owned()));
    assert_eq!(keys_after_power_loss("always"), (500, "500".to_owned()));
}
