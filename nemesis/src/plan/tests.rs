//! Orders, probes and sentences of faults, and what cannot be compiled.

use super::*;
use crate::effects::Distribution;
use crate::fault::{KillSignal, LONGEST_DELAY_MS};
use crate::ports::{BlockMode, DnsMode, Side, StreamMode};
use crate::split::Split;

fn cluster() -> Topology {
    (1..=4)
        .map(|n| (format!("n{n}"), vec![IpAddr::from([10, 0, 0, n])]))
        .collect()
}

fn names(nodes: &[&str]) -> Vec<String> {
    nodes.iter().map(|n| (*n).to_owned()).collect()
}

fn cut(from: &[&str], to: &[&str], one_way: bool) -> Fault {
    Fault::Partition {
        from: names(from),
        to: names(to),
        one_way,
    }
}

fn delay(delay_ms: u32, jitter_ms: u32) -> Fault {
    Fault::Delay {
        from: names(&["n1"]),
        to: names(&["n4"]),
        port: Some(7700),
        delay_ms,
        jitter_ms,
        distribution: Distribution::Uniform,
    }
}

fn lossy(from: &[&str], to: &[&str], both: bool) -> Fault {
    Fault::Shape {
        from: names(from),
        to: names(to),
        both,
        port: Some(7700),
        effects: Effects {
            loss_percent: 2.0,
            ..Effects::default()
        },
    }
}

fn stream(mode: StreamMode) -> Fault {
    Fault::Stream {
        nodes: names(&["n4"]),
        port: 7700,
        from: vec![],
        mode,
    }
}

fn clock(offset_ms: i64) -> Fault {
    Fault::Clock {
        nodes: names(&["n1"]),
        service: "web".into(),
        skew: Skew::Jump { offset_ms },
    }
}

fn power_loss(dir: &str) -> Fault {
    Fault::PowerLoss {
        nodes: names(&["n1"]),
        service: "web".into(),
        dir: dir.into(),
    }
}

fn drop_from(last: &[u8]) -> NodeFault {
    NodeFault::DropFrom {
        peers: last.iter().map(|n| IpAddr::from([10, 0, 0, *n])).collect(),
        clients: false,
    }
}

#[test]
fn a_two_way_partition_is_installed_on_the_input_of_both_sides() {
    let orders = compile(&cut(&["n1", "n2"], &["n4"], false), &cluster()).unwrap();
    assert_eq!(
        orders,
        [
            ("n1".to_owned(), drop_from(&[4])),
            ("n2".to_owned(), drop_from(&[4])),
            ("n4".to_owned(), drop_from(&[1, 2])),
        ]
    );
}

#[test]
fn a_one_way_partition_is_installed_on_the_receiver_only() {
    let orders = compile(&cut(&["n1"], &["n4"], true), &cluster()).unwrap();
    assert_eq!(orders, [("n4".to_owned(), drop_from(&[1]))]);
}

#[test]
fn probes_of_a_one_way_partition_expect_the_other_direction_to_pass() {
    let seen: Vec<_> = probes(&cut(&["n1"], &["n4"], true))
        .into_iter()
        .map(|p| (p.from, p.to, p.expected_blocked))
        .collect();
    assert_eq!(
        seen,
        [
            ("n1".into(), "n4".into(), true),
            ("n4".into(), "n1".into(), false)
        ]
    );
}

#[test]
fn probes_of_a_two_way_partition_cross_it_in_both_directions() {
    let seen = probes(&cut(&["n1", "n2"], &["n3", "n4"], false));
    assert_eq!(seen.len(), 8);
    assert!(seen.iter().all(|p| p.expected_blocked));
}

#[test]
fn a_reset_without_sources_is_from_every_node() {
    let fault = Fault::Reset {
        nodes: names(&["n4", "n4"]),
        port: 7700,
        from: vec![],
        probability: 0.02,
        containing: vec![],
    };
    let orders = compile(&fault, &cluster()).unwrap();
    assert_eq!(orders.len(), 1, "a node named twice gets one order");
    assert!(matches!(&orders[0].1, NodeFault::Reset { from, .. } if from.len() == 4));
}

