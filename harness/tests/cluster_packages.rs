//! Packages reach the nodes of local clusters by a layer that they share, and never the machine.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use local_nodes::{remote, spec};
use shakedown::cluster::packages::Layers;
use shakedown::cluster::{ClusterError, LocalCluster};
use shakedown::control::Remote;

/// Small, and needed by nothing: a machine that has it already proves nothing here.
const PACKAGE: &str = "hello";

/// Where [`a_cluster_with_a_package_in_a_process_of_its_own`] keeps its layers.
const LAYERS: &str = "SHAKEDOWN_TEST_LAYERS";

/// Longest wait for a build to get somewhere.
const LONG: Duration = Duration::from_secs(120);

fn up(nodes: usize, layers: &Path, packages: &[&str]) -> Result<LocalCluster, ClusterError> {
    let mut spec = spec(nodes);
    spec.packages = packages.iter().map(|&name| name.to_owned()).collect();
    spec.layers = Layers::at(layers);
    LocalCluster::up(spec)
}

fn machine_has_it() -> bool {
    let query = Command::new("dpkg-query")
        .args(["-W", PACKAGE])
        .output()
        .unwrap();
    query.status.success()
}

fn package_database() -> Vec<u8> {
    fs::read("/var/lib/dpkg/status").unwrap()
}

/// Mounts, loop devices and processes that have this directory in their names.
fn traces(of: &Path) -> Vec<String> {
    let of = of.to_str().unwrap();
    let mut found = Vec::new();
    for (what, program) in [
        ("loop", &["losetup", "-a"][..]),
        ("process", &["ps", "-ewwo", "args"]),
    ] {
        let output = Command::new(program[0]).args(&program[1..]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let lines = text.lines().filter(|line| line.contains(of));
        found.extend(lines.map(|line| format!("{what}: {line}")));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = mounts.lines().filter(|line| line.contains(of));
    found.extend(lines.map(|line| format!("mount: {line}")));
    found
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "not {what} within {LONG:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_package_is_on_every_node_and_never_on_the_machine_and_is_installed_once() {
    assert!(!machine_has_it(), "the machine has {PACKAGE}: remove it");
    let layers = tempfile::tempdir().unwrap();
    let before = package_database();

    let first = up(2, layers.path(), &[PACKAGE]).unwrap_or_else(|e| panic!("{e}"));
    for index in 0..2 {
        let node = remote(&first, index);
        assert_eq!(node.run("hello").unwrap(), "Hello, world!");
        assert!(node.run(&format!("dpkg-query -W {PACKAGE}")).is_ok());
        // What the machine has is there as well.
        assert!(node.run("ls /var/lib/dpkg/info/dpkg.list").is_ok());
    }
    assert!(!machine_has_it());
    assert_eq!(package_database(), before, "the machine's packages changed");
    let made = Layers::at(layers.path()).list().unwrap();
    assert_eq!(made.len(), 1);
    assert!(made[0].packages.contains_key(PACKAGE));

    // What one node changes in a file of the layer, the other does not see.
    remote(&first, 0).run("rm /usr/bin/hello").unwrap();
    assert!(remote(&first, 1).run("hello").is_ok());
    assert!(
        !traces(layers.path()).is_empty(),
        "nothing to be left behind"
    );
    first.down().unwrap();
    until("free of loop devices", || traces(layers.path()).is_empty());

    // A build would start this; what is there already needs none.
    let image = fs::metadata(image(layers.path()))
        .unwrap()
        .modified()
        .unwrap();
    let second = up(1, layers.path(), &[PACKAGE]).unwrap();
    assert_eq!(remote(&second, 0).run("hello").unwrap(), "Hello, world!");
    let again = fs::metadata(self::image(layers.path())).unwrap();
    assert_eq!(again.modified().unwrap(), image, "it was installed again");
}

fn image(layers: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(layers).unwrap();
    let mut images = entries.map(|entry| entry.unwrap().path());
    images
        .find(|path| path.extension().is_some_and(|e| e == "img"))
        .expect("a layer")
}

#[test]
#[ignore = "started by other tests"]
fn a_cluster_with_a_package_in_a_process_of_its_own() {
    let layers = std::env::var(LAYERS).expect("started by another test");
    match up(1, Path::new(&layers), &[PACKAGE]) {
        Ok(_) => println!("up"),
        Err(e) => panic!("{e}"),
    }
}

/// Starts the test above behind the words of a command.
fn in_a_process(prefix: &[&str], layers: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    let mut words: Vec<&str> = prefix.to_vec();
    words.push(this.to_str().unwrap());
    Command::new(words[0])
        .args(&words[1..])
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("a_cluster_with_a_package_in_a_process_of_its_own")
        .env(LAYERS, layers)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_build_killed_half_way_leaves_no_mount_loop_device_or_process_and_is_made_anew() {
    let layers = tempfile::tempdir().unwrap();
    let mut killed = in_a_process(&[], layers.path());
    until("building", || {
        let traces = traces(layers.path()).join("\n");
        traces.contains("loop: ") && traces.contains("packages-inside")
    });
    killed.kill().unwrap();
    killed.wait().unwrap();

    until("free of traces", || traces(layers.path()).is_empty());
    assert!(Layers::at(layers.path()).list().unwrap().is_empty());
    let next = up(1, layers.path(), &[PACKAGE]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(remote(&next, 0).run("hello").unwrap(), "Hello, world!");
    let left: Vec<_> = fs::read_dir(layers.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_a_network_it_is_said_that_there_is_none_and_nothing_stays() {
    let layers = tempfile::tempdir().unwrap();
    let child = in_a_process(&["unshare", "--net"], layers.path());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("no network: the mirrors"), "{said}");
    until("free of traces", || traces(layers.path()).is_empty());
    assert!(Layers::at(layers.path()).list().unwrap().is_empty());
}

#[test]
fn a_package_that_no_mirror_has_is_refused_by_name() {
    let layers = tempfile::tempdir().unwrap();
    let error = up(1, layers.path(), &["no-such-package-anywhere"])
        .err()
        .unwrap();
    let said = error.to_string();
    assert!(matches!(error, ClusterError::Packages { .. }), "{said}");
    assert!(said.contains("no-such-package-anywhere"), "{said}");
}
