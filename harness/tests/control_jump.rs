//! Nodes behind a jump host, which is a real one.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::path::PathBuf;

use local_nodes::{cluster, remote, remote_with};
use shakedown::cluster::LocalCluster;
use shakedown::control::{
    Access, AgentLink, LinkOptions, NodeAddress, Patience, Remote, SshRemote, parse_jump,
};
use shakedown_nemesis::protocol::{Reply, RequestBody};

/// By way of the second node, at this port.
fn by_way_of_n2(cluster: &LocalCluster, port: u16) -> Access {
    let jump = format!("root@{}:{port}", cluster.nodes()[1].host);
    Access {
        jump: Some(parse_jump(&jump).unwrap()),
        patience: Patience {
            attempts: 1,
            ..Patience::default()
        },
        ..cluster.access()
    }
}

#[test]
fn a_node_is_reached_by_way_of_a_jump_host_with_commands_files_and_its_agent() {
    let cluster = cluster(2);
    let node = remote_with(&cluster, 0, &by_way_of_n2(&cluster, 22));
    let n2 = &cluster.nodes()[1].host;
    let seen = node.run("echo $SSH_CONNECTION").unwrap();
    assert!(seen.starts_with(&format!("{n2} ")), "{seen}");

    // Longer than any buffer on the way, in both directions.
    let bytes: Vec<u8> = (0..8_000_000_u32).flat_map(u32::to_le_bytes).collect();
    node.upload_bytes(&bytes, "/root/numbers", 0o600).unwrap();
    let mut back = Vec::new();
    node.download("/root/numbers", &mut back).unwrap();
    assert!(back == bytes, "{} bytes came back", back.len());

    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| node.run("hostname")))
            .collect();
        for answer in asked {
            assert_eq!(answer.join().unwrap().unwrap(), "n1");
        }
    });

    let agent = PathBuf::from(env!("CARGO_BIN_EXE_shakedown")).with_file_name("shakedown-agent");
    let (sender, _notices) = tokio::sync::mpsc::unbounded_channel();
    let (link, hello) = AgentLink::open(&node, &agent, &LinkOptions::new("jump"), sender).unwrap();
    assert_eq!(hello.harness.to_string(), *n2);
    assert_eq!(link.request(RequestBody::Ping).unwrap(), Reply::Done);
    link.close();
}

#[test]
fn what_goes_wrong_at_or_behind_a_jump_host_is_said() {
    let cluster = cluster(2);
    let refusal = |node: &NodeAddress, access: &Access| {
        let error = SshRemote::new(node, access).unwrap().exec("true");
        error.unwrap_err().to_string()
    };
    let (n1, n2) = (&cluster.nodes()[0], &cluster.nodes()[1].host);

    let access = by_way_of_n2(&cluster, 22);
    let (prefix, _) = n1.host.rsplit_once('.').unwrap();
    let nowhere = NodeAddress {
        host: format!("{prefix}.99"),
        ..n1.clone()
    };
    let error = refusal(&nowhere, &access);
    let expected =
        format!("n1: unreachable at {prefix}.99:22 by way of jump host {n2}, tried 1 time");
    assert!(error.starts_with(&expected), "{error}");
    assert!(
        error.contains(&format!("(jump host {n2} says: ")),
        "{error}"
    );

    let closed = by_way_of_n2(&cluster, 2222);
    let error = refusal(n1, &closed);
    let expected = format!("jump host {n2}: unreachable at {n2}:2222");
    assert!(error.starts_with(&expected), "{error}");

    // One that forwards nothing.
    remote(&cluster, 1)
        .run("/usr/sbin/sshd -f /etc/shakedown/sshd_config -p 2222 -o AllowTcpForwarding=no")
        .unwrap();
    let known = std::fs::read_to_string(&closed.known_hosts).unwrap();
    let line = known
        .lines()
        .find(|line| line.starts_with(&format!("{n2} ")));
    let at_port = line
        .unwrap()
        .replacen(n2.as_str(), &format!("[{n2}]:2222"), 1);
    let dir = tempfile::tempdir().unwrap();
    let known_hosts = dir.path().join("known_hosts");
    std::fs::write(&known_hosts, format!("{known}{at_port}\n")).unwrap();
    let stubborn = Access {
        known_hosts,
        ..closed
    };
    let error = refusal(n1, &stubborn);
    let expected = format!("n1: unreachable at {}:22 by way of jump host {n2}", n1.host);
    assert!(error.starts_with(&expected), "{error}");

    let strangers = Access {
        known_hosts: dir.path().join("none"),
        ..access
    };
    let error = refusal(n1, &strangers);
    let expected = format!("jump host {n2}: host key of {n2} is unknown");
    assert!(error.starts_with(&expected), "{error}");
}
