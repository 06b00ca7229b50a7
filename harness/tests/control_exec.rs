//! Commands and files over SSH, on real nodes.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::io::Read;
use std::thread;
use std::time::Duration;

use local_nodes::{cluster, remote, remote_with};
use shakedown::control::{Access, ControlError, NodeAddress, Remote, SshRemote, Status};

#[test]
fn a_command_gives_back_its_status_and_both_outputs() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let output = node.exec("echo out; echo err >&2; exit 7").unwrap();
    assert_eq!(output.status, Status::Exited(7));
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    let killed = node.exec("kill -9 $$").unwrap();
    assert_eq!(killed.status, Status::Signalled("KILL".to_owned()));
    let error = node.run("echo why >&2; exit 3").unwrap_err().to_string();
    assert!(
        error.contains("n1") && error.contains("exit status 3") && error.contains("why"),
        "{error}"
    );
}

#[test]
fn megabytes_on_both_outputs_at_once_arrive_whole() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let output = node
        .exec("head -c 8000000 /dev/zero >&2 & head -c 9000000 /dev/zero; wait")
        .unwrap();
    assert_eq!(output.status, Status::Exited(0));
    assert_eq!(output.stdout.len(), 9_000_000);
    assert_eq!(output.stderr.len(), 8_000_000);
}

#[test]
fn a_command_that_does_not_end_times_out_and_the_next_one_works() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    for endless in ["sleep 1000", "yes"] {
        let error = node
            .exec_within(endless, Duration::from_millis(300))
            .unwrap_err();
        assert!(matches!(error, ControlError::Timeout { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("n1") && text.contains(endless) && text.contains("300ms"),
            "{text}"
        );
        assert_eq!(node.run("echo still here").unwrap(), "still here");
    }
}

#[test]
fn many_threads_share_a_node() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    thread::scope(|scope| {
        for thread in 0..8 {
            let node = &node;
            scope.spawn(move || {
                for round in 0..20 {
                    let text = format!("{thread} {round}");
                    assert_eq!(node.run(&format!("echo {text}")).unwrap(), text);
                }
            });
        }
    });
    node.close();
    assert_eq!(node.run("echo again").unwrap(), "again");
}

#[test]
fn a_session_that_died_while_idle_is_replaced() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let sshd_of_session = node.run("echo $PPID").unwrap();
    remote(&cluster, 0)
        .run(&format!(
            "kill {sshd_of_session}; while kill -0 {sshd_of_session} 2>/dev/null; do sleep 0.01; done"
        ))
        .unwrap();
    assert_eq!(node.run("echo back").unwrap(), "back");
}

#[test]
fn fifty_mebibytes_survive_the_way_there_and_back() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    let dir = tempfile::tempdir().unwrap();
    let (there, back) = (dir.path().join("there"), dir.path().join("back"));
    let pattern: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let bytes = pattern.repeat(400);
    assert_eq!(bytes.len(), 50 << 20);
    std::fs::write(&there, &bytes).unwrap();
    let dest = "/var/lib/it's new/file";
    node.upload_file(&there, dest, 0o640).unwrap();
    assert_eq!(
        node.run("stat -c '%a %s' \"/var/lib/it's new/file\"")
            .unwrap(),
        "640 52428800"
    );
    assert_eq!(
        node.run("ls \"/var/lib/it's new\" | wc -l").unwrap(),
        "1",
        "no temporary file stays"
    );
    assert_eq!(node.download_file(dest, &back).unwrap(), 50 << 20);
    assert!(std::fs::read(&back).unwrap() == bytes, "the bytes differ");
}

#[test]
fn an_upload_that_ends_early_publishes_nothing() {
    let cluster = cluster(1);
    let node = remote(&cluster, 0);
    node.upload_bytes(b"old", "/srv/data/file", 0o644).unwrap();
    let error = node
        .upload(&mut b"half".take(4), 8, "/srv/data/file", 0o644)
        .unwrap_err();
    assert!(error.to_string().contains("incomplete upload"), "{error}");
    assert_eq!(node.run("cat /srv/data/*").unwrap(), "old");
    let error = node
        .upload_bytes(b"x", "/proc/nowhere/file", 0o644)
        .unwrap_err();
    assert!(
        matches!(error, ControlError::CommandFailed { .. }),
        "{error}"
    );
    let mut sink = Vec::new();
    let error = node.download("/srv/missing", &mut sink).unwrap_err();
    assert!(error.to_string().contains("/srv/missing"), "{error}");
}

#[test]
fn a_user_without_sudo_is_told_how_to_get_it() {
    let cluster = cluster(1);
    let root = remote(&cluster, 0);
    root.run("useradd -m -p '*' -s /bin/sh deploy && install -d -m 700 -o deploy ~deploy/.ssh && install -o deploy /root/.ssh/authorized_keys ~deploy/.ssh/")
        .unwrap();
    let access = Access {
        user: Some("deploy".to_owned()),
        sudo: true,
        ..cluster.access()
    };
    let node = remote_with(&cluster, 0, &access);
    // Without sudo on the machine, the shell refuses; a stand-in for one that wants a password follows.
    let refuse = |text: &str| {
        root.upload_bytes(
            format!("#!/bin/sh\necho '{text}' >&2\nexit 1\n").as_bytes(),
            "/usr/local/bin/sudo",
            0o755,
        )
        .unwrap();
    };
    if !root.exec("command -v sudo").unwrap().success() {
        let error = node.exec("id -u").unwrap_err();
        assert!(matches!(error, ControlError::NoSudo { .. }), "{error}");
        refuse("sudo: a password is required");
    }
    let error = node.exec("id -u").unwrap_err();
    assert!(matches!(error, ControlError::NoSudo { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("n1") && text.contains("deploy ALL=(ALL) NOPASSWD"),
        "{text}"
    );
}

#[test]
fn a_node_can_be_named_with_its_user_and_port() {
    let cluster = cluster(1);
    let node = NodeAddress {
        user: Some("root".to_owned()),
        port: Some(22),
        ..cluster.nodes()[0].clone()
    };
    let access = Access {
        user: Some("nobody".to_owned()),
        port: Some(1),
        ..cluster.access()
    };
    let node = SshRemote::new(&node, &access).unwrap();
    assert_eq!(node.run("id -un").unwrap(), "root");
}
