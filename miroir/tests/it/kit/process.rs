//! A Miroir process that dies with its guard, and whose log can be waited for.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Generous, for busy machines; no test depends on how long something takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running process.
pub(crate) struct Process {
    child: Child,
    lines: Arc<(Mutex<Vec<Value>>, Condvar)>,
}

/// The binary with arguments.
pub(crate) fn miroir(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miroir"));
    command.args(args);
    command
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    miroir(args).output().unwrap()
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let lines = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let out = BufReader::new(child.stdout.take().unwrap());
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let line =
                    serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
                sink.0.lock().unwrap().push(line);
                sink.1.notify_all();
            }
        });
        Process { child, lines }
    }

    /// Waits for the first log line that matches.
    pub(crate) fn wait_for(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lines.0.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|l| matches(l)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no `{what}` in the log: {lines:#?}");
            lines = self.lines.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    pub(crate) fn wait_for_event(&self, event: &str) -> Value {
        self.wait_for(event, |l| l["event"] == event)
    }

    pub(crate) fn wait_for_phase(&self, phase: &str) -> Value {
        self.wait_for(phase, |l| l["event"] == "phase" && l["phase"] == phase)
    }

    pub(crate) fn wait_for_phase_of(&self, migration: u64, phase: &str) -> Value {
        self.wait_for(phase, |l| {
            l["event"] == "phase" && l["phase"] == phase && l["migration"] == migration
        })
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.lines.0.lock().unwrap().clone()
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, then waits; whether it ended with success.
    pub(crate) fn terminate(&mut self) -> bool {
        self.signal("TERM");
        self.child.wait().unwrap().success()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([format!("-{signal}"), pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
