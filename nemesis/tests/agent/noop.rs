//! The negative control of every form of every fault: without its effect it is skipped, and nothing happens.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_nemesis::effects::{Distribution, Effects};
use shakedown_nemesis::fault::forms::{FORMS, Form};
use shakedown_nemesis::fault::io::{IoEffects, Operation};
use shakedown_nemesis::fault::local::{Damage, LocalFault, Range};
use shakedown_nemesis::fault::{CLIENTS, Fault, KillSignal, Skew};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::plan::{Topology, compile};
use shakedown_nemesis::ports::{BlockMode, DnsMode, Side, StreamMode};
use shakedown_nemesis::protocol::{Reply, RequestBody, Service};
use shakedown_nemesis::split::Split;

use crate::channel::{Channel, LONG_LEASE_MS};
use crate::local::{TICK, again, count, web};
use crate::node::{Node, eventually};
use crate::service::start;

/// The node that every fault strikes; the others have no agent, and never notice.
const STRUCK: &str = "n1";

fn struck() -> Vec<String> {
    vec![STRUCK.to_owned()]
}

fn others() -> Vec<String> {
    ["n2", "n3", "n4", "n5"].map(str::to_owned).into()
}

fn everyone() -> Vec<String> {
    [struck(), others()].concat()
}

fn topology(node: &Node) -> Topology {
    let others = (2..).zip(others());
    let others = others.map(|(number, name)| (name, vec![[10, 99, 0, number].into()]));
    others.chain([(STRUCK.to_owned(), vec![node.ip])]).collect()
}

/// Faults on packets, connections and names.
fn on_the_network() -> Vec<Fault> {
    let partition = |from, one_way| Fault::Partition {
        from,
        to: struck(),
        one_way,
    };
    let split = |split| Fault::Split {
        nodes: everyone(),
        split,
    };
    let one = STRUCK.to_owned();
    let pair = (STRUCK.to_owned(), others()[0].clone());
    let reset = |containing| Fault::Reset {
        nodes: struck(),
        port: 7700,
        from: Vec::new(),
        probability: 1.0,
        containing,
    };
    let shape = |effects| Fault::Shape {
        from: others(),
        to: struck(),
        both: false,
        port: None,
        effects,
    };
    let block = |mode| Fault::Block {
        nodes: struck(),
        port: 7700,
        from: Vec::new(),
        mode,
    };
    let stream = |mode| Fault::Stream {
        nodes: struck(),
        port: 7700,
        from: Vec::new(),
        mode,
    };
    let cut = |of| StreamMode::Cut { after_bytes: 1, of };
    let dns = |mode| Fault::Dns {
        nodes: struck(),
        mode,
    };
    let damaged = Effects {
        corrupt_percent: 100.0,
        ..Effects::default()
    };
    vec![
        partition(others(), false),
        partition(others(), true),
        partition(vec![CLIENTS.to_owned()], false),
        split(Split::Isolate { one }),
        split(Split::Halves),
        split(Split::MajorityMinority),
        split(Split::MajoritiesRing),
        split(Split::Bridge),
        split(Split::Pairs { pairs: vec![pair] }),
        reset(Vec::new()),
        reset(vec!["insert".to_owned()]),
        Fault::Delay {
            from: others(),
            to: struck(),
            port: None,
            delay_ms: 1000,
            jitter_ms: 0,
            distribution: Distribution::Uniform,
        },
        shape(Effects {
            loss_percent: 100.0,
            duplicate_percent: 100.0,
            reorder_percent: 100.0,
            rate: 1000,
            delay_ms: 1000,
            ..damaged
        }),
        shape(Effects {
            corrupt_unnoticed: true,
            ..damaged
        }),
        block(BlockMode::Drop),
        block(BlockMode::DropNew),
        block(BlockMode::Refuse),
        stream(StreamMode::Hang),
        stream(cut(Side::Answers)),
        stream(cut(Side::Requests)),
        stream(StreamMode::Slice {
            bytes: 1,
            pause_ms: 100,
        }),
        stream(StreamMode::SlowClose { hold_ms: 1000 }),
        dns(DnsMode::Drop),
        dns(DnsMode::Servfail),
        dns(DnsMode::Refused),
        dns(DnsMode::Nxdomain),
    ]
}

fn local(act: LocalFault) -> Fault {
    Fault::Local {
        nodes: struck(),
        act,
    }
}

