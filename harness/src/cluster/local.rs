//! Brings a local cluster up, and takes it down when its handle goes away.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::launch::Launched;
use super::node_init::NodeOrder;
use super::packages::Layers;
use super::record::{self, ClusterInfo, DATA_ROOT, Lock, Owner};
use super::subnet::MAX_NODES;
use super::{ClusterError, Subnet, keys, network, prerequisites, teardown};
use crate::control::{Access, NodeAddress};

/// Bound on each step of the start, for all nodes together.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to bring up.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Unique on the machine; 1 to 32 of `a-z`, `0-9`, `-`, a letter or digit first.
    pub name: String,
    /// How many nodes, 1 to 200; they are called `n1`, `n2`, ...
    pub nodes: usize,
    /// Their network; a free one is chosen if none is named.
    pub subnet: Option<Subnet>,
    /// Holds the nodes' files in a directory called like the cluster; `/var/lib/shakedown/clusters` if none is
    /// named. Must not lie on an overlay or network file system.
    pub dir: Option<PathBuf>,
    /// The cluster outlives this process, until [`super::down`].
    pub detached: bool,
    /// Debian packages the nodes have beside those of the machine.
    pub packages: Vec<String>,
    /// Where the layers that hold them are kept from cluster to cluster.
    pub layers: Layers,
    /// The `shakedown` binary, which the nodes' first processes run; this process's own if none is named.
    pub launcher: Option<PathBuf>,
}

impl ClusterSpec {
    /// A cluster that goes with this process, everything else chosen for it.
    pub fn new(name: impl Into<String>, nodes: usize) -> ClusterSpec {
        ClusterSpec {
            name: name.into(),
            nodes,
            subnet: None,
            dir: None,
            detached: false,
            packages: Vec::new(),
            layers: Layers::default(),
            launcher: None,
        }
    }
}

/// A running local cluster. Dropping it takes it down, unless it is detached.
pub struct LocalCluster {
    info: ClusterInfo,
    nodes: Vec<NodeAddress>,
    launched: Vec<Launched>,
    down: bool,
}

impl LocalCluster {
    /// Brings a cluster up; every node's sshd answers when this returns. Blocks for about a second, and the first time
    /// as long as its packages take to install.
    ///
    /// # Errors
    /// Whatever the machine lacks, or the node that failed with the end of its log. Nothing is left behind then.
    pub fn up(spec: ClusterSpec) -> Result<LocalCluster, ClusterError> {
        prerequisites::check()?;
        check_name(&spec.name)?;
        if !(1..=MAX_NODES).contains(&spec.nodes) {
            return Err(ClusterError::BadSize {
                asked: spec.nodes,
                max: MAX_NODES,
            });
        }
        let launcher = match &spec.launcher {
            Some(path) => path.clone(),
            None => std::env::current_exe().map_err(ClusterError::io("find", "/proc/self/exe"))?,
        };
        teardown::reap_stale()?;
        let layer = spec.layers.with(&spec.packages, &launcher)?;
        let info = claim(&spec)?;
        let mut cluster = LocalCluster {
            nodes: info.nodes(),
            info,
            launched: Vec::new(),
            down: false,
        };
        match cluster.start(&launcher, layer.map(|layer| layer.image)) {
            Ok(()) => Ok(cluster),
            Err(e) => {
                // The first error is the one to report; what could not be removed now, the next start removes.
                let _ = cluster.remove();
                Err(e)
            }
        }
    }

    /// The nodes, `n1` first.
    pub fn nodes(&self) -> &[NodeAddress] {
        &self.nodes
    }

    /// How to log in to the nodes: as root, with the cluster's own key and host keys.
    pub fn access(&self) -> Access {
        self.info.access()
    }

    /// Name, subnet and addresses.
    pub fn info(&self) -> &ClusterInfo {
        &self.info
    }

    /// Lets the cluster outlive this process, until [`super::down`].
    ///
    /// # Errors
    /// Its record cannot be written; it then goes with this process as before.
    pub fn detach(mut self) -> Result<ClusterInfo, ClusterError> {
        let detached = ClusterInfo {
            detached: true,
            ..self.info.clone()
        };
        // One step for whoever takes down stale clusters: they hold the lock when they look.
        let _lock = Lock::acquire()?;
        detached.save()?;
        self.info.detached = true;
        Ok(detached)
    }

    /// Takes the cluster down, detached or not.
    ///
    /// # Errors
    /// What could not be removed. The next start tries again.
    pub fn down(mut self) -> Result<(), ClusterError> {
        self.remove()
    }

    fn remove(&mut self) -> Result<(), ClusterError> {
        if self.down {
            return Ok(());
        }
        self.down = true;
        let removed = teardown::remove(&self.info.name);
        for launched in &mut self.launched {
            launched.reap();
        }
        removed
    }