#[test]
fn senseless_faults_are_refused_with_the_reason() {
    let reset = |port, probability| Fault::Reset {
        nodes: names(&["n1"]),
        port,
        from: vec![],
        probability,
        containing: vec![],
    };
    let kill = |nodes: &[&str], service: &str| Fault::Kill {
        nodes: names(nodes),
        service: service.into(),
        restart: true,
        signal: KillSignal::Kill,
    };
    let containing = |pattern: &str| Fault::Reset {
        nodes: names(&["n1"]),
        port: 7700,
        from: vec![],
        probability: 1.0,
        containing: vec![pattern.into()],
    };
    let refused: Vec<String> = [
        cut(&["n1"], &["n9"], false),
        cut(&["n1"], &[], false),
        cut(&["n1", "n2"], &["n2"], false),
        reset(7700, 1.5),
        reset(7700, f64::NAN),
        reset(0, 0.5),
        kill(&[], "web"),
        kill(&["n1"], "We b"),
        containing("["),
        delay(0, 0),
        delay(100, 101),
        delay(LONGEST_DELAY_MS + 1, 0),
        lossy(&["n1"], &["n1"], true),
        lossy(&["n1"], &[CLIENTS], false),
        lossy(&[CLIENTS], &["n1"], true),
        lossy(&[], &["n1"], false),
        cut(&["n1"], &[CLIENTS], false),
        split(&["n1", "n2", "n3"], Split::MajoritiesRing),
        split(&["n1", "n2"], Split::Isolate { one: "n3".into() }),
        split(&["n1", "n9"], Split::Halves),
        stream(StreamMode::Slice {
            bytes: 0,
            pause_ms: 1,
        }),
        stream(StreamMode::SlowClose { hold_ms: 60_001 }),
        clock(0),
        clock(i64::MIN),
        power_loss("data"),
        power_loss("/"),
        power_loss("/data/../etc"),
    ]
    .iter()
    .map(|fault| compile(fault, &cluster()).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(refused.join("\n"), @r"
    unknown node `n9` (the cluster has n1, n2, n3, n4)
    `to` of partition is empty
    node `n2` is on both sides
    probability 1.5 is not within 0 to 1
    probability NaN is not within 0 to 1
    port 0 can't be listened on
    `nodes` of kill is empty
    service name `We b` is not [a-z0-9_-]{1,32}
    `containing`: `[` is no regular expression: error: unclosed character class
    no effect is asked for
    a delay of 100 ms with a jitter of 101 ms: the delay must be at most 10000 ms, the jitter at most the delay
    a delay of 10001 ms with a jitter of 0 ms: the delay must be at most 10000 ms, the jitter at most the delay
    node `n1` is on both sides
    what goes to `clients` comes in at no node; name them in `from`
    what goes to `clients` comes in at no node; name them in `from`
    `from` of shape is empty
    what goes to `clients` comes in at no node; name them in `from`
    nobody is cut off by a split in a ring of majorities: it needs 4 nodes or more, and those it names
    nobody is cut off by a split n3 alone: it needs 2 nodes or more, and those it names
    unknown node `n9` (the cluster has n1, n2, n3, n4)
    pieces of 0 bytes never arrive
    a late close of 60001 ms is not within 1 to 60000 ms
    an offset of 0 ms is 0 or more than 315360000000 ms either way
    an offset of -9223372036854775808 ms is 0 or more than 315360000000 ms either way
    `data` is not an absolute path without `..`
    `/` is not an absolute path without `..`
    `/data/../etc` is not an absolute path without `..`
    ");
}

#[test]
fn a_delay_is_ordered_where_packets_come_in() {
    let orders = compile(&delay(200, 20), &cluster()).unwrap();
    let order = NodeFault::Shape {
        from: vec![IpAddr::from([10, 0, 0, 1])],
        clients: false,
        port: Some(7700),
        answers: false,
        effects: Effects {
            delay_ms: 200,
            jitter_ms: 20,
            ..Effects::default()
        },
    };
    assert_eq!(orders, [("n4".to_owned(), order)]);
}

#[test]
fn a_fault_on_a_port_concerns_everyone_unless_some_are_named() {
    let block = |from: &[&str]| Fault::Block {
        nodes: names(&["n4"]),
        port: 7700,
        from: names(from),
        mode: BlockMode::Refuse,
    };
    let concerned = |fault| match &compile(&fault, &cluster()).unwrap()[0].1 {
        NodeFault::Block { from, clients, .. } => (from.len(), *clients),
        other => panic!("{other:?}"),
    };
    assert_eq!(concerned(block(&[])), (4, true));
    assert_eq!(concerned(block(&["n1"])), (1, false));
    assert_eq!(concerned(block(&[CLIENTS])), (0, true));
}

#[test]
fn a_partition_from_clients_is_installed_at_the_nodes_and_not_probed_from_there() {
    let fault = cut(&[CLIENTS, "n1"], &["n4"], false);
    let orders = compile(&fault, &cluster()).unwrap();
    let at = |n: &str| {
        orders
            .iter()
            .find(|(node, _)| node == n)
            .map(|o| o.1.clone())
    };
    assert_eq!(at("n1"), Some(drop_from(&[4])));
    let NodeFault::DropFrom { peers, clients } = at("n4").unwrap() else {
        panic!("{orders:?}");
    };
    assert_eq!((peers.len(), clients), (1, true));
    assert_eq!(probes(&fault).len(), 2);
    assert!(probes(&cut(&[CLIENTS], &["n4"], false)).is_empty());
}

fn split(nodes: &[&str], split: Split) -> Fault {
    Fault::Split {
        nodes: names(nodes),
        split,
    }
}

#[test]
fn a_split_has_each_node_drop_what_comes_from_those_it_is_cut_off_from() {
    let ring = split(&["n1", "n2", "n3", "n4"], Split::MajoritiesRing);
    assert_eq!(
        compile(&ring, &cluster()).unwrap(),
        [
            ("n1".to_owned(), drop_from(&[3])),
            ("n2".to_owned(), drop_from(&[4])),
            ("n3".to_owned(), drop_from(&[1])),
            ("n4".to_owned(), drop_from(&[2])),
        ]
    );
    let bridge = split(&["n3", "n1", "n2"], Split::Bridge);
    assert_eq!(
        compile(&bridge, &cluster()).unwrap(),
        [
            ("n2".to_owned(), drop_from(&[3])),
            ("n3".to_owned(), drop_from(&[2])),
        ]
    );
}

#[test]
fn probes_of_a_split_show_what_is_cut_and_that_the_rest_is_not() {
    let one = "n2".to_owned();
    let alone = split(&["n1", "n2", "n3"], Split::Isolate { one });
    let seen: Vec<_> = probes(&alone)
        .into_iter()
        .map(|p| format!("{} -> {}: {}", p.from, p.to, p.expected_blocked))
        .collect();
    assert_eq!(
        seen,
        [
            "n1 -> n2: true",
            "n1 -> n3: false",
            "n2 -> n1: true",
            "n2 -> n3: true",
            "n3 -> n1: false",
            "n3 -> n2: true",
        ]
    );
}

#[test]
fn a_bad_link_in_both_directions_concerns_requests_and_answers() {
    let orders = compile(&lossy(&["n1", "n2"], &["n4"], true), &cluster()).unwrap();
    let sides: Vec<_> = orders
        .iter()
        .map(|(node, order)| match order {
            NodeFault::Shape { from, answers, .. } => (node.as_str(), from.len(), *answers),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sides, [("n1", 1, true), ("n2", 1, true), ("n4", 2, false)]);
}

#[test]
fn clients_are_known_to_the_agents_alone() {
    let orders = compile(&lossy(&[CLIENTS, "n1"], &["n4"], false), &cluster()).unwrap();
    assert!(
        matches!(&orders[0].1, NodeFault::Shape { from, clients: true, .. } if from.len() == 1)
    );
}

#[test]
fn two_nodes_with_one_address_are_refused() {
    let mut cluster = cluster();
    cluster.insert("n5".into(), vec![IpAddr::from([10, 0, 0, 1])]);
    assert!(matches!(
        compile(&cut(&["n1"], &["n2"], false), &cluster),
        Err(PlanError::SharedAddress(..))
    ));
}

#[test]
fn summaries_read_as_sentences() {
    let reset = Fault::Reset {
        nodes: names(&["n4"]),
        port: 7700,
        from: names(&["n1"]),
        probability: 0.02,
        containing: vec!["shard\":5".into()],
    };
    let kill = Fault::Kill {
        nodes: names(&["n1", "n2"]),
        service: "web".into(),
        restart: true,
        signal: KillSignal::Terminate,
    };
    let full = Fault::DiskFull {
        nodes: names(&["n1"]),
        dir: "/data".into(),
        leave_bytes: 4096,
    };
    let pause = Fault::Pause {
        nodes: names(&["n1"]),
        service: "web".into(),
    };
    let lines: Vec<String> = [
        &cut(&["n1", "n2"], &["n4"], false),
        &cut(&["n1"], &["n4"], true),
        &split(&["n1", "n2", "n4"], Split::Bridge),
        &split(
            &["n1", "n2", "n4"],
            Split::Pairs {
                pairs: vec![("n1".into(), "n4".into())],
            },
        ),
        &kill,
        &pause,
        &reset,
        &delay(200, 20),
        &lossy(&["n1"], &["n4"], true),
        &Fault::Block {
            nodes: names(&["n4"]),
            port: 7700,
            from: names(&["n1", CLIENTS]),
            mode: BlockMode::DropNew,
        },
        &stream(StreamMode::Hang),
        &stream(StreamMode::Cut {
            after_bytes: 100,
            of: Side::Answers,
        }),
        &stream(StreamMode::Slice {
            bytes: 10,
            pause_ms: 5,
        }),
        &stream(StreamMode::SlowClose { hold_ms: 500 }),
        &Fault::Dns {
            nodes: names(&["n1"]),
            mode: DnsMode::Servfail,
        },
        &clock(-5000),
        &power_loss("/data"),
        &full,
    ]
    .map(summary)
    .into();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    packets n1, n2 <-> n4 dropped
    packets n1 -> n4 dropped
    n1, n2, n4 split: in halves with a bridge
    n1, n2, n4 split: in the pairs n1 | n4
    web on n1, n2 killed with SIGTERM, started again afterwards
    web on n1 stopped with SIGSTOP
    each data packet n1 -> n4:7700 containing shard":5 reset with probability 0.02
    packets n1 -> n4:7700 held for 200 ms ± 20 ms
    packets n1 <-> n4:7700 2 % lost
    n4:7700 blocked for new connections for n1, clients
    new connections everyone -> n4:7700 accepted and never answered
    new connections everyone -> n4:7700 cut after 100 bytes of answer
    new connections everyone -> n4:7700 passed on in pieces of 10 bytes, with 5 ms after each
    new connections everyone -> n4:7700 closed 500 ms late
    questions for names on n1 are answered by SERVFAIL
    wall clock of web on n1 set 5000 ms behind
    power cut off web and its disk /data on n1: data not synced is lost
    disk /data on n1 filled, 4096 bytes left
    "#);
}

#[test]
fn all_addresses_of_a_node_are_cut_off() {
    let mut cluster = cluster();
    let second: IpAddr = "fd00::1".parse().unwrap();
    cluster.get_mut("n1").unwrap().push(second);
    let orders = compile(&cut(&["n1"], &["n4"], true), &cluster).unwrap();
    let peers = vec![IpAddr::from([10, 0, 0, 1]), second];
    let clients = false;
    assert_eq!(
        orders,
        [("n4".to_owned(), NodeFault::DropFrom { peers, clients })]
    );
}
