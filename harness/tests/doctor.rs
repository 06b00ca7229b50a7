//! `shakedown doctor` on real nodes: what they can be given, and what is left on them.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::path::PathBuf;
use std::process::{Command, Output};

use local_nodes::{cluster, remote};
use serde_json::Value;
use shakedown::cluster::LocalCluster;
use shakedown::control::{AgentLink, LinkOptions, Remote};
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::protocol::RequestBody;

fn doctor(arguments: &[&str]) -> (i32, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .arg("doctor")
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), text + &complaint)
}

/// As one reaches hosts of one's own.
fn as_remote(cluster: &LocalCluster) -> Vec<String> {
    let access = cluster.access();
    let hosts: Vec<&str> = (cluster.nodes().iter().map(|n| n.host.as_str())).collect();
    let arguments = [
        ("--nodes", hosts.join(",")),
        ("--user", "root".to_owned()),
        ("--key", access.key.unwrap().display().to_string()),
        ("--known-hosts", access.known_hosts.display().to_string()),
        ("--ssh-config", "none".to_owned()),
    ];
    (arguments.into_iter())
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
}

#[test]
fn every_node_says_what_it_can_be_given_and_by_what_and_keeps_nothing_of_the_trials() {
    let cluster = cluster(2);
    let mut arguments = as_remote(&cluster);
    let (_, table) = doctor(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let mut head = table.lines().next().unwrap().split_whitespace();
    assert!(
        head.all(|node| cluster.nodes().iter().any(|n| n.host == node)),
        "{table}"
    );
    assert!(table.contains("kill "), "{table}");
    assert!(
        table.contains("by an ext4 image on a loop device"),
        "{table}"
    );

    arguments.push("--json".to_owned());
    let (code, answer) = doctor(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let faults = answer[1]["found"].as_array().unwrap();
    let fine = |fault: &Value| fault["available"] == true || !fault["only_with"].is_null();
    let all = faults.iter().all(fine);
    let host = faults.iter().find(|fault| fault["fault"] == "host_clock");
    assert_eq!(host.unwrap()["available"], false, "{host:?}");
    assert_eq!(code, i32::from(!all));
    for index in 0..2 {
        let node = remote(&cluster, index);
        assert_eq!(node.run("nft list tables").unwrap(), "");
        assert_eq!(node.run("ls /var/lib/shakedown/disks").unwrap(), "");
        assert_eq!(node.run("ls /var/lib/shakedown/ledger").unwrap(), "");
    }
}

#[test]
fn what_a_node_lacks_makes_only_the_faults_that_need_it_unavailable_and_is_said() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    node.run("mv /usr/sbin/nft /usr/sbin/nft-away && mv /usr/sbin/mkfs.ext4 /usr/sbin/mkfs-away")
        .unwrap();
    let (code, text) = doctor(&["--cluster", &cluster.info().name]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("partition           no"), "{text}");
    assert!(text.contains("not: nft: "), "{text}");
    assert!(text.contains("install e2fsprogs"), "{text}");
    assert!(text.contains("kill                yes"), "{text}");
}

#[test]
fn leftovers_are_listed_while_a_run_has_the_node_and_not_undone() {
    let cluster = cluster(2);
    let asked = ["--cluster", &cluster.info().name, "--leftovers"];
    assert_eq!(
        doctor(&asked),
        (0, "n1: nothing left\nn2: nothing left\n".to_owned())
    );
    let agent = PathBuf::from(env!("CARGO_BIN_EXE_shakedown")).with_file_name("shakedown-agent");
    let (notices, _inbox) = tokio::sync::mpsc::unbounded_channel();
    let node = remote(&cluster, 0);
    let (link, _) = AgentLink::open(&node, &agent, &LinkOptions::new("r1"), notices).unwrap();
    let cut = RequestBody::Install {
        fault: "cut".to_owned(),
        order: NodeFault::DropFrom {
            peers: vec![cluster.nodes()[1].host.parse().unwrap()],
            clients: false,
        },
        noop: false,
    };
    link.request(cut).unwrap();
    let expected = "n1: table shakedown_r1_cut (fault r1.cut)\nn2: nothing left\n";
    assert_eq!(doctor(&asked), (1, expected.to_owned()));
    assert!(
        node.run("nft list tables")
            .unwrap()
            .contains("shakedown_r1_cut")
    );
    link.close();
    assert_eq!(doctor(&asked).0, 0);
}

#[test]
fn a_node_that_cannot_be_reached_is_an_error() {
    let arguments = [
        "--nodes",
        "127.0.0.1:1",
        "--user",
        "root",
        "--ssh-config",
        "none",
    ];
    let (code, text) = doctor(&arguments);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("unreachable at 127.0.0.1:1"), "{text}");
}
