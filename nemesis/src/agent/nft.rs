//! Our tables in the kernel, through the nft program. Only ever names tables of its own.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::error::AgentError;
use super::process::ProcessId;
use super::rules::Table;
use super::state_dir::StateLock;

/// A rule in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Its comment.
    pub(crate) comment: String,
    /// Packets it counted; `None` without a counter.
    pub(crate) packets: Option<u64>,
}

/// An nft process that waits for its script. Starting a program takes milliseconds, most of all on a
/// busy node; with this done beforehand, a table is loaded as soon as its script is written.
#[derive(Debug)]
pub(crate) struct Loader {
    child: Child,
}

impl Loader {
    /// Starts nft without anything to do.
    pub(crate) fn start() -> Result<Self, AgentError> {
        let child = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(AgentError::NftMissing)?;
        Ok(Self { child })
    }

    /// The process; `None` if it has ended already.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        ProcessId::of(self.child.id().cast_signed())
    }

    /// Loads a table in one transaction.
    pub(crate) fn load(mut self, table: &Table) -> Result<(), AgentError> {
        if let Some(mut input) = self.child.stdin.take() {
            // If nft has ended, its status tells more than the broken pipe.
            let _ = input.write_all(table.script.as_bytes());
        }
        let mut complaint = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = errors.read_to_string(&mut complaint);
        }
        let status = self.child.wait().map_err(AgentError::NftMissing)?;
        if !status.success() {
            return Err(refused("load", &complaint));
        }
        Ok(())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the kernel whether it would take a table, without loading it.
pub(crate) fn try_out(table: &Table) -> Result<(), AgentError> {
    let mut child = Command::new("nft")
        .args(["-c", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(AgentError::NftMissing)?;
    if let Some(mut input) = child.stdin.take() {
        // If nft has ended, its status tells more than the broken pipe.
        let _ = input.write_all(table.script.as_bytes());
    }
    let output = child.wait_with_output().map_err(AgentError::NftMissing)?;
    if output.status.success() {
        return Ok(());
    }
    Err(refused("try out", &String::from_utf8_lossy(&output.stderr)))
}

/// Checks that the kernel holds a table's rules in their order: those that spare management first.
pub(crate) fn check(table: &Table) -> Result<(), AgentError> {
    let rules = rules(&table.name)?.unwrap_or_default();
    let found: Vec<&str> = rules.iter().map(|rule| rule.comment.as_str()).collect();
    if found == table.comments {
        return Ok(());
    }
    Err(AgentError::RulesDiffer {
        table: table.name.clone(),
        found: found.join(", "),
        wanted: table.comments.join(", "),
    })
}

/// Deletes a table if it is there; false if it wasn't.
pub(crate) fn delete(lock: &StateLock<'_>, table: &str) -> Result<bool, AgentError> {
    let arguments = ["delete", "table", "inet", table];
    match run("delete table", &arguments, Some(lock)) {
        Ok(_) => Ok(true),
        Err(error) => absent(table, false, error),
    }
}

/// Whether a table is there.
pub(crate) fn exists(table: &str) -> Result<bool, AgentError> {
    Ok(tables()?.iter().any(|name| name == table))
}

/// The rules of a table in order; `None` if it isn't there.
pub(crate) fn rules(table: &str) -> Result<Option<Vec<Rule>>, AgentError> {
    match json(&["-j", "list", "table", "inet", table]) {
        Ok(listing) => Ok(Some(items(&listing, "rule").map(rule).collect())),
        Err(error) => absent(table, None, error),
    }
}

/// `answer` if nft failed for want of the table, or else why it failed.
fn absent<T>(table: &str, answer: T, error: AgentError) -> Result<T, AgentError> {
    if exists(table)? {
        Err(error)
    } else {
        Ok(answer)
    }
}

/// Names of all tables of the `inet` family.
pub(crate) fn tables() -> Result<Vec<String>, AgentError> {
    let listing = json(&["-j", "list", "tables", "inet"])?;
    Ok(items(&listing, "table")
        .filter_map(|table| Some(table["name"].as_str()?.to_owned()))
        .collect())
}

fn rule(rule: &Value) -> Rule {
    Rule {
        comment: rule["comment"].as_str().unwrap_or("").to_owned(),
        packets: rule["expr"]
            .as_array()
            .into_iter()
            .flatten()
            .find_map(|expression| expression["counter"]["packets"].as_u64()),
    }
}

fn items<'a>(listing: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    listing["nftables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(move |item| item.get(kind))
}

fn json(arguments: &[&str]) -> Result<Value, AgentError> {
    let output = run("list", arguments, None)?;
    serde_json::from_slice(&output.stdout).map_err(|error| AgentError::Nft {
        what: "list",
        message: format!("unexpected answer: {error}"),
    })
}

/// Runs nft to its end; with the lock as its standard input if it changes something.
fn run(
    what: &'static str,
    arguments: &[&str],
    lock: Option<&StateLock<'_>>,
) -> Result<Output, AgentError> {
    let input = match lock {
        Some(lock) => lock.for_child().map_err(AgentError::NftMissing)?,
        None => Stdio::null(),
    };
    let output = Command::new("nft")
        .args(arguments)
        .stdin(input)
        .output()
        .map_err(AgentError::NftMissing)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(refused(what, &String::from_utf8_lossy(&output.stderr)))
}

fn refused(what: &'static str, complaint: &str) -> AgentError {
    AgentError::Nft {
        what,
        message: complaint.lines().next().unwrap_or("failed").to_owned(),
    }
}
