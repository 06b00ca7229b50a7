//! A local cluster comes up as asked, and leaves nothing behind, however it ends.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use local_nodes::{cluster, namespaces, processes_of, remote, spec, traces, unique_name};
use shakedown::cluster::{self, ClusterError, LocalCluster};
use shakedown::control::Remote;

/// Names the cluster that [`an_owner_that_waits_to_be_killed`] is to make.
const OWNED: &str = "SHAKEDOWN_TEST_OWNED_CLUSTER";

#[test]
fn a_cluster_taken_down_leaves_no_process_namespace_link_route_mount_or_directory() {
    let cluster = cluster(3);
    let info = cluster.info().clone();
    let spaces = namespaces(&cluster);
    assert_eq!(
        spaces.len(),
        3 * 6,
        "each node has six namespaces of its own"
    );
    let while_up = traces(&info, &spaces).join("\n");
    for kind in ["process", "link", "address", "route", "directory"] {
        assert!(
            while_up.contains(&format!("{kind}: ")),
            "no {kind} in\n{while_up}"
        );
    }
    remote(&cluster, 0)
        .run("setsid sleep 1000 >/dev/null 2>&1 </dev/null & true")
        .unwrap();

    cluster.down().unwrap();

    assert_eq!(traces(&info, &spaces), Vec::<String>::new());
}

#[test]
fn a_panic_takes_the_cluster_down() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let panicked = thread::spawn(move || {
        let cluster = cluster(1);
        sender
            .send((cluster.info().clone(), namespaces(&cluster)))
            .unwrap();
        panic!("on purpose");
    })
    .join();
    assert!(panicked.is_err());
    let (info, spaces) = receiver.recv().unwrap();
    assert_eq!(traces(&info, &spaces), Vec::<String>::new());
}

#[test]
fn two_clusters_coexist_in_subnets_of_their_own() {
    let first = cluster(2);
    let second = cluster(2);
    assert_ne!(first.info().subnet, second.info().subnet);
    for cluster in [&first, &second] {
        assert_eq!(remote(cluster, 1).run("hostname").unwrap(), "n2");
    }
    let names: Vec<String> = cluster::list()
        .unwrap()
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert!(names.contains(&first.info().name) && names.contains(&second.info().name));
    first.down().unwrap();
    assert_eq!(remote(&second, 0).run("hostname").unwrap(), "n1");
}

#[test]
fn a_name_or_subnet_in_use_is_refused_with_a_remedy() {
    let running = cluster(1);
    let mut same_name = spec(1);
    same_name.name.clone_from(&running.info().name);
    let error = LocalCluster::up(same_name)
        .err()
        .expect("the name is taken");
    assert!(matches!(error, ClusterError::NameInUse(_)), "{error}");
    let mut same_subnet = spec(1);
    same_subnet.subnet = Some(running.info().subnet);
    let error = LocalCluster::up(same_subnet)
        .err()
        .expect("the subnet is taken");
    assert!(matches!(error, ClusterError::SubnetInUse { .. }), "{error}");
    assert_eq!(remote(&running, 0).run("hostname").unwrap(), "n1");
}

#[test]
fn a_node_that_fails_to_start_is_named_with_its_log_and_nothing_stays() {
    let dir = tempfile::tempdir().unwrap();
    let launcher = dir.path().join("launcher");
    let real = env!("CARGO_BIN_EXE_shakedown");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *n2.json) echo the disk is on fire >&2; exit 3;; esac\nexec {real} \"$@\"\n"
    );
    fs::write(&launcher, script).unwrap();
    fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).unwrap();
    let mut broken = spec(3);
    let name = broken.name.clone();
    broken.launcher = Some(launcher);

    let error = LocalCluster::up(broken)
        .err()
        .expect("n2 cannot start")
        .to_string();

    assert!(error.contains("node n2"), "{error}");
    assert!(error.contains("the disk is on fire"), "{error}");
    assert_eq!(processes_of(&name), Vec::<String>::new());
    assert!(!fs::exists(format!("/run/shakedown/clusters/{name}")).unwrap());
    assert!(!fs::exists(format!("/var/lib/shakedown/clusters/{name}")).unwrap());
}

#[test]
fn files_that_belong_to_no_cluster_are_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(1);
    spec.dir = Some(dir.path().to_owned());
    let precious = dir.path().join(&spec.name).join("precious");
    fs::create_dir(precious.parent().unwrap()).unwrap();
    fs::write(&precious, "data").unwrap();
    let error = LocalCluster::up(spec).err().expect("the directory exists");
    assert!(matches!(error, ClusterError::DataExists(_)), "{error}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "data");
}

#[test]
fn a_cluster_whose_owner_was_killed_at_any_instant_is_removed_by_the_next_command() {
    for milliseconds in [0, 15, 40, 80, 120, 180, 250, 350, 500, 800] {
        let name = unique_name();
        let mut owner = start_owner(&name);
        thread::sleep(Duration::from_millis(milliseconds));
        owner.kill().unwrap();
        owner.wait().unwrap();
        let left = cluster::list()
            .unwrap()
            .into_iter()
            .find(|c| c.name == name);

        cluster::reap_stale().unwrap();

        assert_eq!(processes_of(&name), Vec::<String>::new());
        assert!(!fs::exists(format!("/run/shakedown/clusters/{name}")).unwrap());
        if let Some(info) = left {
            assert_eq!(traces(&info, &BTreeSet::new()), Vec::<String>::new());
        }
    }
}

#[test]
fn a_running_cluster_whose_owner_was_killed_is_removed_by_the_next_command() {
    let name = unique_name();
    let mut owner = start_owner(&name);
    let mut said = BufReader::new(owner.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "the cluster is up"));
    let info = cluster::list()
        .unwrap()
        .into_iter()
        .find(|c| c.name == name)
        .unwrap();
    assert!(!info.is_stale());
    assert!(!processes_of(&name).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(info.is_stale());

    // A test beside this one may be the next command.
    cluster::reap_stale().unwrap();

    assert_eq!(traces(&info, &BTreeSet::new()), Vec::<String>::new());
}

#[test]
fn a_detached_cluster_stays_until_it_is_taken_down_by_name() {
    let mut spec = spec(1);
    spec.detached = true;
    let name = spec.name.clone();
    drop(LocalCluster::up(spec).unwrap());
    cluster::reap_stale().unwrap();
    let info = cluster::list()
        .unwrap()
        .into_iter()
        .find(|c| c.name == name)
        .unwrap();
    let node = shakedown::control::SshRemote::new(&info.nodes()[0], &info.access()).unwrap();
    assert_eq!(node.run("hostname").unwrap(), "n1");
    cluster::down(&name).unwrap();
    assert_eq!(traces(&info, &BTreeSet::new()), Vec::<String>::new());
    assert!(matches!(
        cluster::down(&name),
        Err(ClusterError::NotFound(_))
    ));
}

fn start_owner(name: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_owner_that_waits_to_be_killed", "--nocapture"])
        .env(OWNED, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: the process that other tests start and kill.
#[test]
fn an_owner_that_waits_to_be_killed() {
    let Ok(name) = std::env::var(OWNED) else {
        return;
    };
    let mut spec = spec(2);
    spec.name = name;
    let _cluster = LocalCluster::up(spec).unwrap();
    println!("\nthe cluster is up");
    thread::sleep(Duration::from_secs(30));
}
