//! Two harnesses on one node exclude each other, and a dead one keeps nobody out.

use shakedown_nemesis::protocol::{PROTOCOL_VERSION, Reply, RequestBody};

use crate::channel::{Channel, LONG_LEASE_MS};
use crate::node::{Node, eventually};

fn hello(run: &str) -> RequestBody {
    RequestBody::Hello {
        protocol: PROTOCOL_VERSION,
        run: run.to_owned(),
        lease_ms: LONG_LEASE_MS,
        management: Vec::new(),
        ssh_port: 22,
        probation_ms: 0,
        allow_host_clock: false,
        seed: 1,
    }
}

#[test]
fn a_second_run_is_refused_by_name_until_the_first_has_ended() {
    let node = Node::new(1);
    let first = Channel::greet(&node, LONG_LEASE_MS);
    let mut second = Channel::open(&node);
    let refused = second.ask(hello("r2")).unwrap_err();
    assert!(refused.contains("run `r1` has had this node"), "{refused}");
    assert!(first.close().success());
    assert!(matches!(second.ask(hello("r2")), Ok(Reply::Hello { .. })));
}

#[test]
fn a_harness_that_is_silent_for_its_lease_loses_the_node_and_is_told() {
    let node = Node::new(1);
    let mut silent = Channel::greet(&node, 200);
    let mut second = Channel::open(&node);
    eventually("the silent run is let go", || {
        second.ask(hello("r2")).is_ok()
    });
    let refused = silent.ask(RequestBody::Heal).unwrap_err();
    assert!(refused.contains("run `r2` has had this node"), "{refused}");
}
