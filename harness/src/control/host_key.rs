//! Is the host who it should be? Checks its key against a known_hosts file, as strictly as ssh(1).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ssh2::{CheckResult, HashType, KnownHostFileKind, MethodType, Session};

use super::{ControlError, ShownKey, Target};

/// A line of the known_hosts file that is about the host.
pub(crate) struct KnownKey {
    line: usize,
    text: String,
}

/// The lines about a host. Lines with markers (`@cert-authority`, `@revoked`) and unreadable ones vouch for nothing.
pub(crate) fn known_keys(
    session: &Session,
    target: &Target,
) -> Result<Vec<KnownKey>, ControlError> {
    let path = &target.access.known_hosts;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(local_file(target, "read", e)),
    };
    let lines = (1..).zip(text.lines());
    Ok(lines
        .filter(|(_, text)| !text.starts_with(['#', '@']) && !text.trim().is_empty())
        // No key is a single byte: a mismatch says that the line is about the host.
        .filter(|(_, text)| matches!(check(session, target, text, &[0]), CheckResult::Mismatch))
        .map(|(line, text)| KnownKey {
            line,
            text: text.to_owned(),
        })
        .collect())
}

/// Makes the server show a key of a kind that is known, if it has one: another kind's would look like a change.
pub(crate) fn prefer_known_kinds(session: &Session, known: &[KnownKey]) -> Result<(), ssh2::Error> {
    let supported = session.supported_algs(MethodType::HostKey)?;
    let is_known = |algorithm: &&str| {
        known.iter().any(|k| {
            let kind = k.text.split_whitespace().nth(1).unwrap_or_default();
            // An ssh-rsa key also serves the algorithms with newer hashes.
            kind == *algorithm || (kind == "ssh-rsa" && algorithm.starts_with("rsa-sha2-"))
        })
    };
    let (first, rest): (Vec<&str>, Vec<&str>) = supported.into_iter().partition(is_known);
    session.method_pref(MethodType::HostKey, &[first, rest].concat().join(","))
}

/// Compares the key that the server has shown with the known ones.
pub(crate) fn verify(
    session: &Session,
    target: &Target,
    known: &[KnownKey],
) -> Result<(), ControlError> {
    let (key, _) = session.host_key().ok_or_else(|| ControlError::Handshake {
        node: target.node.clone(),
        address: target.address(),
        problem: "the server has shown no host key".to_owned(),
    })?;
    let matches =
        |k: &&KnownKey| matches!(check(session, target, &k.text, key), CheckResult::Match);
    if known.iter().any(|k| matches(&k)) {
        return Ok(());
    }
    let node = target.node.clone();
    let shown = Box::new(ShownKey {
        host: target.host.clone(),
        kind: kind_of(key),
        fingerprint: fingerprint(session),
    });
    let file = target.access.known_hosts.display().to_string();
    if let Some(other) = known.first() {
        return Err(ControlError::ChangedHostKey {
            node,
            key: shown,
            remedy: format!("ssh-keygen -f '{file}' -R '{}'", host_pattern(target)),
            file,
            line: other.line,
        });
    }
    if target.access.accept_new {
        return remember(target, &shown.kind, key);
    }
    let kind = shown.kind.trim_start_matches("ssh-");
    Err(ControlError::UnknownHostKey {
        node,
        remedy: format!(
            "ssh-keyscan -t {kind} -p {} {} >> '{file}'",
            target.port, target.host
        ),
        key: shown,
    })
}

fn check(session: &Session, target: &Target, line: &str, key: &[u8]) -> CheckResult {
    let Ok(mut one) = session.known_hosts() else {
        return CheckResult::Failure;
    };
    match one.read_str(line, KnownHostFileKind::OpenSSH) {
        Ok(()) => one.check_port(&target.host, target.port, key),
        Err(_) => CheckResult::Failure,
    }
}

fn remember(target: &Target, kind: &str, key: &[u8]) -> Result<(), ControlError> {
    let path = &target.access.known_hosts;
    let line = format!("{} {kind} {}\n", host_pattern(target), STANDARD.encode(key));
    append(path, &line).map_err(|e| local_file(target, "write", e))
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // One write: lines of several threads do not mix.
    file.write_all(line.as_bytes())
}

/// The host as known_hosts writes it: with brackets if the port is not 22.
fn host_pattern(target: &Target) -> String {
    match target.port {
        22 => target.host.clone(),
        port => format!("[{}]:{port}", target.host),
    }
}

/// The kind of key, from its own encoding: a 4-byte length and the name come first.
fn kind_of(key: &[u8]) -> String {
    let name = key
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.get(..u32::from_be_bytes(*length) as usize))
        .unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn fingerprint(session: &Session) -> String {
    match session.host_key_hash(HashType::Sha256) {
        Some(hash) => format!("SHA256:{}", STANDARD_NO_PAD.encode(hash)),
        None => "(no SHA256)".to_owned(),
    }
}

fn local_file(target: &Target, what: &'static str, source: io::Error) -> ControlError {
    ControlError::LocalFile {
        node: target.node.clone(),
        what,
        path: target.access.known_hosts.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_key_is_read_from_its_encoding() {
        assert_eq!(kind_of(b"\0\0\0\x0bssh-ed25519rest"), "ssh-ed25519");
        assert_eq!(kind_of(b"\0\0\0\xffshort"), "");
        assert_eq!(kind_of(b""), "");
    }
}
