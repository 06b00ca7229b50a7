//! A directory in which a page's commands run, at an address of its own, and what ends the processes they start.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use tempfile::TempDir;

/// The address in the page.
const WRITTEN: &str = "127.0.0.1";
/// What a block may take.
const SECONDS: &str = "60";
/// Carries exported variables from block to block; fails with the first command that fails.
const FRAME: &str = "[ -e env ] && . ./env; set -e -o pipefail; . ./block; export -p > env";
/// Ends what the page has started, as soon as the test is gone, however it ended.
const WATCH: &str = "read -r _; for f in *.pid; do [ -e $f ] && kill -KILL $(cat $f); done";

/// What a block did.
pub(crate) struct Done {
    pub(crate) success: bool,
    /// Both streams.
    pub(crate) output: String,
}

/// The directory. Processes are those whose numbers the page writes to `*.pid`.
pub(crate) struct Stage {
    directory: TempDir,
    address: String,
    watcher: Child,
}

impl Stage {
    pub(crate) fn new() -> Self {
        // Ports are as written: the address is this test's own, of the millions of the loopback interface.
        static STAGES: AtomicU8 = AtomicU8::new(0);
        let stage = STAGES.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = std::process::id().to_be_bytes();
        let directory = tempfile::tempdir().unwrap();
        let mut watcher = Command::new("bash");
        // In a group of its own, so that it outlives a test runner's time-out.
        std::os::unix::process::CommandExt::process_group(&mut watcher, 0);
        let watcher = watcher
            .args(["-c", WATCH])
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Stage {
            address: format!("127.{}.{high}.{low}", 64 + stage % 64),
            directory,
            watcher,
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let text = text.replace(WRITTEN, &self.address);
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// Runs a block to its end; what it leaves in the background goes on.
    pub(crate) fn run(&self, block: &str) -> Done {
        self.write("block", block);
        let program = Path::new(env!("CARGO_BIN_EXE_miroir"));
        let mut path = program.parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let output = Command::new("timeout")
            .args([SECONDS, "bash", "-c", FRAME])
            .current_dir(&self.directory)
            .env("PATH", path)
            .env_remove("MIROIR_ADMIN_KEY")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done {
            success: output.status.success(),
            output: text(&output.stdout) + &text(&output.stderr),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}
