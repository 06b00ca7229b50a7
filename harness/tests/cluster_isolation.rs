//! What a node of a local cluster can see, do and change.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use local_nodes::{cluster, remote};
use shakedown::control::Remote;

#[test]
fn writes_of_a_node_are_seen_neither_by_its_neighbour_nor_by_the_machine() {
    let cluster = cluster(2);
    let (first, second) = (remote(&cluster, 0), remote(&cluster, 1));
    let marker = format!("mark-{}", cluster.info().name);
    for dir in [
        "/etc",
        "/var",
        "/var/lib/shakedown",
        "/usr/local",
        "/tmp",
        "/run",
        "/root",
    ] {
        first.run(&format!("touch {dir}/{marker}")).unwrap();
        let seen = second.exec(&format!("test -e {dir}/{marker}")).unwrap();
        assert!(!seen.success(), "n2 sees it in {dir}");
        assert!(
            !fs::exists(format!("{dir}/{marker}")).unwrap(),
            "the machine sees it in {dir}"
        );
    }
}

#[test]
fn no_process_of_a_node_can_get_the_capabilities_that_reach_the_shared_kernel() {
    const FORBIDDEN: [(&str, u32); 5] = [
        ("CAP_SYS_MODULE", 16),
        ("CAP_SYS_RAWIO", 17),
        ("CAP_SYS_BOOT", 22),
        ("CAP_SYS_TIME", 25),
        ("CAP_SYSLOG", 34),
    ];
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    for pid in ["1", "self", "$(pgrep -o sshd)"] {
        for set in ["CapBnd", "CapPrm", "CapEff"] {
            let line = node
                .run(&format!("grep {set}: /proc/{pid}/status"))
                .unwrap();
            let bits = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
            for (name, bit) in FORBIDDEN {
                assert_eq!(bits >> bit & 1, 0, "{name} in {set} of {pid}: {bits:x}");
            }
            assert_eq!(
                bits >> 21 & 1,
                1,
                "a node can mount: CAP_SYS_ADMIN in {set} of {pid}"
            );
        }
    }
}

#[test]
fn nodes_reach_each_other_by_name_and_nothing_beyond() {
    let cluster = cluster(2);
    let node = remote(&cluster, 0);
    let greeting = node
        .run("exec 3<>/dev/tcp/n2/22; head -c 4 <&3")
        .or_else(|_| node.run("bash -c 'exec 3<>/dev/tcp/n2/22; head -c 4 <&3'"));
    assert_eq!(greeting.unwrap(), "SSH-");
    let routes = node.run("ip route; ip -6 route").unwrap();
    assert_eq!(
        routes.lines().count(),
        2,
        "only the cluster's own networks, one of each version of IP:\n{routes}"
    );
    for beyond in ["ip route get 192.0.2.77", "ip -6 route get 2001:db8::77"] {
        let beyond = node.exec(beyond).unwrap();
        assert!(!beyond.success(), "there is a way out: {}", beyond.text());
    }
    let second = remote(&cluster, 1);
    let own = second
        .run("ip -6 -o addr show dev eth0 scope global")
        .unwrap();
    let own = own.split_whitespace().nth(3).unwrap();
    let (own, _) = own.split_once('/').unwrap();
    assert!(own.starts_with("fd"), "a unique local address: {own}");
    let greeting = node.run(&format!(
        "bash -c 'exec 3<>/dev/tcp/{own}/22; head -c 4 <&3'"
    ));
    assert_eq!(greeting.unwrap(), "SSH-", "by IPv6");
}

#[test]
fn without_the_cluster_packets_to_either_of_its_networks_go_nowhere() {
    let cluster = cluster(1);
    let ip = |arguments: &[&str]| {
        let output = Command::new("ip").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let of_ipv4 = cluster.info().subnet.to_string();
    let of_ipv6 = cluster.info().subnet.prefix6();
    let guards = [
        ip(&["route", "show", "type", "unreachable"]),
        ip(&["-6", "route", "show", "type", "unreachable"]),
    ];
    for (network, guards) in [of_ipv4, of_ipv6].into_iter().zip(&guards) {
        assert!(guards.contains(&network), "{network} is not among {guards}");
    }
}

#[test]
fn nodes_see_nothing_of_the_clusters_on_the_machine() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    for dir in [
        "/run/shakedown",
        "/var/lib/shakedown/clusters",
        "/mnt",
        "/root",
    ] {
        let listed = node.run(&format!("ls {dir} 2>/dev/null || true")).unwrap();
        assert_eq!(listed, "", "{dir}");
    }
    let mounts = node.run("cut -d' ' -f2 /proc/self/mounts").unwrap();
    assert!(!mounts.contains("/run/.machine"), "{mounts}");
}

#[test]
fn orphans_are_reaped() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    node.run("for i in 1 2 3 4 5; do setsid sh -c 'sleep 0.01 & sleep 0.02 & true' </dev/null >/dev/null 2>&1; done").unwrap();
    let zombies = "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | grep -c '^Z' || true";
    let deadline = Instant::now() + Duration::from_secs(60);
    while node.run(zombies).unwrap() != "0" || node.run("pgrep -c sleep || true").unwrap() != "0" {
        assert!(
            Instant::now() < deadline,
            "zombies: {}",
            node.run("ps ax").unwrap()
        );
    }
}
