//! Faults are for other machines: the one that the harness runs on is refused, by whatever name.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use std::fs;

use local_nodes::{cluster, remote};
use run::{on_node, shakedown};
use shakedown::control::Remote;

#[test]
fn a_node_that_is_the_machine_itself_is_refused_before_anything_is_done_to_it() {
    let nodes = cluster(4);
    let info = nodes.info().clone();
    let access = nodes.access();
    let addresses: Vec<String> = (info.nodes().iter())
        .map(|node| node.host.clone())
        .collect();
    let key = fs::read_to_string(access.key.unwrap()).unwrap();
    let known = fs::read_to_string(access.known_hosts).unwrap();
    // Where the programs were built may not be seen from a node.
    let control = remote(&nodes, 0);
    for program in ["shakedown", "shakedown-agent", "miroir"] {
        let path = shakedown().with_file_name(program);
        control
            .upload_file(&path, &format!("/root/control/{program}"), 0o755)
            .unwrap();
    }
    // The first node becomes the control machine of a run on all four.
    let command = format!(
        "cd /root/control; umask 077; echo '{}' > key; echo '{}' > known; ./shakedown run cutover_chaos_with_anti_entropy \
         --nodes {} --user root --key key --known-hosts known --ssh-config none",
        key.trim_end(),
        known.trim_end(),
        addresses.join(",")
    );
    let ended = on_node(&info.name, "n1", &command);
    ended.expect(3);
    assert!(
        ended
            .said()
            .contains(&format!("{} is the machine this runs on", addresses[0])),
        "{}",
        ended.said()
    );
    on_node(&info.name, "n2", "pgrep miroir").expect(1);
    nodes.down().unwrap();
}
