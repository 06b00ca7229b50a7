//! Faults that look at packets or have effects on them: a process of its own reads a queue that rules fill.
//!
//! Should it die, the rules let packets pass; it ends with the agent that started it, too. It is ended before
//! its table is deleted: what it holds then goes on its way, where the kernel would drop it with the table.

mod copies;
mod damage;
mod headers;
mod netlink;
mod packets;
mod rule;
mod shape;
mod shaper;
mod totals;
mod worker;

use std::fs::DirBuilder;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

pub use worker::queue_main;

use self::rule::Filler;
use self::totals::Totals;
use self::worker::{TELL, Work};
use super::durable;
use super::error::AgentError;
use super::evidence::evidence;
use super::ledger::{Entry, UndoStep};
use super::process::ProcessId;
use super::service::wait_until;
use super::state_dir::StateLock;
use crate::fault::NodeFault;
use crate::outcome::{NodeOutcome, Outcome};

/// How long the process may take to let go of its packets.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take to say what it did.
const TELL_PATIENCE: Duration = Duration::from_secs(1);

/// A process that reads a queue no rule fills yet.
#[derive(Debug)]
pub(crate) struct Reader {
    queue: u16,
    filler: Filler,
    /// What ends the process.
    pub(crate) undo: UndoStep,
}

impl Reader {
    /// Lets a chain of a table, loaded already, fill the queue.
    pub(crate) fn fill_from(
        &self,
        table: &str,
        chain: &str,
        comment: &str,
    ) -> Result<(), AgentError> {
        self.filler
            .append(table, chain, comment, self.queue)
            .map_err(|error| AgentError::Refused(format!("rule that fills a queue: {error}")))
    }
}

/// Starts the process that an order needs; `None` if it needs none.
pub(crate) fn start(
    lock: &StateLock<'_>,
    run: &str,
    fault: &str,
    order: &NodeFault,
) -> Result<Option<Reader>, AgentError> {
    let directory = lock.state.root().join("queues");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(AgentError::file("make", &directory))?;
    let totals = directory.join(format!("{run}.{fault}.json"));
    let work = match order {
        NodeFault::Shape { effects, .. } => Work::Shape {
            effects: *effects,
            seed: xxhash_rust::xxh3::xxh3_64(format!("{run}.{fault}").as_bytes()),
            totals: totals.clone(),
        },
        NodeFault::Reset { containing, .. } if !containing.is_empty() => Work::Match {
            patterns: containing.clone(),
        },
        _ => return Ok(None),
    };
    spawn(&work, totals).map(Some)
}

fn spawn(work: &Work, totals: PathBuf) -> Result<Reader, AgentError> {
    let failed = |error: &dyn std::fmt::Display| {
        AgentError::Refused(format!("packets can't be queued: {error}"))
    };
    let filler = Filler::of_this_kernel().map_err(|error| failed(&error))?;
    let work = serde_json::to_string(work).map_err(|error| failed(&error))?;
    let mut child = Command::new("/proc/self/exe")
        .arg0("shakedown-agent")
        .args(["queue", &work])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut number = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output)
            .read_line(&mut number)
            .map_err(|error| failed(&error))?;
    }
    let Ok(queue) = number.trim().parse() else {
        let output = child.wait_with_output().map_err(|error| failed(&error))?;
        return Err(failed(&String::from_utf8_lossy(&output.stderr).trim()));
    };
    let process = ProcessId::of(child.id().cast_signed());
    let process = process.ok_or_else(|| failed(&"the process that reads them ended"))?;
    // While this process lives it keeps the pipe open, and must collect the child.
    let pipe = child.stdin.take();
    thread::spawn(move || {
        let _ = child.wait();
        drop(pipe);
    });
    Ok(Reader {
        queue,
        filler,
        undo: UndoStep::EndQueue { process, totals },
    })
}

/// Ends the process, kindly at first: it lets go of what it holds.
pub(crate) fn end(process: &ProcessId, totals: &Path) -> Result<(), AgentError> {
    process.signal(Signal::SIGTERM)?;
    if !wait_until(END_PATIENCE, || !process.is_alive()) {
        process.signal(Signal::SIGKILL)?;
    }
    if !wait_until(END_PATIENCE, || !process.is_alive()) {
        return Err(AgentError::StillThere(format!(
            "queue process {} survives SIGKILL",
            process.pid
        )));
    }
    durable::remove(totals)
}

/// What the process did until now, and whether it still reads the queue.
pub(crate) fn last_look(entry: &Entry, mut outcome: NodeOutcome) -> NodeOutcome {
    for step in &entry.undo {
        let UndoStep::EndQueue { process, totals } = step else {
            continue;
        };
        if let NodeFault::Shape { effects, .. } = &entry.order {
            let found = latest(process, totals).unwrap_or_default();
            outcome.evidence.extend(found.evidence(effects));
            if outcome.outcome == Outcome::Installed && !found.show(effects) {
                outcome.outcome = Outcome::Skipped;
            }
        }
        let what = format!("queue process {} before undo", process.pid);
        outcome.evidence.push(evidence(what, process.state_text()));
        // Without it packets passed untouched, nobody knows since when.
        if !process.is_alive() && outcome.outcome == Outcome::Installed {
            outcome.outcome = Outcome::Indeterminate;
        }
    }
    outcome
}

/// Has the process write its totals, and reads them; the last it wrote by itself if it doesn't answer.
fn latest(process: &ProcessId, path: &Path) -> Option<Totals> {
    let before = Totals::read(path);
    let asked = before.map_or(0, |totals| totals.asked);
    if process.signal(TELL).is_err() {
        return before;
    }
    let mut latest = before;
    wait_until(TELL_PATIENCE, || {
        latest = Totals::read(path);
        latest.is_some_and(|totals| totals.asked > asked) || !process.is_alive()
    });
    latest
}
