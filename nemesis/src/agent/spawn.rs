//! Starting a service, seen from both sides: the agent, and the process that becomes the service.
//!
//! The agent runs itself as `shakedown-agent spawn`; that process makes its own session, writes its
//! record and executes the program, so that the record exists before the program does and names the
//! right process even if the agent dies in between.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::SystemTime;

use super::core_dump;
use super::durable;
use super::ended::{self, Ended};
use super::error::AgentError;
use super::process::ProcessId;
use super::service::Record;
use super::state_dir::{StateDir, StateLock};
use crate::protocol::Service;

/// Starts a service and waits until its program was executed.
pub(crate) fn spawn(lock: &StateLock<'_>, service: &Service) -> Result<Record, AgentError> {
    let failed = |message: String| AgentError::Spawn {
        name: service.name.clone(),
        message,
    };
    let spec = serde_json::to_string(service).map_err(|error| failed(error.to_string()))?;
    let began = SystemTime::now();
    let mut child = Command::new("/proc/self/exe")
        .arg0("shakedown-agent")
        .args(["spawn", "--state"])
        .arg(lock.state.root())
        .arg(spec)
        .stdin(
            lock.for_child()
                .map_err(|error| failed(error.to_string()))?,
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // The pipe closes without a word when the program is executed.
    let mut complaint = String::new();
    let heard = match child.stdout.take() {
        Some(mut pipe) => pipe.read_to_string(&mut complaint),
        None => Ok(0),
    };
    // While this process lives it is the parent and must collect the service; later, pid 1 does.
    let end = Ended::path(lock.state, &service.name);
    let dir = PathBuf::from(&service.dir);
    ended::await_note(child.id());
    thread::spawn(move || {
        let status = child.wait();
        let ended = (status.ok()).and_then(|s| Ended::new(child.id(), s, (&dir, began)));
        // Without a note nothing is known of how it ended; that it did shows in /proc.
        let _ = ended.map(|ended| durable::write(&end, &ended));
        ended::noted(child.id());
    });
    heard.map_err(|error| failed(error.to_string()))?;
    if !complaint.is_empty() {
        return Err(failed(complaint.trim().to_owned()));
    }
    Record::load(lock, &service.name)?.ok_or_else(|| failed("left no record".to_owned()))
}

/// `shakedown-agent spawn`: becomes the service. Returns only if that fails.
///
/// # Errors
/// Always; the error is also printed on standard output, where the agent listens.
pub fn spawn_main(state: &StateDir, spec: &str) -> AgentError {
    // This copy is closed when the program is executed; standard output itself becomes the log.
    let listener = std::io::stdout().as_fd().try_clone_to_owned();
    let error = become_service(state, spec);
    if let Ok(listener) = listener {
        let _ = writeln!(File::from(listener), "{error}");
    }
    error
}

fn become_service(state: &StateDir, spec: &str) -> AgentError {
    let service: Service = match serde_json::from_str(spec) {
        Ok(service) => service,
        Err(error) => return AgentError::Refused(format!("service: {error}")),
    };
    let failed = |what: &str, error: &dyn std::fmt::Display| AgentError::Spawn {
        name: service.name.clone(),
        message: format!("{what}: {error}"),
    };
    let Some((program, arguments)) = service.argv.split_first() else {
        return failed("argv", &"is empty");
    };
    if let Err(error) = nix::unistd::setsid() {
        return failed("new session", &error);
    }
    let Some(process) = ProcessId::of(std::process::id().cast_signed()) else {
        return failed("own process", &"/proc does not show it");
    };
    let (log, log_again) = match open_log(&service) {
        Ok(log) => log,
        Err(error) => return error,
    };
    let path = Record::path(state, &service.name);
    let record = Record {
        process,
        service: service.clone(),
    };
    if let Err(error) = durable::write(&path, &record) {
        return error;
    }
    core_dump::allow();
    let error = Command::new(program)
        .args(arguments)
        .envs(&service.env)
        .current_dir(&service.dir)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_again)
        .exec();
    match durable::remove(&path) {
        Ok(()) => failed(program, &error),
        Err(second) => second,
    }
}

fn open_log(service: &Service) -> Result<(File, File), AgentError> {
    let (directory, path) = (Path::new(&service.dir), Path::new(&service.log));
    fs::create_dir_all(directory).map_err(AgentError::file("make", directory))?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(AgentError::file("make", parent))?;
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(AgentError::file("open", path))?;
    let again = log.try_clone().map_err(AgentError::file("open", path))?;
    Ok((log, again))
}
