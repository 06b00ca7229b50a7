//! The negative control of every form of every fault: without its effect it is skipped, and nothing happens.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_nemesis::fault::Fault;
use shakedown_nemesis::fault::forms::{FORMS, Form};
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::plan::{Topology, compile};
use shakedown_nemesis::protocol::{Reply, RequestBody, Service};

use crate::channel::{Channel, LONG_LEASE_MS};
use crate::every_form::{STRUCK, on_a_layer, on_the_network, on_the_service, others};
use crate::local::{TICK, again, count, web};
use crate::node::{Node, eventually};
use crate::service::start;

fn topology(node: &Node) -> Topology {
    let others = (2..).zip(others());
    let others = others.map(|(number, name)| (name, vec![[10, 99, 0, number].into()]));
    others.chain([(STRUCK.to_owned(), vec![node.ip])]).collect()
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
