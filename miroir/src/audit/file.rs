//! Writing the audit log: buffered, flushed every 50 ms and at the end. A crash may lose the last lines.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use super::record::{CopiedPage, DualWrite, Line};
use crate::log;

const FLUSH_EVERY: Duration = Duration::from_millis(50);

type Shared = Arc<Mutex<BufWriter<File>>>;

/// The log, or nothing if it is off.
pub(crate) struct Audit(Option<Shared>);

impl Audit {
    /// Opens the log for appending and starts its flusher.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Audit(None));
        };
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open the audit log {}", path.display()))?;
        end_torn_line(&mut file)
            .with_context(|| format!("cannot mend the audit log {}", path.display()))?;
        let shared: Shared = Arc::new(Mutex::new(BufWriter::new(file)));
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                while let Some(shared) = weak.upgrade() {
                    flush(&shared);
                    drop(shared);
                    std::thread::sleep(FLUSH_EVERY);
                }
            })?;
        Ok(Audit(Some(shared)))
    }

    /// Whether records are kept.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records a dual write.
    pub(crate) fn dual_write(&self, write: &DualWrite) {
        self.append(&Line::Write(write.clone()));
    }

    /// Records a copied page.
    pub(crate) fn page(&self, page: CopiedPage) {
        self.append(&Line::Page(page));
    }

    /// Records that a migration was given up.
    pub(crate) fn given_up(&self, migration: u64) {
        self.append(&Line::GivenUp { migration });
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&self) {
        if let Some(shared) = &self.0 {
            flush(shared);
        }
    }

    fn append(&self, line: &Line) {
        let Some(shared) = &self.0 else { return };
        let mut bytes = serde_json::to_vec(line).expect("audit lines have string keys only");
        bytes.push(b'\n');
        let mut out = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(e) = out.write_all(&bytes) {
            log::warn(&format!("the audit log cannot be written: {e}"));
        }
    }
}

fn flush(shared: &Shared) {
    if let Err(e) = shared
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .flush()
    {
        log::warn(&format!("the audit log cannot be flushed: {e}"));
    }
}

/// Ends a last line that a crash cut off, so that the next one starts on its own.
fn end_torn_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        Ok(())
    } else {
        file.write_all(b"\n")
    }
}