/// Faults on the service, its files and its disk.
fn on_the_service(disk: &str) -> Vec<Fault> {
    let service = web;
    let kill = |signal| Fault::Kill {
        nodes: struck(),
        service: service(),
        restart: true,
        signal,
    };
    let clock = |skew| Fault::Clock {
        nodes: struck(),
        service: service(),
        skew,
    };
    let corrupt = |damage| {
        local(LocalFault::Corrupt {
            service: service(),
            files: "file".to_owned(),
            damage,
            seed: 1,
        })
    };
    let offset_ms = 3_600_000;
    let within = Range::default();
    vec![
        kill(KillSignal::Kill),
        kill(KillSignal::Terminate),
        Fault::Pause {
            nodes: struck(),
            service: service(),
        },
        local(LocalFault::Freeze { service: service() }),
        local(LocalFault::HoldThreads {
            service: service(),
            share: 1.0,
            hold_ms: 100,
        }),
        clock(Skew::Jump { offset_ms }),
        clock(Skew::Strobe {
            offset_ms,
            every_ms: 10,
        }),
        clock(Skew::Drift { rate: 100.0 }),
        clock(Skew::Freeze),
        Fault::PowerLoss {
            nodes: struck(),
            service: service(),
            dir: disk.to_owned(),
        },
        Fault::DiskFull {
            nodes: struck(),
            dir: disk.to_owned(),
            leave_bytes: 0,
        },
        local(LocalFault::InodesFull {
            dir: disk.to_owned(),
        }),
        local(LocalFault::CrashLoop {
            service: service(),
            up_ms: 10,
            down_ms: 10,
        }),
        local(LocalFault::CpuQuota {
            service: service(),
            percent: 1,
        }),
        local(LocalFault::CpuBurn { threads: 1 }),
        local(LocalFault::MemoryLimit {
            service: service(),
            more_mib: 1,
        }),
        local(LocalFault::MemoryHold { mib: 10 }),
        local(LocalFault::TaskLimit {
            service: service(),
            more: 0,
        }),
        local(LocalFault::FileLimit {
            service: service(),
            more: 0,
        }),
        corrupt(Damage::Flip { bits: 8, within }),
        corrupt(Damage::Truncate { bytes: 1 }),
        corrupt(Damage::Copy { bytes: 2, within }),
        corrupt(Damage::Restore { within }),
    ]
}

/// Faults on a disk with a layer.
fn on_a_layer(disk: &str) -> Vec<Fault> {
    vec![local(LocalFault::Io {
        dir: disk.to_owned(),
        effects: IoEffects {
            operations: Operation::ALL.into(),
            fail: 1.0,
            torn: 1.0,
            latency_ms: 1000,
            bytes_per_second: Some(1024),
            read_only: true,
            seed: 1,
        },
    })]
}

/// Of the disks that the test itself made.
fn is_disk(leftover: &serde_json::Value) -> bool {
    leftover["fault"] == ""
}

/// Installs each on the node without its effect; the forms they come in.
fn assert_skipped(node: &Node, agent: &mut Channel, faults: &[Fault]) -> BTreeSet<Form> {
    for fault in faults {
        let orders = compile(fault, &topology(node)).unwrap();
        let (_, order) = (orders.into_iter())
            .find(|(name, _)| name == STRUCK)
            .unwrap_or_else(|| panic!("{fault:?} strikes {STRUCK}"));
        let installed = agent.install_noop("noop", order);
        assert_eq!(
            installed.outcome,
            Outcome::Skipped,
            "{fault:?}: {installed:?}"
        );
        let ended = agent.undo("noop");
        assert_eq!(ended.outcome, Outcome::Skipped, "{fault:?}: {ended:?}");
        assert_eq!(node.tables(), [""; 0], "{fault:?}");
        let left = node.agent("leftovers").1;
        let left = left.as_array().unwrap();
        assert!(left.iter().all(is_disk), "{fault:?}: {left:?}");
        assert!(
            count(node, "ready") <= 1,
            "{fault:?} started the service again"
        );
    }
    faults.iter().flat_map(Fault::forms).collect()
}

#[test]
fn without_its_effect_every_form_of_every_fault_is_skipped_and_nothing_happens() {
    let node = Node::new(1);
    let mut agent = Channel::greet(&node, LONG_LEASE_MS);
    let (plain, layered) = (
        format!("{}/plain", node.state()),
        format!("{}/layered", node.state()),
    );
    for path in [&plain, &layered] {
        let disk = RequestBody::Disk {
            path: path.clone(),
            size_mib: 16,
        };
        assert_eq!(agent.ask(disk), Ok(Reply::Done));
    }
    let path = layered.clone();
    assert_eq!(agent.ask(RequestBody::Layer { path }), Ok(Reply::Done));
    let service = Service {
        name: web(),
        argv: ["bash", "-c", TICK].map(str::to_owned).into(),
        env: BTreeMap::new(),
        dir: format!("{plain}/data"),
        log: format!("{}/web.log", node.state()),
    };
    start(&mut agent, &service);
    eventually("it is ready", || count(&node, "ready") == 1);
    let file = format!("{plain}/data/file");
    let content = || node.run(&["cat", &file]).stdout;
    node.run(&["sh", "-c", &format!("echo content > {file}")]);

    let mut forms = assert_skipped(&node, &mut agent, &on_the_network());
    forms.extend(assert_skipped(&node, &mut agent, &on_the_service(&plain)));
    forms.extend(assert_skipped(&node, &mut agent, &on_a_layer(&layered)));
    // No node may be given this one here; see the agent's own tests.
    forms.extend([("host_clock", "offset"), ("host_clock", "rate")]);
    assert_eq!(forms, FORMS.into_iter().collect());

    again(&node, "tick");
    assert_eq!(count(&node, "ready"), 1, "it was never started again");
    assert_eq!(content(), b"content\n");
    let on_layer = node.run(&[
        "sh",
        "-c",
        &format!("echo x > {layered}/x && cat {layered}/x"),
    ]);
    assert_eq!(on_layer.stdout, b"x\n");
    let timeout_ms = 20_000;
    agent.ask(RequestBody::StopAll { timeout_ms }).unwrap();
    assert_eq!(node.agent("leftovers").1, serde_json::json!([]));
}
