//! Our tables in the kernel, through the nft program. Only ever names tables of its own.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::error::AgentError;
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

/// Loads a table in one transaction and checks that the kernel holds its rules in their order.
pub(crate) fn load(lock: &StateLock<'_>, table: &Table) -> Result<Vec<Rule>, AgentError> {
    run("load", &[&table.script], Some(lock))?;
    let rules = rules(&table.name)?.unwrap_or_default();
    let found: Vec<&str> = rules.iter().map(|rule| rule.comment.as_str()).collect();
    if found != table.comments {
        return Err(AgentError::RulesDiffer {
            table: table.name.clone(),
            found: found.join(", "),
            wanted: table.comments.join(", "),
        });
    }
    Ok(rules)
}

/// Deletes a table if it is there; false if it wasn't.
pub(crate) fn delete(lock: &StateLock<'_>, table: &str) -> Result<bool, AgentError> {
    if !exists(table)? {
        return Ok(false);
    }
    run(
        "delete table",
        &["delete", "table", "inet", table],
        Some(lock),
    )?;
    Ok(true)
}

/// Whether a table is there.
pub(crate) fn exists(table: &str) -> Result<bool, AgentError> {
    Ok(tables()?.iter().any(|name| name == table))
}

/// The rules of a table in order; `None` if it isn't there.
pub(crate) fn rules(table: &str) -> Result<Option<Vec<Rule>>, AgentError> {
    if !exists(table)? {
        return Ok(None);
    }
    let listing = json(&["-j", "list", "table", "inet", table])?;
    Ok(Some(items(&listing, "rule").map(rule).collect()))
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

/// Runs nft. The script goes in as an argument, so that standard input can carry the lock.
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
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(AgentError::Nft {
        what,
        message: complaint.lines().next().unwrap_or("failed").to_owned(),
    })
}
