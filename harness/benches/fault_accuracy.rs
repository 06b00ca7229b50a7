//! How exactly a bad link is as bad as was asked for, on two local nodes.
//!
//! Delays are measured by a client: the time in which a node refuses a TCP connection, whose first packet is
//! held, against the same without the fault. Shares of packets lost, damaged (and so dropped) and doubled are
//! measured by how many of those that one node sends the other counts (and how many are lost without a fault,
//! since the receiver may not keep up on a busy machine). How many were overtaken is what the
//! agent says; the test `shape::the_share_asked_for_is_overtaken` holds that against what arrives. The rate
//! is measured by the time in which a number of packets arrives.
//!
//! Exits non-zero if a mean delay is off by a tenth and 2 ms, a share by six standard deviations, or a rate by a tenth.

mod linked_cluster;

use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use shakedown::control::AgentLink;
use shakedown_nemesis::effects::{Distribution, Effects};
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::{NodeOutcome, Outcome};
use shakedown_nemesis::protocol::{Reply, RequestBody};

/// Nothing listens here.
const CLOSED_PORT: u16 = 9;
/// A processor that is busy with something else comes so much later.
const SLACK_MS: f64 = 2.0;
const CONNECTIONS: usize = 200;
const BATCH: u32 = 25;
const BATCHES: u32 = 800;
/// Of a probe packet, with the headers of UDP and IPv4.
const PROBE_BYTES: f64 = 44.0;

struct Bench {
    sender: AgentLink,
    receiver: AgentLink,
    receiver_address: std::net::IpAddr,
    sender_address: std::net::IpAddr,
    probe_port: u16,
    serial: u64,
    good: bool,
}

