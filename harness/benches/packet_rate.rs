//! How many packets a second a fault on packets copes with, on two local nodes: one sends the other UDP packets at a given
//! rate, without a fault and with each of them held for 1 ms.
//!
//! Exits non-zero if, of what comes at the lowest rate, a fault loses or misses anything.

mod agents;
mod linked_cluster;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use shakedown::control::AgentLink;
use shakedown_nemesis::effects::Effects;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::outcome::{Evidence, Outcome};
use shakedown_nemesis::protocol::{Reply, RequestBody};

const RATES: [u32; 6] = [1_000, 5_000, 20_000, 50_000, 100_000, 200_000];
const EVERY: Duration = Duration::from_millis(10);
const FOR: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let (cluster, links, _inbox) = linked_cluster::start("bench-packet-rate", 2);
    let [sender, receiver] = &links[..] else {
        panic!("two nodes");
    };
    let address = |i: usize| {
        let host = &cluster.nodes()[i].host;
        host.parse().expect("local nodes are named by address")
    };
    let Ok(Reply::Probe { port }) = receiver.request(RequestBody::ProbeListen) else {
        panic!("no socket for probes");
    };
    let to = SocketAddr::new(address(1), port);
    let order = |effects| NodeFault::Shape {
        from: vec![address(0)],
        clients: false,
        port: Some(port),
        answers: false,
        effects,
    };
    let mut good = true;
    for (i, rate) in (0..).zip(RATES) {
        let (sent, arrived, seconds) = send(sender, receiver, to, 2 * i, rate);
        println!(
            "no fault: {:.0} packets/s for {seconds:.1} s, {} of {sent} did not arrive",
            sent as f64 / seconds,
            sent - arrived
        );
        let effects = Effects {
            delay_ms: 1,
            ..Effects::default()
        };
        let fault = format!("f{i}");
        let install = RequestBody::Install {
            fault: fault.clone(),
            order: order(effects),
            noop: false,
        };
        receiver.request(install).expect("a bad link");
        let agents = agents::all();
        let before = agents::seconds_of_processor(&agents);
        let (sent, arrived, seconds) = send(sender, receiver, to, 2 * i + 1, rate);
        let spent = agents::seconds_of_processor(&agents) - before;
        let ended = match receiver.request(RequestBody::Undo { fault }) {
            Ok(Reply::Fault(ended)) if ended.outcome == Outcome::Installed => ended,
            other => panic!("no effect: {other:?}"),
        };
        println!(
            "held 1 ms: {:.0} packets/s, {} of {sent} did not arrive, {:.1} us of processor for each in all agents",
            sent as f64 / seconds,
            sent - arrived,
            spent * 1e6 / sent as f64
        );
        for Evidence { what, seen } in ended.evidence {
            println!("    {what}: {seen}");
        }
        good &= i > 0 || sent == arrived;
    }
    for link in links {
        link.close();
    }
    cluster.down().expect("the cluster goes down");
    ExitCode::from(u8::from(!good))
}

/// How many packets were sent, how many arrived, and how long sending took in seconds.
fn send(
    sender: &AgentLink,
    receiver: &AgentLink,
    to: SocketAddr,
    nonce: u64,
    rate: u32,
) -> (u64, u64, f64) {
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < FOR {
        let due = (begun.elapsed() + EVERY).as_secs_f64() * f64::from(rate);
        let count = due as u32 - sent;
        let request = RequestBody::ProbeSend { to, nonce, count };
        assert!(matches!(sender.request(request), Ok(Reply::Done)));
        sent += count;
        let next = f64::from(sent) / f64::from(rate);
        let wait = Duration::from_secs_f64(next).saturating_sub(begun.elapsed());
        thread::sleep(wait.min(EVERY));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let count = RequestBody::ProbeCount {
        nonce,
        wanted: u64::from(sent),
        wait_ms: 1000,
    };
    match receiver.request(count) {
        Ok(Reply::Count { packets, .. }) => (u64::from(sent), packets, seconds),
        other => panic!("{other:?}"),
    }
}
