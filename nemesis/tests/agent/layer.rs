//! A disk with a layer, as programs on the node see it.

use std::fs;

use nix::sys::signal::Signal;
use shakedown_nemesis::fault::NodeFault;
use shakedown_nemesis::fault::io::{IoEffects, Operation};
use shakedown_nemesis::fault::local::LocalFault;
use shakedown_nemesis::outcome::Outcome;
use shakedown_nemesis::protocol::{Reply, RequestBody};

use crate::channel::{Channel, LONG_LEASE_MS, seen};
use crate::node::{Node, eventually};

fn dir(node: &Node) -> String {
    format!("{}/disk", node.state())
}

/// An agent, and a disk with a layer.
pub(crate) fn covered(node: &Node) -> Channel {
    let mut agent = Channel::greet(node, LONG_LEASE_MS);
    let path = dir(node);
    let disk = RequestBody::Disk {
        path: path.clone(),
        size_mib: 32,
    };
    assert_eq!(agent.ask(disk), Ok(Reply::Done));
    assert_eq!(agent.ask(RequestBody::Layer { path }), Ok(Reply::Done));
    agent
}

pub(crate) fn none() -> IoEffects {
    IoEffects {
        operations: Operation::ALL.into(),
        fail: 0.0,
        torn: 0.0,
        latency_ms: 0,
        bytes_per_second: None,
        read_only: false,
        seed: 1,
    }
}

pub(crate) fn io(node: &Node, effects: IoEffects) -> NodeFault {
    let dir = dir(node);
    NodeFault::Local {
        act: LocalFault::Io { dir, effects },
    }
}