fn main() -> ExitCode {
    let (cluster, links, _inbox) = linked_cluster::start("bench-fault-accuracy", 2);
    let mut links = links.into_iter();
    let (sender, receiver) = (
        links.next().expect("two nodes"),
        links.next().expect("two nodes"),
    );
    let address = |i: usize| {
        let host = &cluster.nodes()[i].host;
        host.parse().expect("local nodes are named by address")
    };
    let Ok(Reply::Probe { port }) = receiver.request(RequestBody::ProbeListen) else {
        panic!("no socket for probes");
    };
    let mut bench = Bench {
        sender,
        receiver,
        sender_address: address(0),
        receiver_address: address(1),
        probe_port: port,
        serial: 0,
        good: true,
    };
    bench.delays();
    bench.shares();
    bench.rate();
    let good = bench.good;
    bench.sender.close();
    bench.receiver.close();
    cluster.down().expect("the cluster goes down");
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Bench {
    fn delays(&mut self) {
        let base = mean(&self.refusals());
        println!("a refused connection without a fault: {base:.3} ms on average");
        for (delay_ms, jitter_ms, distribution) in [
            (5, 0, Distribution::Uniform),
            (50, 0, Distribution::Uniform),
            (50, 5, Distribution::Uniform),
            (50, 5, Distribution::Normal),
            (50, 5, Distribution::Pareto),
            (200, 0, Distribution::Uniform),
        ] {
            let effects = Effects {
                delay_ms,
                jitter_ms,
                distribution,
                ..Effects::default()
            };
            let (times, _) = self.under(true, effects, Bench::refusals);
            let held: Vec<f64> = times.iter().map(|time| time - base).collect();
            let mean = mean(&held);
            let squares = held.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
            let deviation = (squares / held.len() as f64).sqrt();
            println!(
                "asked {}; got {mean:.2} ms on average, standard deviation {deviation:.2} ms, {:.2} to \
                 {:.2} ms, {CONNECTIONS} connections",
                effects.words(),
                held.iter().copied().fold(f64::INFINITY, f64::min),
                held.iter().copied().fold(0.0, f64::max),
            );
            let off = (mean - f64::from(delay_ms)).abs();
            self.good &= off < f64::from(delay_ms) / 10.0 + SLACK_MS;
        }
    }

    fn shares(&mut self) {
        let missing = sent() - self.probes();
        println!("without a fault {missing} of {} packets are lost", sent());
        let none = Effects::default();
        for percent in [0.1, 2.0, 20.0] {
            let loss = Effects {
                loss_percent: percent,
                ..none
            };
            let (arrived, _) = self.under(false, loss, Bench::probes);
            self.share(&loss, percent, sent() - arrived);
        }
        let damage = Effects {
            corrupt_percent: 2.0,
            ..none
        };
        let (arrived, _) = self.under(false, damage, Bench::probes);
        self.share(&damage, 2.0, sent() - arrived);
        let double = Effects {
            duplicate_percent: 2.0,
            ..none
        };
        let (arrived, _) = self.under(false, double, Bench::probes);
        self.share(&double, 2.0, arrived - sent());
        let reorder = Effects {
            reorder_percent: 2.0,
            reorder_by_ms: 2,
            ..none
        };
        let (_, ended) = self.under(false, reorder, Bench::probes);
        let overtaken = ended.evidence.iter().find(|e| e.what == "overtaken");
        let overtaken = overtaken.and_then(|e| e.seen.split(' ').next()?.parse().ok());
        let overtaken: f64 = overtaken.unwrap_or_else(|| panic!("not counted: {ended:?}"));
        self.share(&reorder, 2.0, overtaken);
    }

    fn share(&mut self, effects: &Effects, percent: f64, happened: f64) {
        let (share, count) = (percent / 100.0, sent());
        let got = happened * 100.0 / count;
        println!(
            "asked {}; got {got:.3} % of {count} packets",
            effects.words()
        );
        let deviation = (count * share * (1.0 - share)).sqrt();
        self.good &= (happened - count * share).abs() < 6.0 * deviation;
    }

    fn rate(&mut self) {
        for packets_per_second in [100_u32, 1000] {
            let effects = Effects {
                rate: u64::from(packets_per_second) * PROBE_BYTES as u64,
                backlog_ms: 10_000,
                ..Effects::default()
            };
            let packets = packets_per_second * 5;
            let (took, _) = self.under(false, effects, |bench| {
                let nonce = bench.next();
                let begun = Instant::now();
                bench.send(nonce, packets);
                while bench.count(nonce) < u64::from(packets) {
                    assert!(
                        begun.elapsed() < Duration::from_secs(30),
                        "packets are lost"
                    );
                    thread::sleep(Duration::from_millis(1));
                }
                begun.elapsed().as_secs_f64()
            });
            let got = f64::from(packets) * PROBE_BYTES / took;
            println!(
                "asked {}; got {got:.0} bytes/s over {took:.2} s",
                effects.words()
            );
            self.good &= (got / effects.rate as f64 - 1.0).abs() < 0.1;
        }
    }

    /// Has effects on what the receiver gets from the clients or from the sender, while something is
    /// measured.
    fn under<T>(
        &mut self,
        clients: bool,
        effects: Effects,
        measure: impl FnOnce(&mut Self) -> T,
    ) -> (T, NodeOutcome) {
        let fault = format!("f{}", self.next());
        let order = NodeFault::Shape {
            from: if clients {
                vec![]
            } else {
                vec![self.sender_address]
            },
            clients,
            port: Some(if clients {
                CLOSED_PORT
            } else {
                self.probe_port
            }),
            answers: false,
            effects,
        };
        let install = RequestBody::Install {
            fault: fault.clone(),
            order,
            noop: false,
        };
        self.receiver.request(install).expect("a bad link");
        let measured = measure(self);
        match self.receiver.request(RequestBody::Undo { fault }) {
            Ok(Reply::Fault(ended)) if ended.outcome == Outcome::Installed => (measured, ended),
            other => panic!("no effect: {other:?}"),
        }
    }

    /// How long each of a number of connections takes to be refused, milliseconds.
    fn refusals(&mut self) -> Vec<f64> {
        let to = SocketAddr::new(self.receiver_address, CLOSED_PORT);
        (0..CONNECTIONS)
            .map(|_| {
                let begun = Instant::now();
                assert!(TcpStream::connect(to).is_err(), "{to} is in use");
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect()
    }

    /// How many of a number of packets arrive.
    fn probes(&mut self) -> f64 {
        let nonce = self.next();
        for _ in 0..BATCHES {
            self.send(nonce, BATCH);
            // So that the receiver keeps up.
            thread::sleep(Duration::from_millis(3));
        }
        thread::sleep(Duration::from_millis(500));
        self.count(nonce) as f64
    }

    fn send(&self, nonce: u64, count: u32) {
        let to = SocketAddr::new(self.receiver_address, self.probe_port);
        let sent = self
            .sender
            .request(RequestBody::ProbeSend { to, nonce, count });
        assert!(matches!(sent, Ok(Reply::Done)), "{sent:?}");
    }

    fn count(&self, nonce: u64) -> u64 {
        match self.receiver.request(RequestBody::ProbeCount {
            nonce,
            wanted: 0,
            wait_ms: 0,
        }) {
            Ok(Reply::Count { packets, .. }) => packets,
            other => panic!("{other:?}"),
        }
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

fn sent() -> f64 {
    f64::from(BATCH * BATCHES)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
