//! `miroir ctl`: asks and steers a running router.

mod client;
mod render;

use std::process::ExitCode;
use std::time::Duration;

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::time::Instant;

use client::{Client, CtlError};

/// Pause between looks at the status while waiting.
const POLL: Duration = Duration::from_millis(20);

/// Options of `miroir ctl`. Exit codes: 0 done, 1 refused or failed, 2 bad arguments, 3 unreachable, 4 timed out.
#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    /// The router: http://IP:PORT
    #[arg(long)]
    url: String,
    /// Print answers as JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// Whether the router is ready
    Health,
    /// Phase, shards, waits, flags
    Status,
    /// The nodes
    #[command(subcommand)]
    Nodes(NodesCommand),
    /// One node
    #[command(subcommand)]
    Node(NodeCommand),
    /// Moving shards to a node
    #[command(subcommand)]
    Migration(MigrationCommand),
    /// Comparing and repairing copies
    #[command(subcommand)]
    AntiEntropy(AntiEntropyCommand),
    /// Owners of each shard
    Placement,
    /// Hash of the persisted topology and migrations
    Digest,
    /// Wait until the current migration is in a phase
    Wait {
        /// Its name, as in the status
        #[arg(long)]
        phase: String,
        /// How long: 500ms, 30s, 2m
        #[arg(long, default_value = "60s", value_parser = duration)]
        timeout: Duration,
    },
}

#[derive(Debug, Subcommand)]
enum NodesCommand {
    /// List them
    List,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Make a node known; it owns nothing until a migration to it
    Add {
        /// Unique name
        name: String,
        /// http://IP:PORT
        url: String,
        /// What runs there: miroir, or meilisearch
        #[arg(long, default_value = "miroir")]
        kind: String,
        /// The API key of a Meilisearch that wants one
        #[arg(long, env = "MIROIR_NODE_KEY", hide_env_values = true)]
        key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum MigrationCommand {
    /// Begin
    Start {
        /// The node that joins
        #[arg(long)]
        to: String,
        /// Stay in dual-write until told to cut over
        #[arg(long)]
        manual_cutover: bool,
        /// Activate without comparing OLD and NEW
        #[arg(long)]
        skip_delta_pass: bool,
        /// Wait until it is complete
        #[arg(long)]
        wait: bool,
        /// How long to wait: 500ms, 30s, 2m
        #[arg(long, default_value = "600s", value_parser = duration)]
        timeout: Duration,
    },
    /// Let a migration cut over (the current one unless told)
    Cutover {
        /// The migration
        #[arg(long)]
        id: Option<u64>,
    },
    /// Give a migration up before its activation (the current one unless told)
    Abort {
        /// The migration
        #[arg(long)]
        id: Option<u64>,
    },
    /// Show one (the current one unless told)
    Status {
        /// The migration
        #[arg(long)]
        id: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
enum AntiEntropyCommand {
    /// Whether a pass is running, how far it is, what the last one found
    Status,
    /// Run a pass over all shards now and wait for it
    Run,
    /// Compare all copies now without repairing anything, and wait for the result
    Verify,
    /// The last passes
    History,
}

/// Carries out one command.
pub(crate) async fn run(args: CtlArgs) -> ExitCode {
    match perform(&args).await {
        Ok(answer) if args.json => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            print!("{}", render::text(&answer));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn perform(args: &CtlArgs) -> Result<Value, CtlError> {
    let client = Client::new(&args.url)?;
    match &args.command {
        CtlCommand::Health => client.get("/_miroir/health").await,
        CtlCommand::Status => client.get("/_miroir/status").await,
        CtlCommand::Nodes(NodesCommand::List) => client.get("/_miroir/nodes").await,
        CtlCommand::Node(NodeCommand::Add {
            name,
            url,
            kind,
            key,
        }) => {
            let mut member = json!({"name": name, "url": url, "kind": kind});
            if let Some(key) = key {
                member["key"] = json!(key);
            }
            client.post("/_miroir/nodes", &member).await
        }
        CtlCommand::Migration(MigrationCommand::Start {
            to,
            manual_cutover,
            skip_delta_pass,
            wait,
            timeout,
        }) => {
            let mut request = json!({"to": to, "auto_cutover": !manual_cutover});
            if *skip_delta_pass {
                request["skip_delta_pass"] = json!(true);
            }
            let started = client.post("/_miroir/migrations", &request).await?;
            if *wait {
                wait_for(&client, "complete", *timeout).await
            } else {
                Ok(started)
            }
        }
        CtlCommand::Migration(MigrationCommand::Status { id }) => {
            let id = client.id_or_current(*id).await?;
            client.get(&format!("/_miroir/migrations/{id}")).await
        }
        CtlCommand::Migration(MigrationCommand::Cutover { id }) => {
            let id = client.id_or_current(*id).await?;
            client
                .post(&format!("/_miroir/migrations/{id}/cutover"), &Value::Null)
                .await
        }
        CtlCommand::Migration(MigrationCommand::Abort { id }) => {
            let id = client.id_or_current(*id).await?;
            client
                .post(&format!("/_miroir/migrations/{id}/abort"), &Value::Null)
                .await
        }
        CtlCommand::AntiEntropy(AntiEntropyCommand::Run) => {
            client
                .request(
                    Method::POST,
                    "/_miroir/anti-entropy/run",
                    &Value::Null,
                    client::LONG,
                )
                .await
        }
        CtlCommand::AntiEntropy(AntiEntropyCommand::Verify) => {
            client
                .request(
                    Method::POST,
                    "/_miroir/anti-entropy/verify",
                    &Value::Null,
                    client::LONG,
                )
                .await
        }
        CtlCommand::AntiEntropy(AntiEntropyCommand::Status) => {
            client.get("/_miroir/anti-entropy").await
        }
        CtlCommand::AntiEntropy(AntiEntropyCommand::History) => {
            client.get("/_miroir/anti-entropy/history").await
        }
        CtlCommand::Placement => client.get("/_miroir/placement").await,
        CtlCommand::Digest => client.get("/_miroir/digest").await,
        CtlCommand::Wait { phase, timeout } => wait_for(&client, phase, *timeout).await,
    }
}

/// Waits for a phase of the current migration; ends early when it cannot come any more. A router that restarts
/// meanwhile is waited for, too.
async fn wait_for(client: &Client, phase: &str, timeout: Duration) -> Result<Value, CtlError> {
    let deadline = Instant::now() + timeout;
    let mut last = Value::Null;
    loop {
        match client.get("/_miroir/status").await {
            Ok(status) => {
                last = status["phase"].clone();
                if last == phase {
                    return Ok(status);
                }
                if last == "failed" {
                    return Err(CtlError::Failed(format!(
                        "the migration failed: {}",
                        status["migration"]["given_up"]["reason"]
                    )));
                }
            }
            Err(CtlError::Unreachable(_)) => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Err(CtlError::TimedOut(format!(
                "phase is {last}, not {phase}, after {timeout:?}"
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a duration such as 500ms, 30s or 2m"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(format!("`{unit}` is not a unit: ms, s or m is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("fast").is_err() && duration("3h").is_err());
    }
}