    fn start(&mut self, launcher: &Path, layer: Option<PathBuf>) -> Result<(), ClusterError> {
        let deadline = Instant::now() + PATIENCE;
        keys::generate(&self.info)?;
        let orders = self.write_orders(layer)?;
        let info = &self.info;
        let unused = info.run_dir().join("switch");
        let switch = Launched::start(info, launcher, "switch", "switch", &unused)?;
        self.launched.push(switch);
        for (node, order) in self.nodes.iter().zip(&orders) {
            let started = Launched::start(info, launcher, "node", &node.name, order)?;
            self.launched.push(started);
        }
        for launched in &mut self.launched {
            launched.wait_ready(deadline)?;
        }
        let (switch, nodes) = self
            .launched
            .split_first_mut()
            .expect("the switch is launched first");
        let pids: Vec<u32> = nodes.iter().map(Launched::pid).collect();
        network::connect(&info.name, info.subnet, switch.pid(), &pids)?;
        switch.go()?;
        for node in nodes.iter_mut() {
            node.go()?;
        }
        for (node, index) in nodes.iter_mut().zip(0..) {
            node.wait_ready(deadline)?;
            let address = SocketAddr::from((info.subnet.node(index), 22));
            node.wait_greeting(address, deadline)?;
        }
        Ok(())
    }

    /// Makes the nodes' directories and writes what they are to be.
    fn write_orders(&self, layer: Option<PathBuf>) -> Result<Vec<PathBuf>, ClusterError> {
        let info = &self.info;
        let authorized_key = keys::client_public(info)?;
        let sshd_config = keys::sshd_config(info);
        let hosts = self.hosts();
        let mut orders = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let data = info.node_data(&node.name);
            for part in ["upper", "work", "root", "shakedown", "layer"] {
                let dir = data.join(part);
                fs::create_dir_all(&dir).map_err(ClusterError::io("create", &dir))?;
            }
            let key = keys::host_key(info, &node.name);
            let order = NodeOrder {
                name: node.name.clone(),
                subnet: info.subnet,
                address: info.subnet.node(index),
                data,
                layer: layer.clone(),
                masked: vec![info.data.parent().unwrap_or(&info.data).to_owned()],
                hosts: hosts.clone(),
                authorized_key: authorized_key.clone(),
                host_key: fs::read_to_string(&key).map_err(ClusterError::io("read", &key))?,
                sshd_config: sshd_config.clone(),
            };
            let path = info.run_dir().join(format!("{}.json", node.name));
            let text = serde_json::to_vec(&order).expect("an order is plain data");
            fs::write(&path, text).map_err(ClusterError::io("write", &path))?;
            orders.push(path);
        }
        Ok(orders)
    }

    fn hosts(&self) -> String {
        let mut hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for node in &self.nodes {
            hosts += &format!("{} {}\n", node.host, node.name);
        }
        hosts
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        if self.info.detached || self.down {
            return;
        }
        if let Err(e) = self.remove() {
            eprintln!("{e}");
        }
    }
}

fn check_name(name: &str) -> Result<(), ClusterError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (1..=32).contains(&name.len())
        && name.starts_with(allowed)
        && name.chars().all(|c| allowed(c) || c == '-');
    if good {
        Ok(())
    } else {
        Err(ClusterError::BadName(name.to_owned()))
    }
}

/// Takes name and subnet: from here on, the cluster's record tells how to remove all that will be made.
fn claim(spec: &ClusterSpec) -> Result<ClusterInfo, ClusterError> {
    let _lock = Lock::acquire()?;
    let dir = record::run_dir(&spec.name);
    if dir.exists() {
        return Err(ClusterError::NameInUse(spec.name.clone()));
    }
    let destinations = network::destinations()?;
    let subnet = match spec.subnet {
        None => Subnet::first_free(&destinations)?,
        Some(subnet) => match subnet.conflict(&destinations) {
            None => subnet,
            Some(by) => {
                return Err(ClusterError::SubnetInUse {
                    subnet,
                    by: format!("the route to {by}"),
                });
            }
        },
    };
    let data_root = spec.dir.clone().unwrap_or_else(|| DATA_ROOT.into());
    let info = ClusterInfo {
        name: spec.name.clone(),
        subnet,
        detached: spec.detached,
        data: std::path::absolute(&data_root)
            .map_err(ClusterError::io("find", &data_root))?
            .join(&spec.name),
        owner: Owner::this_process(),
        node_names: (1..=spec.nodes).map(|i| format!("n{i}")).collect(),
    };
    if info.data.exists() {
        return Err(ClusterError::DataExists(info.data));
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .map_err(ClusterError::io("create", &dir))?;
    let guarded = info.save().and_then(|()| network::add_leak_guard(subnet));
    if let Err(e) = guarded {
        // Only the directory can be there; the next start would remove it too.
        let _ = fs::remove_dir_all(&dir);
        return Err(e);
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_state_directory_are_refused() {
        for bad in ["", "..", "a/b", "-a", "A", "a b", "ä", &"a".repeat(33)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        for good in ["a", "7", "default", "ci-42"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
    }
}
