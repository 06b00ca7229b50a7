//! A layer over a node's own disk, through which its operations pass and can be made to fail, wait or tear: a file
//! system in a process of its own (FUSE), mounted over the disk's own mount point.
//!
//! Like the disk it outlives the agent, and what was ordered of it is undone by whoever reads the ledger.

mod passthrough;
mod rules;

use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fuser::{Config, MountOption, SessionACL};
use nix::mount::{MntFlags, umount2};
use serde::{Deserialize, Serialize};

use self::passthrough::Passthrough;
pub(crate) use self::rules::Counts;
use self::rules::Gate;
use super::disk::fuse_device;
use super::durable;
use super::error::AgentError;
use super::process::ProcessId;
use super::service::wait_until;
use super::state_dir::StateLock;
use crate::fault::io::IoEffects;

/// How long the process may take to let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Operations that may be under way, held ones included.
const THREADS: usize = 32;

/// A layer in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Layer {
    process: ProcessId,
    /// Where it is mounted: on the disk.
    over: PathBuf,
    /// Where it takes orders.
    socket: PathBuf,
}

/// What a layer can be told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Order {
    /// Act in this way, or let everything pass.
    Change { effects: Option<IoEffects> },
    /// Say what was counted.
    Count,
}

/// Puts a layer over a disk.
pub(crate) fn create(lock: &StateLock<'_>, over: &Path) -> Result<(), AgentError> {
    let refused = |why: &dyn std::fmt::Display| {
        AgentError::Refused(format!("layer over {}: {why}", over.display()))
    };
    if find(lock, over)?.is_some() {
        return Err(refused(&"there is one already"));
    }
    let directory = directory(lock);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(AgentError::file("make", &directory))?;
    let name = format!(
        "{:016x}",
        xxhash_rust::xxh3::xxh3_64(over.as_os_str().as_encoded_bytes())
    );
    // A socket's path must be short; that of a record need not.
    let socket = directory.join(format!("{name}.sock"));
    durable::remove(&socket)?;
    let mut child = Command::new("/proc/self/exe")
        .arg0("shakedown-agent")
        .arg("layer")
        .arg(over)
        .arg(&socket)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| refused(&error))?;
    let mut ready = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output)
            .read_line(&mut ready)
            .map_err(|error| refused(&error))?;
    }
    let process = ProcessId::of(child.id().cast_signed());
    let (true, Some(process)) = (ready == "ready\n", process) else {
        let mut complaint = String::new();
        if let Some(mut errors) = child.stderr.take() {
            let _ = errors.read_to_string(&mut complaint);
        }
        let _ = child.wait();
        let complaint = complaint.trim().trim_start_matches("shakedown-agent: ");
        return Err(refused(&complaint));
    };
    // While this process lives it is the parent and must collect the child; later, pid 1 does.
    thread::spawn(move || child.wait());
    let layer = Layer {
        process,
        over: over.to_owned(),
        socket,
    };
    let kept = durable::write(&record(lock, over), &layer);
    if kept.is_err() {
        take_off(lock, &layer)?;
    }
    kept
}

/// Tells a layer what to do; what it had counted until then. `None` if there is no layer, or its process is gone.
pub(crate) fn change(
    lock: &StateLock<'_>,
    over: &Path,
    effects: Option<IoEffects>,
) -> Result<Option<Counts>, AgentError> {
    ask(lock, over, &Order::Change { effects })
}

/// What a layer has counted since it was last told what to do.
pub(crate) fn count(lock: &StateLock<'_>, over: &Path) -> Result<Option<Counts>, AgentError> {
    ask(lock, over, &Order::Count)
}

