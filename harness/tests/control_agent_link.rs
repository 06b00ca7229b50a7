//! The link to the real agent, on real nodes.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use local_nodes::{cluster, remote};
use shakedown::control::{AgentError, AgentLink, HelloReply, LinkOptions, Remote, SshRemote};
use shakedown_nemesis::effects::Effects;
use shakedown_nemesis::fault::local::LocalFault;
use shakedown_nemesis::fault::{NodeFault, Skew};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::ports::{BlockMode, DnsMode, StreamMode};
use shakedown_nemesis::protocol::{Notice, Reply, RequestBody, Service, ServiceState};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type Notices = UnboundedReceiver<(String, Notice)>;

fn agent_binary() -> PathBuf {
    let agent = PathBuf::from(env!("CARGO_BIN_EXE_shakedown")).with_file_name("shakedown-agent");
    assert!(
        agent.is_file(),
        "this test needs the agent: build it with `cargo build -p shakedown-nemesis`, in the profile of the test"
    );
    agent
}

fn open(remote: &SshRemote, options: &LinkOptions) -> (AgentLink, HelloReply, Notices) {
    let (sender, notices) = unbounded_channel();
    let (link, hello) =
        AgentLink::open(remote, &agent_binary(), options, sender).unwrap_or_else(|e| panic!("{e}"));
    (link, hello, notices)
}

fn sleeper() -> RequestBody {
    RequestBody::Start(Service {
        name: "sleeper".to_owned(),
        argv: vec!["sleep".to_owned(), "1000".to_owned()],
        env: BTreeMap::new(),
        dir: "/srv/sleeper".to_owned(),
        log: "/var/log/sleeper.log".to_owned(),
    })
}

fn pause(fault: &str) -> RequestBody {
    RequestBody::Install {
        fault: fault.to_owned(),
        order: NodeFault::Pause {
            service: "sleeper".to_owned(),
        },
        noop: false,
    }
}

fn waits_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn state_of_sleeper(node: &SshRemote) -> String {
    node.run("cut -d' ' -f3 /proc/$(pgrep -x sleep)/stat")
        .unwrap()
}

#[test]
fn the_agent_is_uploaded_once_and_answers() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let uploaded = "stat -c '%n %i %a' /var/lib/shakedown/bin/*";
    let (link, hello, _notices) = open(&node, &LinkOptions::new("first"));
    assert_eq!(hello.healed, Vec::<String>::new());
    assert_eq!(link.request(RequestBody::Ping).unwrap(), Reply::Done);
    let before = node.run(uploaded).unwrap();
    assert!(
        before.contains("/shakedown-agent-") && before.ends_with(" 755"),
        "{before}"
    );
    link.close();
    let (link, _, _notices) = open(&node, &LinkOptions::new("second"));
    assert_eq!(node.run(uploaded).unwrap(), before);
    link.close();
    assert_eq!(
        node.run("pgrep -fc '[s]hakedown-agent.* serve' || true")
            .unwrap(),
        "0"
    );
}

#[test]
fn a_refusal_carries_the_agents_own_words() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let (link, _, _notices) = open(&node, &LinkOptions::new("refusal"));
    link.request(sleeper()).unwrap();
    let error = link.request(sleeper()).unwrap_err();
    let AgentError::Refused { node, reason, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(node, "n1");
    assert!(reason.contains("sleeper"), "{reason}");
    assert_eq!(link.request(RequestBody::Ping).unwrap(), Reply::Done);
}

fn fault_outcome(link: &AgentLink, body: RequestBody) -> Outcome {
    match link.request(body).unwrap() {
        Reply::Fault(outcome) => outcome.outcome,
        other => panic!("{other:?}"),
    }
}

