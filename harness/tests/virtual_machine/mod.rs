//! Virtual machines for tests: hosts with kernels of their own, whose clocks may be set.
//!
//! They are qemu's, without any acceleration, on a network of their own: a namespace with a bridge, in which
//! `shakedown` is started as well. What they boot from is made by `image.sh`. Everything ends with the test, however that
//! ends: the processes are killed when it is dropped, and by the kernel when the test dies.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod deaths;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::run::{Ended, Running, shakedown};

/// From power on to an answer by SSH; on an idle machine it takes 5 s.
const BOOT: Duration = Duration::from_secs(150);

/// Longest time `shakedown` may take; these machines have a tenth of this one's speed.
const LONGEST_RUN: Duration = Duration::from_secs(600);

/// Longest time a command on a machine may take.
const COMMAND_S: &str = "60";

const QEMU: &str = "qemu-system-x86_64";

/// Some machines, `10.81.0.1` and so on.
pub(crate) struct Machines {
    /// Has the network; ends when its standard input closes.
    network: Child,
    machines: Vec<Option<Child>>,
    images: PathBuf,
    files: TempDir,
}

impl Machines {
    /// Starts so many and waits until each can be reached.
    pub(crate) fn start(count: usize) -> Machines {
        let images = images();
        let network = network(count);
        let files = tempfile::tempdir().unwrap();
        let host_key = fs::read_to_string(images.join("host_key.pub")).unwrap();
        let known: Vec<String> = (0..count)
            .map(|i| format!("{} {}", address(i), host_key.trim()))
            .collect();
        fs::write(files.path().join("known_hosts"), known.join("\n") + "\n").unwrap();
        let mut started = Machines {
            network,
            machines: (0..count).map(|_| None).collect(),
            images,
            files,
        };
        for index in 0..count {
            let copied = Command::new("cp")
                .arg("--sparse=always")
                .arg(started.images.join("root.img"))
                .arg(started.disk(index))
                .status()
                .unwrap();
            assert!(copied.success());
            started.power_on(index);
        }
        for index in 0..count {
            started.until_up(index);
        }
        started
    }

    /// Switches a machine on.
    pub(crate) fn power_on(&mut self, index: usize) {
        let disk = self.disk(index).display().to_string();
        let serial = self.console(index).display().to_string();
        // The time stamp counter is no clock where qemu waits for a processor while the kernel measures it.
        let kernel_line = format!(
            "console=ttyS0 quiet panic=-1 no_timer_check tsc=unstable clocksource=hpet machine.address={}/24",
            address(index)
        );
        let machine = self
            .command(QEMU)
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1"])
            .args(["-m", "512", "-display", "none"])
            .arg("-kernel")
            .arg(self.images.join("vmlinuz"))
            .arg("-initrd")
            .arg(self.images.join("initrd"))
            .args(["-append", &kernel_line])
            .args(["-serial", &format!("file:{serial}")])
            .args([
                "-drive",
                &format!("file={disk},format=raw,if=virtio,cache=unsafe"),
            ])
            .args([
                "-netdev",
                &format!("tap,id=lan,ifname=tap{index},script=no,downscript=no"),
            ])
            .args([
                "-device",
                &format!("virtio-net-pci,netdev=lan,mac=52:54:00:00:00:{index:02x}"),
            ])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.machines[index] = Some(machine);
    }

    /// Cuts a machine's power.
    pub(crate) fn power_off(&mut self, index: usize) {
        if let Some(mut machine) = self.machines[index].take() {
            machine.kill().unwrap();
            machine.wait().unwrap();
        }
    }