fn ask(lock: &StateLock<'_>, over: &Path, order: &Order) -> Result<Option<Counts>, AgentError> {
    let Some(layer) = find(lock, over)?.filter(|layer| layer.process.is_alive()) else {
        return Ok(None);
    };
    let answer = || -> io::Result<Counts> {
        let mut stream = UnixStream::connect(&layer.socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    };
    answer()
        .map(Some)
        .map_err(AgentError::file("talk to the layer at", &layer.socket))
}

/// The process of the layer over a disk.
pub(crate) fn process(lock: &StateLock<'_>, over: &Path) -> Result<Option<ProcessId>, AgentError> {
    Ok(find(lock, over)?.map(|layer| layer.process))
}

/// Takes the layer off a disk, if there is one.
pub(crate) fn remove(lock: &StateLock<'_>, over: &Path) -> Result<(), AgentError> {
    match find(lock, over)? {
        Some(layer) => take_off(lock, &layer),
        None => Ok(()),
    }
}

fn take_off(lock: &StateLock<'_>, layer: &Layer) -> Result<(), AgentError> {
    if layer.process.is_alive() {
        // Whoever still has files open there keeps it mounted; with the process gone they only get errors.
        let unmounted = wait_until(PATIENCE, || {
            umount2(&layer.over, MntFlags::UMOUNT_NOFOLLOW) != Err(nix::Error::EBUSY)
        });
        if !unmounted {
            return Err(AgentError::StillThere(format!(
                "the layer over {} is in use",
                layer.over.display()
            )));
        }
    } else if fs::metadata(&layer.over).is_err() {
        umount2(&layer.over, MntFlags::MNT_DETACH)
            .map_err(|error| AgentError::file("unmount", &layer.over)(error.into()))?;
    }
    if !wait_until(PATIENCE, || !layer.process.is_alive()) {
        layer.process.signal(nix::sys::signal::Signal::SIGKILL)?;
    }
    for file in [layer.socket.clone(), record(lock, &layer.over)] {
        durable::remove(&file)?;
    }
    Ok(())
}

fn find(lock: &StateLock<'_>, over: &Path) -> Result<Option<Layer>, AgentError> {
    durable::read(&record(lock, over))
}

fn directory(lock: &StateLock<'_>) -> PathBuf {
    lock.state.root().join("layers")
}

fn record(lock: &StateLock<'_>, over: &Path) -> PathBuf {
    let name = xxhash_rust::xxh3::xxh3_64(over.as_os_str().as_encoded_bytes());
    directory(lock).join(format!("{name:016x}.json"))
}

/// `shakedown-agent layer`: mounts a layer over a directory and serves it until it is unmounted. Says `ready` on
/// standard output when it is mounted.
///
/// # Errors
/// When it can't be mounted.
pub fn layer_main(over: &Path, socket: &Path) -> Result<(), AgentError> {
    let failed = |error: io::Error| AgentError::Refused(error.to_string());
    let _ = nix::sys::prctl::set_name(c"shakedown-layer");
    // Fails only if this is the leader of a session already, which is what is wanted.
    let _ = nix::unistd::setsid();
    let gate = Arc::new(Gate::new());
    let files = Passthrough::new(over, Arc::clone(&gate)).map_err(failed)?;
    let listener = UnixListener::bind(socket).map_err(failed)?;
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("shakedown".to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoDev,
        MountOption::NoSuid,
    ];
    config.acl = SessionACL::All;
    config.n_threads = Some(THREADS);
    let device = fuse_device().map_err(failed)?;
    let session = fuser::spawn_mount(files, over, &config).map_err(|error| {
        failed(io::Error::other(format!(
            "FUSE: {error}; it needs /dev/fuse"
        )))
    })?;
    drop(device);
    {
        let gate = Arc::clone(&gate);
        thread::spawn(move || take_orders(&listener, &gate));
    }
    let mut out = io::stdout();
    writeln!(out, "ready")
        .and_then(|()| out.flush())
        .map_err(failed)?;
    session.join().map_err(failed)
}

fn take_orders(listener: &UnixListener, gate: &Gate) {
    for stream in listener.incoming().flatten() {
        // One that breaks off has no order.
        let _ = take_order(&stream, gate);
    }
}

fn take_order(stream: &UnixStream, gate: &Gate) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let counts = match serde_json::from_str(&line)? {
        Order::Change { effects } => gate.change(effects),
        Order::Count => gate.counts(),
    };
    let mut answer = serde_json::to_vec(&counts)?;
    answer.push(b'\n');
    let mut stream = stream;
    stream.write_all(&answer)
}
