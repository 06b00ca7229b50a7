//! Time from the moment a fault is due to its effect on 5 nodes at once.
//!
//! A partition between one node and the four others is prepared, as a run does for all its faults before
//! the first is due, then installed and undone, again and again. The latency of a round is the slowest
//! agent's time from order to effect (the kernel has taken the rules), as it reports it, plus the time a
//! ping to all agents and back took just before: an upper bound on how long the order was under way. The
//! answer itself comes later, when the agent has read the rules back as evidence; that time is printed, too.
//! Exits non-zero if the 99th percentile of the latency is 20 ms or more.

mod linked_cluster;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shakedown::control::{AgentError, AgentLink};
use shakedown_nemesis::fault::Fault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::plan::{Topology, compile};
use shakedown_nemesis::protocol::{Reply, RequestBody};

const NODES: usize = 5;
const ROUNDS: usize = 300;
const LIMIT: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let (cluster, links, _inbox) = linked_cluster::start("bench-fault-latency", NODES);
    let topology: Topology = cluster
        .nodes()
        .iter()
        .map(|node| {
            (
                node.name.clone(),
                vec![node.host.parse().expect("local nodes are named by address")],
            )
        })
        .collect();
    let fault = Fault::Partition {
        from: vec!["n1".to_owned()],
        to: (2..=NODES).map(|n| format!("n{n}")).collect(),
        one_way: false,
    };
    let orders = compile(&fault, &topology).expect("a partition of known nodes");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (mut latencies, mut answers): (Vec<Duration>, Vec<Duration>) = (0..ROUNDS)
        .map(|round| {
            let name = format!("f{round}");
            let prepared = orders.iter().map(|(node, order)| {
                let (fault, order) = (name.clone(), order.clone());
                link_to(&links, node).call(RequestBody::Prepare {
                    fault,
                    order,
                    noop: false,
                })
            });
            for reply in runtime.block_on(join_all(prepared.collect::<Vec<_>>())) {
                assert!(matches!(reply, Ok(Reply::Done)), "not prepared: {reply:?}");
            }
            let asked = Instant::now();
            let pings = links.iter().map(|link| link.call(RequestBody::Ping));
            runtime.block_on(join_all(pings.collect::<Vec<_>>()));
            let under_way = asked.elapsed();
            let due = Instant::now();
            let installed = orders.iter().map(|(node, order)| {
                let (fault, order) = (name.clone(), order.clone());
                link_to(&links, node).call(RequestBody::Install {
                    fault,
                    order,
                    noop: false,
                })
            });
            let replies = runtime.block_on(join_all(installed.collect::<Vec<_>>()));
            let answered = due.elapsed();
            let effects = replies.iter().map(time_to_effect);
            let latency = under_way + effects.max().expect("a partition has orders");
            let undone = links.iter().map(|link| {
                link.call(RequestBody::Undo {
                    fault: name.clone(),
                })
            });
            runtime.block_on(join_all(undone.collect::<Vec<_>>()));
            (latency, answered)
        })
        .unzip();
    for link in links {
        link.close();
    }
    cluster.down().expect("the cluster goes down");
    latencies.sort();
    answers.sort();
    for (what, times) in [
        ("order to effect", &latencies),
        ("order to evidence", &answers),
    ] {
        println!(
            "{what} on {NODES} nodes, {ROUNDS} rounds: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
            at(times, 0.5),
            at(times, 0.99),
            at(times, 1.0)
        );
    }
    if at(&latencies, 0.99) < LIMIT {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The value below which a share of the sorted times lies.
fn at(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// What an agent says of how long it took from reading the order to its effect.
fn time_to_effect(reply: &Result<Reply, AgentError>) -> Duration {
    let Ok(Reply::Fault(its)) = reply else {
        panic!("not installed: {reply:?}");
    };
    assert_eq!(its.outcome, Outcome::Installed, "{its:?}");
    let evidence = its
        .evidence
        .iter()
        .find(|e| e.what == "time from order to effect");
    let milliseconds: Option<f64> = evidence.and_then(|e| e.seen.strip_suffix(" ms")?.parse().ok());
    Duration::from_secs_f64(milliseconds.unwrap_or_else(|| panic!("no time in {its:?}")) / 1000.0)
}

fn link_to<'a>(links: &'a [AgentLink], node: &str) -> &'a AgentLink {
    links
        .iter()
        .find(|link| link.node() == node)
        .expect("orders are for these nodes")
}