/// What a script in the disk's directory prints, complaints included.
fn shell(node: &Node, script: &str) -> String {
    let script = format!("exec 2>&1; cd {} && {script}", dir(node));
    let output = node.run(&["bash", "-c", &script]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn assert_gone(node: &Node, mut agent: Channel) {
    let timeout_ms = 20_000;
    agent.ask(RequestBody::StopAll { timeout_ms }).unwrap();
    let mounts = node.run(&["cat", "/proc/self/mounts"]);
    let mounts = String::from_utf8(mounts.stdout).unwrap();
    assert!(!mounts.contains(&dir(node)), "{mounts}");
    assert_eq!(node.agent("leftovers").1, serde_json::json!([]));
    let layers = fs::read_dir(format!("{}/layers", node.state())).unwrap();
    assert_eq!(layers.count(), 0);
}

#[test]
fn everything_passes_a_layer_that_was_told_nothing() {
    let node = Node::new(1);
    let agent = covered(&node);
    let kind = shell(&node, "stat -f -c %T .");
    assert!(kind.contains("fuse"), "{kind}");
    for (script, printed) in [
        ("echo one > a && cat a", "one"),
        ("echo two >> a && cat a", "one\ntwo"),
        ("mv a b && ls", "b"),
        ("ln b c && stat -c %h b", "2"),
        ("ln -s b d && readlink d && cat d", "b\none\ntwo"),
        ("chmod 640 b && stat -c %a b", "640"),
        ("chown 7:8 b && stat -c %u:%g c", "7:8"),
        ("touch -d @1000 b && stat -c %Y b", "1000"),
        ("truncate -s 3 b && cat b", "one"),
        (
            "mkdir -p x/y/z && echo three > x/y/z/f && cat x/y/z/f",
            "three",
        ),
        (
            "exec 5> gone; rm gone; echo kept >&5; cat /proc/$$/fd/5",
            "kept",
        ),
        (
            "dd if=/dev/urandom of=r bs=100k count=20 conv=fsync status=none; cp r s; cmp r s && stat -c %s s",
            "2048000",
        ),
        ("mkfifo p; test -p p && echo fifo", "fifo"),
        ("flock b echo locked", "locked"),
        ("fallocate -l 1M e && stat -c %s e", "1048576"),
        (
            "rm -r x && ls x",
            "ls: cannot access 'x': No such file or directory",
        ),
        (
            "for i in $(seq 500); do echo > n$i; done; ls | grep -c ^n",
            "500",
        ),
        ("sync -f . && df --output=size . | tail -1 | grep -c .", "1"),
    ] {
        assert_eq!(shell(&node, script), printed, "{script}");
    }
    assert_gone(&node, agent);
}

#[test]
fn operations_fail_as_asked_and_no_others_until_the_end() {
    let node = Node::new(1);
    let mut agent = covered(&node);
    shell(&node, "echo kept > a");
    let failing = |operation| {
        let operations = vec![operation];
        let effects = IoEffects {
            operations,
            fail: 1.0,
            ..none()
        };
        io(&node, effects)
    };
    let error = "Input/output error";
    let installed = agent.install("write", failing(Operation::Write));
    assert_eq!(installed.outcome, Outcome::Installed, "{installed:?}");
    assert!(shell(&node, "echo lost > b").contains(error));
    assert!(shell(&node, "mv a b").contains(error));
    assert_eq!(shell(&node, "cat a"), "kept");
    let ended = agent.undo("write");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");
    assert_eq!(
        seen(&ended, "operations on the disk"),
        "2, of them 2 failed, 0 refused, 0 held, 0 torn"
    );
    assert_eq!(shell(&node, "echo more >> a && cat a"), "kept\nmore");

    agent.install("sync", failing(Operation::Sync));
    let synced = shell(&node, "dd if=a of=c conv=fsync status=none");
    assert!(synced.contains(error), "{synced}");
    assert_eq!(agent.undo("sync").outcome, Outcome::Installed);

    // What the kernel has read already it doesn't ask for again.
    let direct = "dd if=c of=/dev/null iflag=direct bs=4k status=none";
    assert_eq!(shell(&node, direct), "");
    agent.install("read", failing(Operation::Read));
    assert!(shell(&node, direct).contains(error));
    assert_eq!(agent.undo("read").outcome, Outcome::Installed);
    assert_eq!(shell(&node, direct), "");
    assert_gone(&node, agent);
}

#[test]
fn a_read_only_disk_refuses_who_has_a_file_open_for_writing_too() {
    let node = Node::new(1);
    let mut agent = covered(&node);
    let effects = IoEffects {
        read_only: true,
        ..none()
    };
    let mut writer = node
        .command("bash")
        .args([
            "-c",
            &format!(
                "cd {}; exec 5> a; while :; do echo x >&5 && echo y || break; sleep 0.02; done",
                dir(&node)
            ),
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it writes", || {
        shell(&node, "wc -l < a").parse::<u32>().unwrap_or(0) > 2
    });
    agent.install("ro", io(&node, effects));
    let mut complaint = String::new();
    std::io::Read::read_to_string(writer.stderr.as_mut().unwrap(), &mut complaint).unwrap();
    writer.wait().unwrap();
    assert!(complaint.contains("Read-only file system"), "{complaint}");
    assert!(shell(&node, "rm a").contains("Read-only file system"));
    assert_eq!(agent.undo("ro").outcome, Outcome::Installed);
    assert_eq!(shell(&node, "rm a && echo gone"), "gone");
    assert_gone(&node, agent);
}

#[test]
fn a_held_write_is_done_when_the_fault_ends_also_by_the_agents_death() {
    let node = Node::new(1);
    let mut agent = covered(&node);
    shell(&node, "echo first > a; echo other > b");
    let effects = IoEffects {
        latency_ms: 60_000,
        operations: vec![Operation::Write],
        ..none()
    };
    agent.install("slow", io(&node, effects));
    let mut writer = node
        .command("bash")
        .args(["-c", &format!("echo late >> {}/a", dir(&node))])
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(writer.try_wait().unwrap().is_none(), "it is held");
    assert_eq!(shell(&node, "cat b"), "other", "others pass");
    agent.signal(Signal::SIGKILL);
    assert!(writer.wait().unwrap().success());
    eventually("the watchdog is done", || node.watchdogs().is_empty());
    assert_eq!(shell(&node, "cat a"), "first\nlate");
    let agent = Channel::greet(&node, LONG_LEASE_MS);
    drop(agent);
    let agent = Channel::greet(&node, LONG_LEASE_MS);
    assert_gone(&node, agent);
}

#[test]
fn a_slow_disk_holds_what_comes_too_fast_and_a_torn_write_loses_its_end() {
    let node = Node::new(1);
    let mut agent = covered(&node);
    let slow = IoEffects {
        bytes_per_second: Some(1 << 20),
        operations: vec![Operation::Write],
        ..none()
    };
    agent.install("slow", io(&node, slow));
    let begun = std::time::Instant::now();
    shell(&node, "dd if=/dev/zero of=big bs=64k count=16 status=none");
    assert!(
        begun.elapsed().as_secs_f64() > 0.9,
        "1 MiB at 1 MiB a second"
    );
    let ended = agent.undo("slow");
    assert_eq!(ended.outcome, Outcome::Installed, "{ended:?}");

    shell(&node, "head -c 8192 /dev/zero > t; sync t");
    let torn = IoEffects {
        torn: 1.0,
        ..none()
    };
    agent.install("torn", io(&node, torn));
    let write = "head -c 8192 /dev/zero | tr '\\0' y | dd of=t bs=8192 conv=notrunc iflag=fullblock status=none && echo done";
    assert_eq!(shell(&node, write), "done", "the writer isn't told");
    assert_eq!(agent.undo("torn").outcome, Outcome::Installed);
    let left: usize = shell(
        &node,
        "dd if=t iflag=direct bs=8192 status=none | tr -d '\\0' | wc -c",
    )
    .parse()
    .unwrap();
    assert!(
        left > 0 && left < 8192 && left.is_multiple_of(512),
        "{left} of 8192 bytes are there"
    );
    assert_gone(&node, agent);
}

#[test]
fn a_fault_that_hits_nothing_or_was_to_do_nothing_is_skipped_and_what_cannot_be_is_refused() {
    let node = Node::new(1);
    let mut agent = covered(&node);
    let failing = IoEffects {
        fail: 1.0,
        ..none()
    };
    assert_eq!(
        agent.install("idle", io(&node, failing.clone())).outcome,
        Outcome::Installed
    );
    assert_eq!(agent.undo("idle").outcome, Outcome::Skipped);
    assert_eq!(
        agent
            .install_noop("noop", io(&node, failing.clone()))
            .outcome,
        Outcome::Skipped
    );
    assert_eq!(shell(&node, "echo fine > a && cat a"), "fine");
    assert_eq!(agent.undo("noop").outcome, Outcome::Skipped);
    let refused = |agent: &mut Channel, order| {
        agent
            .ask(RequestBody::Prepare {
                fault: "f".into(),
                order,
                noop: false,
            })
            .unwrap_err()
    };
    let cut = NodeFault::PowerLoss {
        service: "web".into(),
        dir: dir(&node),
    };
    assert!(refused(&mut agent, cut).contains("has a layer"));
    let again = RequestBody::Layer { path: dir(&node) };
    assert!(
        agent
            .ask(again)
            .unwrap_err()
            .contains("there is one already")
    );
    let order = NodeFault::Local {
        act: LocalFault::Io {
            dir: "/tmp".into(),
            effects: failing,
        },
    };
    assert!(refused(&mut agent, order).contains("no disk of this node's own"));
    assert_gone(&node, agent);
}

#[test]
#[ignore = "a measurement: run it alone, with --no-capture"]
fn cost_of_a_layer() {
    let writes = "dd if=/dev/zero of=w bs=4k count=500 oflag=dsync conv=notrunc 2>&1 | tail -1";
    let many = "dd if=/dev/zero of=m bs=4k count=4000 conv=notrunc 2>&1 | tail -1";
    let reads = "dd if=m of=/dev/null bs=4k iflag=direct 2>&1 | tail -1";
    for layered in [false, true] {
        let node = Node::new(1);
        let mut agent = Channel::greet(&node, LONG_LEASE_MS);
        let path = dir(&node);
        let disk = RequestBody::Disk {
            path: path.clone(),
            size_mib: 64,
        };
        agent.ask(disk).unwrap();
        if layered {
            agent.ask(RequestBody::Layer { path }).unwrap();
        }
        for script in [writes, many, reads] {
            println!("layered {layered}: {}", shell(&node, script));
        }
        let timeout_ms = 20_000;
        agent.ask(RequestBody::StopAll { timeout_ms }).unwrap();
    }
}

#[test]
#[ignore = "a measurement: run it alone, with --no-capture"]
fn accuracy_of_a_layer() {
    let node = Node::new(1);
    let mut agent = covered(&node);
    shell(&node, "echo > a");
    for fail in [0.02, 0.1, 0.5] {
        let effects = IoEffects {
            operations: vec![Operation::Write],
            fail,
            ..none()
        };
        agent.install("fail", io(&node, effects));
        let script = "exec 5>>a; n=0; for i in $(seq 5000); do echo -n x >&5 || n=$((n+1)); done 2>/dev/null; echo $n";
        let failed = shell(&node, script);
        println!("asked to fail {fail}, {failed} of 5000 writes failed");
        agent.undo("fail");
    }
    for latency_ms in [5, 50] {
        let effects = IoEffects {
            operations: vec![Operation::Sync],
            latency_ms,
            ..none()
        };
        agent.install("slow", io(&node, effects));
        let script = "for i in $(seq 20); do s=$(date +%s%N); sync -d a; e=$(date +%s%N); echo $(( (e-s)/1000 )); done | sort -n | sed -n '1p;10p;20p' | tr '\\n' ' '";
        let took = shell(&node, script);
        println!(
            "asked for {latency_ms} ms, shortest, median, longest sync with its program's start, us: {took}"
        );
        agent.undo("slow");
    }
    assert_gone(&node, agent);
}