/// A local node has neither loop devices of its own nor the rights to reach the machine's clock or modules.
#[test]
fn faults_on_disks_clocks_and_packets_work_on_a_local_node_and_leave_nothing_when_it_goes() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let (link, _, _notices) = open(&node, &LinkOptions::new("disks"));
    let disk = RequestBody::Disk {
        path: "/srv/sleeper".to_owned(),
        size_mib: 16,
    };
    assert_eq!(link.request(disk).unwrap(), Reply::Done);
    link.request(sleeper()).unwrap();
    let (service, dir) = ("sleeper".to_owned(), "/srv/sleeper".to_owned());
    let orders = [
        NodeFault::Clock {
            service: service.clone(),
            skew: Skew::Jump { offset_ms: -5000 },
        },
        NodeFault::Shape {
            from: vec!["10.255.255.1".parse().unwrap()],
            clients: false,
            port: None,
            answers: false,
            effects: Effects {
                delay_ms: 100,
                jitter_ms: 10,
                ..Effects::default()
            },
        },
        NodeFault::Block {
            from: vec!["10.255.255.1".parse().unwrap()],
            clients: true,
            port: 7700,
            mode: BlockMode::Refuse,
        },
        NodeFault::Stream {
            from: vec!["10.255.255.1".parse().unwrap()],
            clients: true,
            port: 7700,
            mode: StreamMode::Hang,
        },
        NodeFault::Dns {
            mode: DnsMode::Servfail,
        },
        NodeFault::DiskFull {
            dir: dir.clone(),
            leave_bytes: 0,
        },
        NodeFault::PowerLoss { service, dir },
    ];
    for order in orders {
        let fault = "f".to_owned();
        let install = RequestBody::Install {
            fault: fault.clone(),
            order: order.clone(),
            noop: false,
        };
        assert_eq!(
            fault_outcome(&link, install),
            Outcome::Installed,
            "{order:?}"
        );
        fault_outcome(&link, RequestBody::Undo { fault });
    }
    let device = node.run("findmnt -no SOURCE /srv/sleeper").unwrap();
    let device = device.trim().strip_prefix("/dev/").unwrap();
    let attached = PathBuf::from(format!("/sys/block/{device}/loop/backing_file"));
    assert!(attached.exists());
    drop(link);
    drop(cluster);
    waits_until("the loop device is free", || !attached.exists());
}

/// Control groups of the agents on a node, as the machine sees them: their names end with the number of its namespace.
fn groups(namespace: &str) -> Vec<PathBuf> {
    let name = format!("shakedown_*_{namespace}");
    let found = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &name])
        .output()
        .unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    text.lines().map(PathBuf::from).collect()
}

/// A local node sees no hierarchy of control groups until the agent mounts one.
#[test]
fn faults_that_a_node_suffers_by_itself_work_on_a_local_node_and_leave_nothing_when_it_goes() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let (link, _, _notices) = open(&node, &LinkOptions::new("alone"));
    let disk = RequestBody::Disk {
        path: "/srv/sleeper".to_owned(),
        size_mib: 16,
    };
    assert_eq!(link.request(disk).unwrap(), Reply::Done);
    link.request(sleeper()).unwrap();
    let service = || "sleeper".to_owned();
    let acts = [
        LocalFault::Freeze { service: service() },
        LocalFault::CpuQuota {
            service: service(),
            percent: 10,
        },
        LocalFault::MemoryLimit {
            service: service(),
            more_mib: 10,
        },
        LocalFault::TaskLimit {
            service: service(),
            more: 0,
        },
        LocalFault::FileLimit {
            service: service(),
            more: 0,
        },
        LocalFault::HoldThreads {
            service: service(),
            share: 1.0,
            hold_ms: 10,
        },
        LocalFault::CpuBurn { threads: 1 },
        LocalFault::MemoryHold { mib: 10 },
        LocalFault::InodesFull {
            dir: "/srv/sleeper".to_owned(),
        },
        LocalFault::CrashLoop {
            service: service(),
            up_ms: 10,
            down_ms: 10,
        },
    ];
    let install = |fault: &str, act: &LocalFault| RequestBody::Install {
        fault: fault.to_owned(),
        order: NodeFault::Local { act: act.clone() },
        noop: false,
    };
    for act in &acts {
        let outcome = fault_outcome(&link, install("f", act));
        assert_eq!(outcome, Outcome::Installed, "{act:?}");
        let fault = "f".to_owned();
        fault_outcome(&link, RequestBody::Undo { fault });
    }
    assert_eq!(
        node.run("grep -c cgroup /proc/mounts || true").unwrap(),
        "0"
    );
    let namespace = node.run("readlink /proc/self/ns/pid").unwrap();
    let namespace = namespace.replace(|c: char| !c.is_ascii_digit(), "");
    assert_eq!(groups(&namespace), Vec::<PathBuf>::new());
    for (number, act) in acts[..4].iter().enumerate() {
        fault_outcome(&link, install(&format!("g{number}"), act));
    }
    let ours = groups(&namespace);
    assert!(ours.len() >= 4, "{ours:?}");
    // The whole node dies at once, with its watchdog.
    drop(cluster);
    drop(link);
    let left: Vec<&PathBuf> = ours.iter().filter(|group| group.exists()).collect();
    assert_eq!(left, Vec::<&PathBuf>::new());
}

#[test]
fn closing_the_link_undoes_the_faults_on_the_node() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let (link, _, _notices) = open(&node, &LinkOptions::new("closing"));
    let started = link.request(sleeper()).unwrap();
    assert!(
        matches!(started, Reply::Service(ServiceState::Running { .. })),
        "{started:?}"
    );
    let Reply::Fault(outcome) = link.request(pause("nap")).unwrap() else {
        panic!("no outcome");
    };
    assert_eq!(outcome.outcome, Outcome::Installed);
    assert_eq!(state_of_sleeper(&node), "T");
    link.close();
    waits_until("the service goes on", || state_of_sleeper(&node) == "S");
}

