//! Local clusters for tests, and the traces one can leave on the machine.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use shakedown::cluster::{ClusterInfo, ClusterSpec, LocalCluster};
use shakedown::control::{Access, Remote, SshRemote};

/// A cluster's name that no other test uses.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{count}", std::process::id())
}

/// What `shakedown` would ask for.
pub(crate) fn spec(nodes: usize) -> ClusterSpec {
    let mut spec = ClusterSpec::new(unique_name(), nodes);
    spec.launcher = Some(env!("CARGO_BIN_EXE_shakedown").into());
    spec
}

/// A cluster that goes with the test, however the test ends.
pub(crate) fn cluster(nodes: usize) -> LocalCluster {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test makes a local cluster and needs root: run it as root or with sudo"
    );
    LocalCluster::up(spec(nodes)).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn remote(cluster: &LocalCluster, index: usize) -> SshRemote {
    remote_with(cluster, index, &cluster.access())
}

pub(crate) fn remote_with(cluster: &LocalCluster, index: usize, access: &Access) -> SshRemote {
    SshRemote::new(&cluster.nodes()[index], access).unwrap()
}

/// Namespaces of all processes of the nodes, as the machine sees them.
pub(crate) fn namespaces(cluster: &LocalCluster) -> BTreeSet<u64> {
    let mut all = BTreeSet::new();
    for index in 0..cluster.nodes().len() {
        let node = remote(cluster, index);
        for kind in ["net", "pid", "mnt", "uts", "ipc", "cgroup"] {
            let link = node.run(&format!("readlink /proc/1/ns/{kind}")).unwrap();
            let number = link.trim_start_matches(|c: char| !c.is_ascii_digit());
            all.insert(number.trim_end_matches(']').parse().unwrap());
        }
    }
    all
}

/// Everything on the machine that shows that this cluster is, or was, there.
pub(crate) fn traces(info: &ClusterInfo, namespaces: &BTreeSet<u64>) -> Vec<String> {
    let mut found = processes_of(&info.name);
    found.extend(processes_in(&not_reused(namespaces, &info.name)));
    let network = info.subnet.to_string().replace("0/24", "");
    let network6 = info.subnet.prefix6().replace("/64", "");
    for (what, arguments) in [
        ("link", ["-o", "link"].as_slice()),
        ("address", &["-o", "addr"]),
        ("route", &["route", "show", "table", "all"]),
        ("route", &["-6", "route", "show", "table", "all"]),
    ] {
        let output = Command::new("ip").args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // A test that runs beside this one may take the subnet as soon as it is free.
        let reused = || in_use_by_another(info);
        for line in text.lines() {
            let of_network = line.contains(&network) || line.contains(&network6);
            if line.contains(&info.uplink()) || of_network && !reused() {
                found.push(format!("{what}: {line}"));
            }
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for line in mounts.lines().filter(|l| l.contains(&info.name)) {
        found.push(format!("mount: {line}"));
    }
    for root in ["/run/shakedown/clusters", "/var/lib/shakedown/clusters"] {
        let dir = format!("{root}/{}", info.name);
        if fs::exists(&dir).unwrap() {
            found.push(format!("directory: {dir}"));
        }
    }
    found
}

fn in_use_by_another(info: &ClusterInfo) -> bool {
    let clusters = shakedown::cluster::list().unwrap();
    clusters
        .iter()
        .any(|c| c.subnet == info.subnet && c.name != info.name)
}

/// Processes whose command line holds the cluster's name, except zombies and tests.
pub(crate) fn processes_of(name: &str) -> Vec<String> {
    each_process(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        (line.contains("__node-init") && line.contains(name)).then(|| line.replace('\0', " "))
    })
}

/// The kernel gives a namespace's number away again at once: without those that a node of another cluster has now.
fn not_reused(namespaces: &BTreeSet<u64>, name: &str) -> BTreeSet<u64> {
    let mut left = namespaces.clone();
    each_process(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        if line.contains("__node-init") && !line.contains(name) {
            left.retain(|inode| !namespaces_of(pid).contains(inode));
        }
        None
    });
    left
}

fn namespaces_of(pid: u32) -> BTreeSet<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/ns"))
        .into_iter()
        .flatten();
    entries
        .filter_map(|e| fs::metadata(e.ok()?.path()).ok().map(|m| m.ino()))
        .collect()
}

/// Processes in namespaces that were a node's. Those that have the machine's own host name are of no node: a test beside
/// this one has got a number that the kernel gave away again.
fn processes_in(namespaces: &BTreeSet<u64>) -> Vec<String> {
    let host_name = |pid: &str| fs::metadata(format!("/proc/{pid}/ns/uts")).map(|ns| ns.ino());
    let machines = host_name("self").unwrap();
    each_process(|pid| {
        if host_name(&pid.to_string()).is_ok_and(|own| own == machines) {
            return None;
        }
        let of_process = namespaces_of(pid);
        let shared: Vec<&u64> = of_process.intersection(namespaces).collect();
        (!shared.is_empty()).then(|| format!("pid {pid} in namespaces {shared:?}"))
    })
}

fn each_process(mut describe: impl FnMut(u32) -> Option<String>) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(&mut describe)
        .map(|what| format!("process: {what}"))
        .collect()
}
