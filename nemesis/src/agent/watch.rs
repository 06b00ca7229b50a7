//! Reporting lines of a log as soon as they are written.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use regex::Regex;

use super::tail::Tail;
use crate::protocol::{Message, Notice};

/// Where the kernel can't tell of changes, the file is looked at this often.
const POLL_EVERY: Duration = Duration::from_millis(2);

/// Even where it can, the file is looked at this often: it may be a link into another directory.
const LOOK_EVERY_MS: u16 = 20;

/// Starts watching; from when this returns no line is missed. Ends when nobody listens any more.
pub(crate) fn watch(
    watch: u64,
    path: &Path,
    pattern: Regex,
    out: SyncSender<Message>,
) -> io::Result<()> {
    let mut tail = Tail::from_now(path)?;
    let mut changes = Changes::new(path);
    thread::spawn(move || {
        loop {
            // An unreadable file may become readable; until then it has no lines.
            for line in tail.lines().unwrap_or_default() {
                if pattern.is_match(&line)
                    && out
                        .send(Message::Notice(Notice::Line { watch, line }))
                        .is_err()
                {
                    return;
                }
            }
            changes.wait();
        }
    });
    Ok(())
}

/// Waits for changes in the directory of a file, which also tells of files made or replaced in it.
struct Changes {
    directory: PathBuf,
    inotify: Option<Inotify>,
}

impl Changes {
    fn new(path: &Path) -> Self {
        let mut changes = Self {
            directory: path.parent().unwrap_or(Path::new("/")).to_owned(),
            inotify: None,
        };
        changes.connect();
        changes
    }

    /// Fails quietly: the directory may not exist yet, or the kernel's limit on watches is reached.
    fn connect(&mut self) {
        let flags =
            AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        self.inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .and_then(|inotify| {
                inotify.add_watch(&self.directory, flags)?;
                Ok(inotify)
            })
            .ok();
    }

    fn wait(&mut self) {
        let Some(inotify) = &self.inotify else {
            thread::sleep(POLL_EVERY);
            self.connect();
            return;
        };
        let mut ready = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, PollTimeout::from(LOOK_EVERY_MS));
        // Which file changed doesn't matter: looking again costs a few microseconds.
        let _ = inotify.read_events();
    }
}
