//! What can keep the harness from logging in, on real nodes: each cause has its own message, naming node and remedy.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_nodes::{cluster, remote_with};
use shakedown::cluster::LocalCluster;
use shakedown::control::{Access, ControlError, NodeAddress, Patience, Remote, SshRemote};

fn refusal(cluster: &LocalCluster, access: &Access) -> (ControlError, String) {
    let error = remote_with(cluster, 0, access).exec("true").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("n1: "), "the node is named first: {text}");
    (error, text)
}

fn make_key(path: &Path, passphrase: &str) -> PathBuf {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
    path.to_owned()
}

#[test]
fn a_key_the_server_does_not_know_is_named_with_what_the_server_offers() {
    let cluster = cluster(1);
    let dir = tempfile::tempdir().unwrap();
    let key = make_key(&dir.path().join("stranger"), "");
    let access = Access {
        key: Some(key.clone()),
        ..cluster.access()
    };
    let (error, text) = refusal(&cluster, &access);
    assert!(matches!(error, ControlError::AuthRefused { .. }), "{text}");
    for part in [key.to_str().unwrap(), "offers publickey", "authorized_keys"] {
        assert!(text.contains(part), "no {part}: {text}");
    }
}

#[test]
fn key_files_that_cannot_be_used_say_why() {
    let cluster = cluster(1);
    let dir = tempfile::tempdir().unwrap();
    let open = make_key(&dir.path().join("open"), "");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let locked = make_key(&dir.path().join("locked"), "secret");
    let public = dir.path().join("locked.pub");
    fs::set_permissions(&public, fs::Permissions::from_mode(0o600)).unwrap();
    let cases = [
        (open, "chmod 600"),
        (locked, "ssh-add"),
        (public, "no SSH private key"),
        (dir.path().join("missing"), "No such file"),
    ];
    for (key, remedy) in cases {
        let access = Access {
            key: Some(key.clone()),
            ..cluster.access()
        };
        let (error, text) = refusal(&cluster, &access);
        assert!(matches!(error, ControlError::KeyFile { .. }), "{text}");
        assert!(
            text.contains(remedy) && text.contains(key.to_str().unwrap()),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_host_key_is_refused_until_it_is_accepted_and_then_known() {
    let cluster = cluster(1);
    let dir = tempfile::tempdir().unwrap();
    let known_hosts = dir.path().join("ssh").join("known_hosts");
    let strict = Access {
        known_hosts: known_hosts.clone(),
        ..cluster.access()
    };
    let (error, text) = refusal(&cluster, &strict);
    let ControlError::UnknownHostKey { remedy, key, .. } = error else {
        panic!("{text}");
    };
    assert_eq!(key.fingerprint, fingerprint_by_ssh_keygen(&cluster));
    assert!(
        !known_hosts.exists(),
        "a refused key must not be remembered"
    );

    // The remedy in the message works as it stands.
    fs::create_dir(known_hosts.parent().unwrap()).unwrap();
    let command = Command::new("sh")
        .args(["-c", &remedy])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(command.success());
    remote_with(&cluster, 0, &strict).run("true").unwrap();

    fs::remove_file(&known_hosts).unwrap();
    let accepting = Access {
        accept_new: true,
        ..strict.clone()
    };
    remote_with(&cluster, 0, &accepting).run("true").unwrap();
    remote_with(&cluster, 0, &strict).run("true").unwrap();
}

fn fingerprint_by_ssh_keygen(cluster: &LocalCluster) -> String {
    let output = Command::new("ssh-keygen")
        .args(["-l", "-F", &cluster.nodes()[0].host, "-f"])
        .arg(cluster.access().known_hosts)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .find(|w| w.starts_with("SHA256:"))
        .unwrap()
        .to_owned()
}

#[test]
fn a_changed_host_key_is_refused_loudly_with_file_and_line_even_where_new_ones_are_accepted() {
    let cluster = cluster(2);
    let dir = tempfile::tempdir().unwrap();
    let genuine = fs::read_to_string(cluster.access().known_hosts).unwrap();
    let foreign = genuine.lines().nth(1).unwrap().split_once(' ').unwrap().1;
    let host = &cluster.nodes()[0].host;
    let known_hosts = dir.path().join("known_hosts");
    let access = Access {
        known_hosts: known_hosts.clone(),
        accept_new: true,
        ..cluster.access()
    };
    let plain = format!("# comment\n\n{host} {foreign}\n");
    for hashed in [false, true] {
        fs::write(&known_hosts, &plain).unwrap();
        if hashed {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-H", "-f"])
                .arg(&known_hosts)
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert!(status.success());
        }
        let (error, text) = refusal(&cluster, &access);
        let ControlError::ChangedHostKey {
            line: 3, remedy, ..
        } = error
        else {
            panic!("{text}");
        };
        assert!(text.contains("HAS CHANGED"), "{text}");
        assert!(
            text.contains(&format!("{}:3", known_hosts.display())),
            "{text}"
        );
        let command = Command::new("sh")
            .args(["-c", &remedy])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(command.success());
        assert!(
            !fs::read_to_string(&known_hosts).unwrap().contains(foreign),
            "the remedy removes the key"
        );
    }
    // One right key among wrong ones is enough, as for ssh.
    fs::write(&known_hosts, format!("{plain}{genuine}")).unwrap();
    remote_with(&cluster, 0, &access).run("true").unwrap();
}

#[test]
fn an_address_without_a_machine_is_unreachable_within_the_time_limit() {
    let cluster = cluster(1);
    // Only the last part of the address may differ: the leak guard covers this subnet alone.
    let (prefix, _) = cluster.nodes()[0].host.rsplit_once('.').unwrap();
    let empty = NodeAddress {
        name: "n9".to_owned(),
        host: format!("{prefix}.99"),
        port: None,
        user: None,
        cluster: Vec::new(),
    };
    let access = Access {
        patience: Patience {
            connect: Duration::from_millis(500),
            ..Patience::default()
        },
        ..cluster.access()
    };
    let error = SshRemote::new(&empty, &access)
        .unwrap()
        .exec("true")
        .unwrap_err();
    assert!(matches!(error, ControlError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("n9: ") && text.contains(".99:22") && text.contains("firewall"),
        "{text}"
    );
}

#[test]
fn a_refused_connection_is_tried_again_and_succeeds_once_the_server_is_back() {
    let cluster = cluster(1);
    let root = remote_with(&cluster, 0, &cluster.access());
    // Another sshd, started after the first attempts have failed.
    root.run("(sleep 0.4; exec /usr/sbin/sshd -D -f /etc/shakedown/sshd_config -p 2222) >/dev/null 2>&1 </dev/null &")
        .unwrap();
    let access = Access {
        port: Some(2222),
        patience: Patience {
            attempts: 8,
            ..Patience::default()
        },
        ..cluster.access()
    };
    assert_eq!(
        remote_with(&cluster, 0, &access).run("hostname").unwrap(),
        "n1"
    );

    let closed = Access {
        port: Some(2223),
        patience: Patience {
            attempts: 3,
            backoff: Duration::from_millis(20),
            ..Patience::default()
        },
        ..cluster.access()
    };
    let (error, text) = refusal(&cluster, &closed);
    assert!(
        matches!(error, ControlError::Unreachable { attempts: 3, .. }),
        "{text}"
    );
}

#[test]
fn a_server_that_accepts_but_never_greets_is_given_up() {
    let cluster = cluster(1);
    let silent = std::net::TcpListener::bind((cluster.info().harness_address(), 0)).unwrap();
    let node = NodeAddress {
        name: "mute".to_owned(),
        host: cluster.info().harness_address().to_string(),
        port: Some(silent.local_addr().unwrap().port()),
        user: None,
        cluster: Vec::new(),
    };
    let access = Access {
        patience: Patience {
            handshake: Duration::from_millis(200),
            attempts: 2,
            backoff: Duration::from_millis(10),
            ..Patience::default()
        },
        ..cluster.access()
    };
    let error = SshRemote::new(&node, &access)
        .unwrap()
        .exec("true")
        .unwrap_err();
    assert!(
        matches!(error, ControlError::Unreachable { attempts: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("no SSH greeting"), "{error}");
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let node = NodeAddress {
        name: "two..dots".to_owned(),
        host: "two..dots".to_owned(),
        port: None,
        user: Some("root".to_owned()),
        cluster: Vec::new(),
    };
    // No DNS server is asked about a name that cannot be one.
    let error = SshRemote::new(&node, &Access::default())
        .unwrap()
        .exec("true")
        .unwrap_err();
    assert!(matches!(error, ControlError::Unresolved { .. }), "{error}");
    assert!(
        error.to_string().starts_with("two..dots: the name"),
        "{error}"
    );
}

#[test]
fn a_connection_cut_in_the_middle_of_a_command_is_lost_not_repeated() {
    let cluster = cluster(1);
    let node = remote_with(&cluster, 0, &cluster.access());
    let started = Instant::now();
    let error = node
        .exec("echo x >> /tmp/count; kill -9 $PPID; sleep 1000")
        .unwrap_err();
    assert!(
        matches!(error, ControlError::ConnectionLost { .. }),
        "{error} after {:?}",
        started.elapsed()
    );
    assert_eq!(node.run("wc -l < /tmp/count").unwrap(), "1");
}

#[test]
fn a_key_in_the_ssh_agent_logs_in() {
    let cluster = cluster(1);
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !socket.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let key = cluster.access().key.unwrap();
    let added = Command::new("ssh-add")
        .arg(&key)
        .env("SSH_AUTH_SOCK", &socket)
        .stderr(Stdio::null())
        .status();
    // The socket's path reaches libssh2 by the environment only: a process of its own.
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_process_that_logs_in_with_its_agent",
            "--nocapture",
        ])
        .env("SSH_AUTH_SOCK", &socket)
        .env("SHAKEDOWN_TEST_CLUSTER", &cluster.info().name)
        .output();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(added.unwrap().success());
    let said = String::from_utf8(child.unwrap().stdout).unwrap();
    assert!(said.contains("logged in to n1"), "{said}");
}

/// Not a test of its own: the process that the test above starts.
#[test]
fn a_process_that_logs_in_with_its_agent() {
    let Ok(name) = std::env::var("SHAKEDOWN_TEST_CLUSTER") else {
        return;
    };
    let clusters = shakedown::cluster::list().unwrap();
    let info = clusters.into_iter().find(|c| c.name == name).unwrap();
    let access = Access {
        key: None,
        agent: true,
        ..info.access()
    };
    let node = SshRemote::new(&info.nodes()[0], &access).unwrap();
    println!("\nlogged in to {}", node.run("hostname").unwrap());
}
