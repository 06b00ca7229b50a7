//! `shakedown` as a person runs it: started, watched, interrupted, and never left running by a test.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shakedown::cluster::{self, ClusterInfo};
use shakedown::control::Access;
use shakedown_reports::results::{ScenarioResults, SuiteResults};
use tempfile::TempDir;

/// Longest time a run of a few scenarios may take; many times what it takes on an idle machine.
pub(crate) const LONG: Duration = Duration::from_secs(400);

const POLL: Duration = Duration::from_millis(20);

/// `shakedown`, with the programs it needs beside it.
pub(crate) fn shakedown() -> PathBuf {
    let shakedown = PathBuf::from(env!("CARGO_BIN_EXE_shakedown"));
    for program in ["shakedown-agent", "miroir"] {
        let path = shakedown.with_file_name(program);
        assert!(
            path.is_file(),
            "no {}: run `cargo build --workspace --bins` first, as `make test` does",
            path.display()
        );
    }
    shakedown
}

/// Miroir with its planted bugs compiled in.
pub(crate) fn planted_miroir() -> PathBuf {
    let miroir = Path::new(env!("CARGO_BIN_EXE_shakedown")).with_file_name("miroir-planted");
    assert!(
        miroir.is_file(),
        "no {}: run `make planted` first",
        miroir.display()
    );
    miroir
}

/// A directory for what a test writes; goes with the test.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a scenario file; returns its path.
pub(crate) fn scenario_file(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Where runs go that are in such a directory.
pub(crate) fn runs(dir: &TempDir) -> String {
    dir.path().join("runs").display().to_string()
}

/// A `shakedown` process. Dropped while it still runs, as when its test panics, it is killed and the cluster it made is removed.
pub(crate) struct Running {
    child: Child,
    what: String,
    dir: TempDir,
    longest: Duration,
}

/// A `shakedown` process that has ended.
pub(crate) struct Ended {
    /// Its exit status; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts `shakedown` with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Running {
        let mut command = Command::new(shakedown());
        command.args(arguments);
        Running::command(command)
    }

    /// Starts a command that becomes `shakedown`.
    pub(crate) fn command(mut command: Command) -> Running {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test makes a local cluster and needs root: run it as root or with sudo"
        );
        let dir = scratch();
        let output = |name: &str| File::create(dir.path().join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap();
        Running {
            child,
            what: format!("{command:?}"),
            dir,
            longest: LONG,
        }
    }

    /// Lets it, and each thing that is waited for, take so long.
    pub(crate) fn within(mut self, longest: Duration) -> Running {
        self.longest = longest;
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap();
        format!("{}{}", read("stdout"), read("stderr"))
    }

    /// Waits until something holds while it runs.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + self.longest;
        while !holds() {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{}: ended before {what}:\n{}",
                self.what,
                self.said()
            );
            assert!(
                Instant::now() < deadline,
                "{}: not {what} within {:?}:\n{}",
                self.what,
                self.longest,
                self.said()
            );
            std::thread::sleep(POLL);
        }
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let deadline = Instant::now() + self.longest;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "{}: still runs after {:?}:\n{}",
                self.what,
                self.longest,
                self.said()
            );
            std::thread::sleep(POLL);
        };
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap();
        Ended {
            code: status.code(),
            stdout: read("stdout"),
            stderr: read("stderr"),
        }
    }

    /// The local cluster it made, once it has one.
    pub(crate) fn cluster(&mut self) -> ClusterInfo {
        let name = format!("run-{}", self.pid());
        let mut found = None;
        self.until("its cluster is listed", || {
            found = cluster::list()
                .unwrap()
                .into_iter()
                .find(|c| c.name == name);
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // Only if it could not take its cluster down itself is there anything to do.
        if let Err(error) = cluster::reap_stale() {
            eprintln!("warning: {error}");
        }
    }
}

impl Ended {
    /// Everything it said.
    pub(crate) fn said(&self) -> String {
        format!(
            "exit status {:?}\n{}{}",
            self.code, self.stdout, self.stderr
        )
    }

    /// Its run directory, from the line that names the report.
    pub(crate) fn run_dir(&self) -> PathBuf {
        let report = self
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("report: "));
        let report = report.unwrap_or_else(|| panic!("no report: {}", self.said()));
        Path::new(report).parent().unwrap().to_owned()
    }

    /// Its `results.json`.
    pub(crate) fn results(&self) -> SuiteResults {
        let text = fs::read_to_string(self.run_dir().join("results.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Fails unless it ended with this exit status.
    pub(crate) fn expect(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.said());
    }
}

/// `shakedown` to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Running::start(arguments).ended()
}

/// A run on listed nodes that are reached by SSH with this access, to its end.
pub(crate) fn run_listed(
    (nodes, access): (&[String], Access),
    more: &[&str],
    scenario: &str,
    out: &str,
) -> Ended {
    let path = |path: &Path| path.display().to_string();
    let (key, known_hosts) = (path(&access.key.unwrap()), path(&access.known_hosts));
    let nodes = nodes.join(",");
    let listed = ["run", scenario, "--nodes", &nodes, "--key", &key];
    let known = ["--known-hosts", &known_hosts, "--ssh-config", "none"];
    run(&[&listed[..], &known, more, &["--seed", "7", "--out", out]].concat())
}

/// Fails unless `shakedown` refuses these arguments and says all of that.
pub(crate) fn refused(arguments: &[&str], expected: &[&str]) {
    let ended = run(arguments);
    ended.expect(64);
    for text in expected {
        let said = ended.stderr.contains(text);
        assert!(said, "no {text:?} in {}", ended.said());
    }
}

/// A scenario of a run.
pub(crate) fn scenario<'a>(results: &'a SuiteResults, name: &str) -> &'a ScenarioResults {
    let found = results.scenarios.iter().find(|s| s.name == name);
    found.unwrap_or_else(|| {
        panic!(
            "no scenario {name} in {:?}",
            results
                .scenarios
                .iter()
                .map(|s| &s.name)
                .collect::<Vec<_>>()
        )
    })
}