#[test]
fn pings_keep_a_lease_that_is_much_shorter_than_the_silence() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let options = LinkOptions {
        lease: Duration::from_secs(3),
        ..LinkOptions::new("lease")
    };
    let (link, _, mut notices) = open(&node, &options);
    link.request(sleeper()).unwrap();
    link.request(pause("nap")).unwrap();
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(state_of_sleeper(&node), "T");
    assert!(notices.try_recv().is_err(), "the lease ran out");
    link.close();
}

#[test]
fn a_killed_agent_fails_what_is_pending_and_everything_after() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let (link, _, _notices) = open(&node, &LinkOptions::new("killed"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Reply::Probe { .. } = link.request(RequestBody::ProbeListen).unwrap() else {
        panic!("no probe port");
    };
    let pending = link.call(RequestBody::ProbeCount {
        nonce: 1,
        wanted: 1,
        wait_ms: 60_000,
    });
    node.run("pkill -9 -f '[s]hakedown-agent.* serve'").unwrap();
    let error = runtime.block_on(pending).unwrap_err();
    assert!(matches!(error, AgentError::Dead { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("n1: the link to the agent is gone"),
        "{error}"
    );
    let error = link.request(RequestBody::Ping).unwrap_err();
    assert!(matches!(error, AgentError::Dead { .. }), "{error}");
}

#[test]
fn a_frozen_agent_makes_requests_time_out_and_then_the_link_dead() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let options = LinkOptions {
        lease: Duration::from_secs(9),
        answer: Duration::from_secs(3),
        ..LinkOptions::new("frozen")
    };
    let (link, _, _notices) = open(&node, &options);
    node.run("pkill -STOP -f '[s]hakedown-agent.* serve'")
        .unwrap();
    let error = link.request(RequestBody::Ping).unwrap_err();
    assert!(matches!(error, AgentError::Timeout { .. }), "{error}");
    waits_until("the link is dead", || {
        matches!(
            link.request(RequestBody::Ping),
            Err(AgentError::Dead { .. })
        )
    });
}

#[test]
fn five_links_act_at_once_and_each_hands_on_its_own_notices() {
    let cluster = cluster(5);
    let (sender, mut notices) = unbounded_channel();
    let nodes: Vec<SshRemote> = (0..5).map(|i| remote(&cluster, i)).collect();
    let links: Vec<AgentLink> = std::thread::scope(|scope| {
        let opening: Vec<_> = nodes
            .iter()
            .map(|node| {
                let sender = sender.clone();
                let options = LinkOptions::new("five");
                scope.spawn(move || {
                    AgentLink::open(node, &agent_binary(), &options, sender)
                        .unwrap()
                        .0
                })
            })
            .collect();
        opening.into_iter().map(|o| o.join().unwrap()).collect()
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let watched: Vec<_> = links
        .iter()
        .map(|link| {
            link.call(RequestBody::Watch {
                watch: 7,
                path: "/var/log/watched".to_owned(),
                pattern: "phase=".to_owned(),
            })
        })
        .collect();
    for answer in watched {
        assert_eq!(runtime.block_on(answer).unwrap(), Reply::Done);
    }
    for node in &nodes {
        node.run("echo noise > /var/log/watched; echo phase=$(hostname) >> /var/log/watched")
            .unwrap();
    }
    let mut seen = BTreeMap::new();
    while seen.len() < 5 {
        let next = async { tokio::time::timeout(Duration::from_secs(60), notices.recv()).await };
        let (node, notice) = runtime
            .block_on(next)
            .expect("all five within a minute")
            .unwrap();
        let Notice::Line { watch: 7, line } = notice else {
            panic!("{notice:?}");
        };
        assert_eq!(line, format!("phase={node}"));
        seen.insert(node, line);
    }
    for link in links {
        link.close();
    }
}

#[test]
fn what_is_no_agent_is_reported_with_what_it_said() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let dir = tempfile::tempdir().unwrap();
    let impostor = dir.path().join("impostor");
    std::fs::write(&impostor, "#!/bin/sh\necho cannot run here >&2\nexit 1\n").unwrap();
    let (sender, _notices) = unbounded_channel();
    let error = AgentLink::open(
        &node,
        &impostor,
        &LinkOptions::new("impostor"),
        sender.clone(),
    )
    .err()
    .expect("it cannot answer");
    assert!(error.to_string().contains("cannot run here"), "{error}");
    let missing = dir.path().join("missing");
    let error = AgentLink::open(&node, &missing, &LinkOptions::new("missing"), sender)
        .err()
        .expect("there is no binary");
    assert!(matches!(error, AgentError::Binary { .. }), "{error}");
}
