//! A local cluster with an agent on every node, for benchmarks.

use shakedown::cluster::{ClusterSpec, LocalCluster};
use shakedown::control::{AgentLink, LinkOptions, SshRemote};
use shakedown_nemesis::protocol::Notice;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The cluster, a link to each of its nodes' agents, and what agents say unasked.
pub(crate) fn start(
    name: &str,
    nodes: usize,
) -> (
    LocalCluster,
    Vec<AgentLink>,
    UnboundedReceiver<(String, Notice)>,
) {
    let shakedown = std::path::Path::new(env!("CARGO_BIN_EXE_shakedown"));
    let agent = shakedown.with_file_name("shakedown-agent");
    assert!(
        agent.is_file(),
        "{} is missing: run `make build` first",
        agent.display()
    );
    let mut spec = ClusterSpec::new(name, nodes);
    spec.launcher = Some(shakedown.to_owned());
    let cluster = LocalCluster::up(spec).expect("a local cluster");
    let access = cluster.access();
    let (notices, inbox) = unbounded_channel();
    let open = |node| {
        let remote = SshRemote::new(node, &access).expect("access");
        let options = LinkOptions::new("bench");
        let opened = AgentLink::open(&remote, &agent, &options, notices.clone());
        opened.expect("an agent").0
    };
    let links = cluster.nodes().iter().map(open).collect();
    (cluster, links, inbox)
}
