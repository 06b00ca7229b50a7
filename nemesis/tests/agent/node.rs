//! Throw-away nodes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

/// One node: namespaces, an address, a state directory.
pub(crate) struct Node {
    /// `unshare`, and with it everything in the node, ends when its standard input closes.
    holder: Child,
    init: i32,
    pub(crate) home: TempDir,
    pub(crate) ip: IpAddr,
    pub(crate) ipv6: IpAddr,
}

/// Two nodes that reach each other and nothing else.
pub(crate) fn pair() -> (Node, Node) {
    let (a, b) = (Node::new(1), Node::new(2));
    a.host_ip(&[
        "link",
        "add",
        "eth0",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        &b.init.to_string(),
    ]);
    for node in [&a, &b] {
        node.host_ip(&["address", "add", &format!("{}/24", node.ip), "dev", "eth0"]);
        node.host_ip(&[
            "address",
            "add",
            &format!("{}/64", node.ipv6),
            "dev",
            "eth0",
            "nodad",
        ]);
        node.host_ip(&["link", "set", "lo", "up"]);
        node.host_ip(&["link", "set", "eth0", "up"]);
    }
    (a, b)
}

/// The same, and what is counted is exact: a packet whose answer takes its time is not sent again.
pub(crate) fn patient_pair() -> (Node, Node) {
    let (a, b) = pair();
    let patient = ["dev", "eth0", "rto_min", "10s"];
    for node in [&a, &b] {
        node.host_ip(&[&["route", "change", "10.99.0.0/24"], &patient[..]].concat());
        let first = ["route", "add", "fd99::/64", "metric", "1"];
        node.host_ip(&[&first[..], &patient].concat());
    }
    (a, b)
}

/// So many nodes that reach each other through a switch, which stands first.
pub(crate) fn group(count: u8) -> (Node, Vec<Node>) {
    let switch = Node::new(200);
    switch.host_ip(&["link", "add", "br0", "type", "bridge"]);
    switch.host_ip(&["link", "set", "br0", "up"]);
    let nodes: Vec<Node> = (1..=count).map(Node::new).collect();
    for (number, node) in nodes.iter().enumerate() {
        let port = format!("port{number}");
        let init = node.init.to_string();
        let pair = ["link", "add", &port, "type", "veth", "peer", "name", "eth0"];
        switch.host_ip(&[&pair[..], &["netns", &init]].concat());
        switch.host_ip(&["link", "set", &port, "master", "br0", "up"]);
        node.host_ip(&["address", "add", &format!("{}/24", node.ip), "dev", "eth0"]);
        node.host_ip(&["link", "set", "lo", "up"]);
        node.host_ip(&["link", "set", "eth0", "up"]);
    }
    (switch, nodes)
}

impl Node {
    pub(crate) fn new(number: u8) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "needs root: these tests make namespaces and load rules into them"
        );
        let mut holder = Command::new("unshare")
            .args(["-n", "-m", "-p", "-f", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare comes with util-linux");
        let mut ready = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        assert_eq!(ready, "ready\n", "namespaces can't be made here");
        let init = only_child(holder.id());
        Self {
            holder,
            init,
            home: tempfile::tempdir().unwrap(),
            ip: Ipv4Addr::new(10, 99, 0, number).into(),
            ipv6: Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, number.into()).into(),
        }
    }

    /// Ends it, with everything in it.
    pub(crate) fn end(mut self) -> TempDir {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }

    /// A command that will run in the node.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.to_string(), "-n", "-m", "-p", program]);
        command
    }

    /// Runs a command in the node to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments[0])
            .args(&arguments[1..])
            .output()
            .unwrap()
    }

    /// Runs `shakedown-agent COMMAND` on the node's state directory; its exit code and output.
    pub(crate) fn agent(&self, command: &str) -> (i32, serde_json::Value) {
        let output = self
            .command(env!("CARGO_BIN_EXE_shakedown-agent"))
            .args([command, "--state", self.state()])
            .output()
            .unwrap();
        let printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        });
        (output.status.code().unwrap(), printed)
    }

    pub(crate) fn state(&self) -> &str {
        self.home.path().to_str().unwrap()
    }

    /// Names of the node's nftables tables.
    pub(crate) fn tables(&self) -> Vec<String> {
        let output = self.run(&["nft", "list", "tables"]);
        assert!(output.status.success(), "nft is needed: install nftables");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap().to_owned())
            .collect()
    }

    /// State letter of a process, by its pid inside the node; `None` if it is gone or a zombie.
    pub(crate) fn process_state(&self, pid: i32) -> Option<char> {
        let output = self.run(&["cat", &format!("/proc/{pid}/stat")]);
        let stat = String::from_utf8(output.stdout).unwrap();
        let state = stat.get(stat.rfind(')')? + 2..)?.chars().next()?;
        (state != 'Z').then_some(state)
    }

    /// Pids, outside the node, of watchdogs for its state directory.
    pub(crate) fn watchdogs(&self) -> Vec<i32> {
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                line.contains("\0watchdog\0") && line.contains(self.state())
            })
            .collect()
    }

    /// Calls a function in the node's network.
    pub(crate) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.init)).unwrap();
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(network, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            inside.join().unwrap()
        })
    }

    /// `ip` with the node's network but the machine's process numbers.
    fn host_ip(&self, arguments: &[&str]) {
        let status = Command::new("nsenter")
            .args(["-t", &self.init.to_string(), "-n", "ip"])
            .args(arguments)
            .status()
            .expect("ip comes with iproute2");
        assert!(status.success(), "ip {}", arguments.join(" "));
    }
}

impl Node {
    /// Control groups that agents on this node made; the machine's own hierarchies are those of the node, too.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let link = fs::read_link(format!("/proc/{}/ns/pid", self.init)).unwrap_or_default();
        let digits = |c: &char| c.is_ascii_digit();
        let namespace: String = link.to_string_lossy().chars().filter(digits).collect();
        let ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("shakedown_") && name.ends_with(&format!("_{namespace}"))
        };
        let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
        // Below the one hierarchy of version 2, or below each of version 1.
        entries("/sys/fs/cgroup".into())
            .flat_map(|entry| entries(entry.path()).chain([entry]))
            .map(|group| group.path())
            .filter(ours)
            .collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let groups = self.groups();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        for group in groups {
            // What was in it takes a moment to be gone.
            for _ in 0..200 {
                if fs::remove_dir(&group).is_ok() {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The one child of a process, once it has one.
pub(crate) fn only_child(parent: u32) -> i32 {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let mut child = None;
    eventually("a child process", || {
        child = fs::read_to_string(&path).unwrap().trim().parse().ok();
        child.is_some()
    });
    child.unwrap()
}

/// Waits for something that must come. The patience is only to end a test that has failed.
pub(crate) fn eventually(what: &str, mut come: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !come() {
        assert!(Instant::now() < give_up, "never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