/// What a scenario came to and why, for messages.
pub(crate) fn in_words(scenario: &ScenarioResults) -> String {
    let mut text = format!("{}: {}\n", scenario.name, scenario.verdict);
    for check in &scenario.checks {
        text.push_str(&format!(
            "{} {}: {}\n",
            check.verdict, check.name, check.detail
        ));
    }
    text.push_str(
        scenario
            .harness_error
            .as_deref()
            .unwrap_or("no harness error"),
    );
    text
}

/// Runs a scenario whose faults, so many, must all happen; with `--noop-faults` among `more`, none may.
pub(crate) fn every_fault_counts(name: &str, text: &str, faults: usize, more: &[&str]) -> Ended {
    let dir = scratch();
    let file = scenario_file(&dir, &format!("{name}.toml"), text);
    let out = runs(&dir);
    let mut arguments = vec!["run", &file, "--seed", "7", "--out", &out];
    arguments.extend(more);
    let ended = run(&arguments);
    // The results are read before the directory goes.
    let results = ended.results();
    let found = scenario(&results, name);
    let words = in_words(found);
    let outcomes: Vec<&str> = found.faults.iter().map(|f| f.outcome.as_str()).collect();
    let wanted = if more.contains(&"--noop-faults") {
        "skipped"
    } else {
        "installed"
    };
    assert_eq!(outcomes, vec![wanted; faults], "{words}{:#?}", found.faults);
    ended
}

/// A command on a node of a running cluster, through `shakedown cluster ssh`.
pub(crate) fn on_node(cluster: &str, node: &str, command: &str) -> Ended {
    run(&["cluster", "ssh", node, "--cluster", cluster, command])
}

/// The tables of faults on a node.
pub(crate) fn fault_tables(cluster: &str, node: &str) -> Vec<String> {
    let listed = on_node(cluster, node, "nft list tables");
    listed.expect(0);
    listed
        .stdout
        .lines()
        .filter(|line| line.contains("shakedown"))
        .map(str::to_owned)
        .collect()
}

/// Waits until no node has a table of a fault.
pub(crate) fn until_healed(cluster: &ClusterInfo) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let nodes = cluster.nodes();
        let left: Vec<String> = nodes
            .iter()
            .flat_map(|node| fault_tables(&cluster.name, &node.name))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still there: {left:?}");
    }
}

/// The namespaces of a cluster's nodes, without those of the machine.
pub(crate) fn namespaces_of(cluster: &ClusterInfo) -> BTreeSet<u64> {
    let inodes = |pid: &str| -> BTreeSet<u64> {
        let entries = fs::read_dir(format!("/proc/{pid}/ns"))
            .into_iter()
            .flatten();
        entries
            .filter_map(|e| fs::metadata(e.ok()?.path()).ok().map(|m| m.ino()))
            .collect()
    };
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let pid = entry.unwrap().file_name().to_string_lossy().into_owned();
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.contains("__node-init") && line.contains(&cluster.name) {
            found.extend(inodes(&pid));
        }
    }
    &found - &inodes("self")
}