    /// Waits until a machine can be reached.
    pub(crate) fn until_up(&mut self, index: usize) {
        let deadline = Instant::now() + BOOT;
        while !self.ssh(index, "true").status.success() {
            let ended = self.machines[index].as_mut().unwrap().try_wait().unwrap();
            let said = fs::read_to_string(self.console(index)).unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "machine {index} can't be reached ({QEMU}: {ended:?}); its console:\n{said}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What a command on a machine says; it must succeed.
    pub(crate) fn on(&self, index: usize, command: &str) -> String {
        let output = self.ssh(index, command);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}`: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Looks at a machine's clock, for as long as it runs.
    pub(crate) fn watch(&self, index: usize) -> Watch {
        let mut session = self
            .ssh_command(&["ssh"], index)
            .args([
                "-o",
                "ServerAliveInterval=20",
                "-o",
                "ServerAliveCountMax=6",
            ])
            .arg("while read line; do echo $EPOCHREALTIME; done")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(session.stdout.take().unwrap());
        Watch { session, answers }
    }

    /// Starts `shakedown` on these machines.
    pub(crate) fn shakedown(&self, arguments: &[&str]) -> Running {
        let nodes: Vec<String> = (0..self.machines.len()).map(address).collect();
        let mut command = self.command(&shakedown().display().to_string());
        command
            .args(arguments)
            .args(["--nodes", &nodes.join(",")])
            .args(["--user", "root", "--ssh-config", "none"])
            .arg("--key")
            .arg(self.images.join("key"))
            .arg("--known-hosts")
            .arg(self.files.path().join("known_hosts"));
        Running::command(command).within(LONGEST_RUN)
    }

    /// `shakedown` on these machines, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.shakedown(arguments).ended()
    }

    /// A command on the machines' network that becomes the program, and ends with the thread that starts it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &self.network.id().to_string(), "-n"])
            .args(["setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    fn ssh(&self, index: usize, command: &str) -> Output {
        self.ssh_command(&["timeout", COMMAND_S, "ssh"], index)
            .arg(command)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What runs a command on a machine, by this program and its first arguments.
    fn ssh_command(&self, program: &[&str], index: usize) -> Command {
        let known_hosts = self.files.path().join("known_hosts");
        let mut command = self.command(program[0]);
        command.args(&program[1..]);
        command
            .args(["-F", "none", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
            .arg("-i")
            .arg(self.images.join("key"))
            .arg(format!("root@{}", address(index)));
        command
    }

    fn disk(&self, index: usize) -> PathBuf {
        self.files.path().join(format!("disk{index}"))
    }

    fn console(&self, index: usize) -> PathBuf {
        self.files.path().join(format!("console{index}"))
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for machine in self.machines.iter_mut().flatten() {
            let _ = machine.kill();
            let _ = machine.wait();
        }
        let _ = self.network.kill();
        let _ = self.network.wait();
    }
}

/// A connection to a machine on which its clock is read.
pub(crate) struct Watch {
    session: Child,
    answers: BufReader<ChildStdout>,
}

impl Watch {
    /// By how many seconds the machine's clock is ahead of this machine's: of some looks the one that took least.
    pub(crate) fn ahead(&mut self) -> f64 {
        let looks = (0..5).map(|_| self.look());
        let least = looks.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        least.0
    }

    /// That, and how long the look took, seconds.
    fn look(&mut self) -> (f64, f64) {
        let since = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let asked = since(SystemTime::now());
        let questions = self.session.stdin.as_mut().unwrap();
        questions.write_all(b"\n").unwrap();
        let mut shown = String::new();
        self.answers.read_line(&mut shown).unwrap();
        let answered = since(SystemTime::now());
        let shown: f64 = shown.trim().parse().expect("the machine is gone");
        (shown - (asked + answered) / 2.0, answered - asked)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

fn address(index: usize) -> String {
    format!("10.81.0.{}", index + 1)
}

/// What the machines boot from; nothing passes silently where it is missing.
fn images() -> PathBuf {
    let why = "these tests start virtual machines: run them by `make test-vm`, which makes what they boot from";
    let images = PathBuf::from(std::env::var_os("SHAKEDOWN_VM").expect(why));
    for file in ["vmlinuz", "initrd", "root.img", "key", "host_key.pub"] {
        assert!(
            images.join(file).is_file(),
            "no {file} in {}: {why}",
            images.display()
        );
    }
    let qemu = Command::new(QEMU)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    assert!(
        qemu.is_ok_and(|status| status.success()),
        "no {QEMU}: install qemu-system-x86"
    );
    assert!(
        nix::unistd::geteuid().is_root() && Path::new("/dev/net/tun").exists(),
        "the machines' network needs root and /dev/net/tun"
    );
    images
}

/// A network namespace with a bridge to which so many machines can be plugged.
fn network(machines: usize) -> Child {
    let script = format!(
        "set -e; ip link set lo up; ip link add lan type bridge; ip address add 10.81.0.254/24 dev lan; \
         ip link set lan up; for i in $(seq 0 {}); do ip tuntap add dev tap$i mode tap; \
         ip link set tap$i master lan; ip link set tap$i up; done; echo ready; exec cat",
        machines - 1
    );
    let mut network = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "-n", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("setpriv comes with util-linux");
    let mut ready = String::new();
    BufReader::new(network.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    assert_eq!(ready, "ready\n", "no network for machines can be made here");
    network
}
