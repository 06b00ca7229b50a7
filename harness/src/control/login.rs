//! Logs in: with the SSH agent if asked to, then with each key file.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ssh2::{ErrorCode, Session};

use super::connection::is_broken;
use super::{ControlError, Target};

/// What an unencrypted key in OpenSSH's own format starts with: magic, and `none` for the cipher.
const OPENSSH_PLAIN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";

/// libssh2's codes for a key that the server turned down: AUTHENTICATION_FAILED, PUBLICKEY_UNVERIFIED.
const TURNED_DOWN: [ErrorCode; 2] = [ErrorCode::Session(-18), ErrorCode::Session(-19)];

pub(crate) fn log_in(session: &Session, target: &Target) -> Result<(), ControlError> {
    let offered = match session.auth_methods(&target.user) {
        Ok(methods) => methods.to_owned(),
        Err(_) if session.authenticated() => return Ok(()),
        Err(e) => return Err(lost(target, &e)),
    };
    let mut tried = Vec::new();
    if target.access.agent && agent_login(session, target, &mut tried) {
        return Ok(());
    }
    for key in &target.keys {
        if let Some(problem) = problem_with(key) {
            // A key that was asked for must work; one that merely lies there need not.
            if target.access.key.is_some() {
                return Err(unusable(target, key, problem));
            }
            tried.push(format!("nothing from {} ({problem})", key.display()));
            continue;
        }
        match session.userauth_pubkey_file(&target.user, None, key, None) {
            Ok(()) => return Ok(()),
            Err(e) if TURNED_DOWN.contains(&e.code()) => {
                tried.push(format!("key {}", key.display()));
            }
            Err(e) if is_broken(&e) => return Err(lost(target, &e)),
            Err(e) => return Err(unusable(target, key, e.message().to_owned())),
        }
    }
    if tried.is_empty() {
        tried.push("no key, as there is none in ~/.ssh and none was named".to_owned());
    }
    Err(ControlError::AuthRefused {
        node: target.node.clone(),
        user: target.user.clone(),
        tried: tried.join(", "),
        offered,
    })
}

fn agent_login(session: &Session, target: &Target, tried: &mut Vec<String>) -> bool {
    let mut try_all = || -> Result<bool, ssh2::Error> {
        let mut agent = session.agent()?;
        agent.connect()?;
        agent.list_identities()?;
        let identities = agent.identities()?;
        if identities.is_empty() {
            tried.push("no key from the SSH agent, as it holds none".to_owned());
        }
        for identity in identities {
            if agent.userauth(&target.user, &identity).is_ok() {
                return Ok(true);
            }
            tried.push(format!("key {} of the SSH agent", identity.comment()));
        }
        Ok(false)
    };
    match try_all() {
        Ok(done) => done,
        Err(e) => {
            tried.push(format!(
                "no SSH agent ({}; is SSH_AUTH_SOCK set?)",
                e.message()
            ));
            false
        }
    }
}

/// Why a key file will not do, and what to do about it.
fn problem_with(path: &Path) -> Option<String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::InvalidData => {
            return Some("it is no SSH private key".to_owned());
        }
        Err(e) => return Some(format!("{e}; name a readable one with --key")),
    };
    let mode = fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        return Some(format!(
            "others may read it (mode {:03o}): chmod 600 {}",
            mode & 0o777,
            path.display()
        ));
    }
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if !first.starts_with("-----BEGIN ") || !first.contains("PRIVATE KEY") {
        return Some("it is no SSH private key (the one without .pub)".to_owned());
    }
    let encrypted = if first.contains("OPENSSH") {
        !lines.next().unwrap_or_default().starts_with(OPENSSH_PLAIN)
    } else {
        text.contains("ENCRYPTED")
    };
    encrypted.then(|| {
        "it needs a passphrase: add it to the SSH agent with ssh-add, and pass --agent".to_owned()
    })
}

fn unusable(target: &Target, path: &Path, problem: String) -> ControlError {
    ControlError::KeyFile {
        node: target.node.clone(),
        path: path.to_owned(),
        problem,
    }
}

fn lost(target: &Target, e: &ssh2::Error) -> ControlError {
    ControlError::ConnectionLost {
        node: target.node.clone(),
        during: "login".to_owned(),
        problem: e.message().to_owned(),
    }
}
