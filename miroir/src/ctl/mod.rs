//! `miroir ctl`: asks and steers a running router.

mod client;
mod render;
mod show;
mod table;
mod wait;
mod words;

use std::process::ExitCode;
use std::time::Duration;

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use client::{Client, CtlError};
use show::View;

/// Options of `miroir ctl`. Exit codes: 0 done, 1 refused or failed, 2 bad arguments, 3 unreachable, 4 timed out.
#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    /// The router: http://IP:PORT
    #[arg(long)]
    url: String,
    /// The router's admin key
    #[arg(long, env = "MIROIR_ADMIN_KEY", hide_env_values = true)]
    key: Option<String>,
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
    /// The replica groups
    #[command(subcommand)]
    Groups(GroupsCommand),
    /// Owners of each shard by name, and which are moving
    Shards,
    /// Where documents go
    #[command(subcommand)]
    Routing(RoutingCommand),
    /// Moving shards
    #[command(subcommand)]
    Migration(MigrationCommand),
    /// Client writes under way
    #[command(subcommand)]
    Writes(WritesCommand),
    /// Comparing and repairing copies
    #[command(subcommand)]
    AntiEntropy(AntiEntropyCommand),
    /// Owners of each shard by address
    Placement,
    /// Hash of the persisted topology and migrations
    Digest,
    /// What clients have changed
    Changes {
        /// The cursor an earlier call gave; without it, from the oldest changes kept
        #[arg(long)]
        since: Option<String>,
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Wait until a migration is in a phase (the last one unless told)
    Wait {
        /// Its name, as in the status
        #[arg(long)]
        phase: String,
        /// The migration
        #[arg(long)]
        id: Option<u64>,
        /// How long: 500ms, 30s, 2m
        #[arg(long, default_value = "60s", value_parser = duration)]
        timeout: Duration,
    },
}

#[derive(Debug, Subcommand)]
enum NodesCommand {
    /// List them
    List,
    /// Make a node known; it owns nothing until a migration to it
    Add(NodeArgs),
    /// Move a node's shards to the others of its group, and forget it
    Remove {
        /// Its name
        name: String,
        /// Stay in dual-write until told to cut over
        #[arg(long)]
        manual_cutover: bool,
    },
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Make a node known; it owns nothing until a migration to it
    Add(NodeArgs),
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// Unique name
    name: String,
    /// http://IP:PORT
    url: String,
    /// The replica group it belongs to
    #[arg(long, default_value = "g0")]
    group: String,
    /// What runs there: miroir, or meilisearch
    #[arg(long, default_value = "miroir")]
    kind: String,
    /// The API key of a Meilisearch that wants one
    #[arg(long, env = "MIROIR_MEILISEARCH_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, Subcommand)]
enum GroupsCommand {
    /// List them
    List,
    /// Copy all shards to the nodes of a group, which were added before
    Add {
        /// Its name
        name: String,
        /// Owners per shard in it
        #[arg(long)]
        replication_factor: Option<usize>,
        /// Stay in dual-write until told to cut over
        #[arg(long)]
        manual_cutover: bool,
    },
    /// Remove a group's shards, and forget it and its nodes
    Remove {
        /// Its name
        name: String,
        /// Stay in dual-write until told to cut over
        #[arg(long)]
        manual_cutover: bool,
    },
}

#[derive(Debug, Subcommand)]
enum RoutingCommand {
    /// Shard and owners of a document, and whether they are moving
    Test {
        /// Its primary key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
enum MigrationCommand {
    /// Begin
    Start {
        /// The node that joins
        #[arg(long)]
        to: String,
        /// Only these shards, whether the node wins them or not
        #[arg(long, value_delimiter = ',')]
        shards: Vec<u32>,
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
    /// List them all
    List,
    /// Let a migration cut over (the last one unless told)
    Cutover(WhichMigration),
    /// Give a migration up before its activation (the last one unless told)
    Abort(WhichMigration),
    /// Take a migration back: abort it, or move its shards back (the last one unless told)
    Rollback {
        #[command(flatten)]
        which: WhichMigration,
        /// Stay in dual-write until told to cut over
        #[arg(long)]
        manual_cutover: bool,
    },
    /// Show one (the last one unless told)
    Status(WhichMigration),
    /// Print each phase as it is entered, until the migration is over (the last one unless told)
    Watch {
        #[command(flatten)]
        which: WhichMigration,
        /// How long: 500ms, 30s, 2m
        #[arg(long, default_value = "600s", value_parser = duration)]
        timeout: Duration,
    },
}

#[derive(Debug, Args)]
struct WhichMigration {
    /// The migration
    #[arg(long)]
    id: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum WritesCommand {
    /// List them, oldest first
    List {
        /// Only those older than the drain's time-out
        #[arg(long)]
        stuck: bool,
        /// Only those older than this: 500ms, 30s, 2m
        #[arg(long, value_parser = duration)]
        older_than: Option<Duration>,
    },
    /// Mark them failed: their outcome stays unknown to clients, and they do not land later
    Fail {
        /// These
        #[arg(required_unless_present_any = ["stuck", "older_than"])]
        ids: Vec<u64>,
        /// All that are older than the drain's time-out
        #[arg(long)]
        stuck: bool,
        /// All that are older than this: 500ms, 30s, 2m
        #[arg(long, value_parser = duration)]
        older_than: Option<Duration>,
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
            print!("{}", show::text(view(&args.command), &answer));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// How a command's answer is shown.
fn view(command: &CtlCommand) -> View {
    match command {
        CtlCommand::Status => View::Status,
        CtlCommand::Nodes(NodesCommand::List) => View::Nodes,
        CtlCommand::Groups(GroupsCommand::List) => View::Groups,
        CtlCommand::Shards => View::Shards,
        CtlCommand::Migration(MigrationCommand::List) => View::Migrations,
        CtlCommand::Migration(MigrationCommand::Start { wait: true, .. })
        | CtlCommand::Migration(MigrationCommand::Status(_) | MigrationCommand::Watch { .. })
        | CtlCommand::Wait { .. } => View::Migration,
        CtlCommand::Writes(WritesCommand::List { .. }) => View::Writes,
        CtlCommand::AntiEntropy(AntiEntropyCommand::Status) => View::AntiEntropy,
        CtlCommand::AntiEntropy(AntiEntropyCommand::History) => View::Passes,
        CtlCommand::AntiEntropy(_) => View::Pass,
        _ => View::Fields,
    }
}

async fn perform(args: &CtlArgs) -> Result<Value, CtlError> {
    let client = Client::new(&args.url, args.key.as_deref())?;
    match &args.command {
        CtlCommand::Health => client.get("/_miroir/health").await,
        CtlCommand::Status => client.get("/_miroir/status").await,
        CtlCommand::Nodes(NodesCommand::List) => client.get("/_miroir/nodes").await,
        CtlCommand::Nodes(NodesCommand::Add(node)) | CtlCommand::Node(NodeCommand::Add(node)) => {
            let mut member = json!({
                "name": node.name, "url": node.url, "group": node.group, "kind": node.kind,
            });
            if let Some(key) = &node.key {
                member["key"] = json!(key);
            }
            client.post("/_miroir/nodes", &member).await
        }
        CtlCommand::Nodes(NodesCommand::Remove {
            name,
            manual_cutover,
        }) => {
            let path = format!("/_miroir/nodes/{name}?manual_cutover={manual_cutover}");
            client.delete(&path).await
        }
        CtlCommand::Groups(command) => groups(&client, command).await,
        CtlCommand::Shards => client.get("/_miroir/shards").await,
        CtlCommand::Routing(RoutingCommand::Test { key }) => {
            client.get(&format!("/_miroir/routing/{key}")).await
        }
        CtlCommand::Migration(command) => migration(&client, command).await,
        CtlCommand::Writes(command) => writes(&client, command).await,
        CtlCommand::AntiEntropy(command) => anti_entropy(&client, command).await,
        CtlCommand::Placement => client.get("/_miroir/placement").await,
        CtlCommand::Digest => client.get("/_miroir/digest").await,
        CtlCommand::Changes { since, limit } => {
            let since = since.as_deref().map(|cursor| format!("since={cursor}"));
            let limit = limit.map(|limit| format!("limit={limit}"));
            let query: Vec<String> = since.into_iter().chain(limit).collect();
            client
                .get(&format!("/_miroir/changes?{}", query.join("&")))
                .await
        }
        CtlCommand::Wait { phase, id, timeout } => {
            wait::until_phase(&client, *id, phase, *timeout).await
        }
    }
}

async fn anti_entropy(client: &Client, command: &AntiEntropyCommand) -> Result<Value, CtlError> {
    let long = async |path: &str| {
        client
            .request(Method::POST, path, &Value::Null, client::LONG)
            .await
    };
    match command {
        AntiEntropyCommand::Run => long("/_miroir/anti-entropy/run").await,
        AntiEntropyCommand::Verify => long("/_miroir/anti-entropy/verify").await,
        AntiEntropyCommand::Status => client.get("/_miroir/anti-entropy").await,
        AntiEntropyCommand::History => client.get("/_miroir/anti-entropy/history").await,
    }
}

async fn groups(client: &Client, command: &GroupsCommand) -> Result<Value, CtlError> {
    match command {
        GroupsCommand::List => client.get("/_miroir/groups").await,
        GroupsCommand::Add {
            name,
            replication_factor,
            manual_cutover,
        } => {
            let body = json!({
                "name": name,
                "replication_factor": replication_factor,
                "manual_cutover": manual_cutover,
            });
            client.post("/_miroir/groups", &body).await
        }
        GroupsCommand::Remove {
            name,
            manual_cutover,
        } => {
            let path = format!("/_miroir/groups/{name}?manual_cutover={manual_cutover}");
            client.delete(&path).await
        }
    }
}

async fn migration(client: &Client, command: &MigrationCommand) -> Result<Value, CtlError> {
    let path = async |which: &WhichMigration, what: &str| {
        let id = client.id_or_current(which.id).await?;
        Ok::<_, CtlError>(format!("/_miroir/migrations/{id}{what}"))
    };
    match command {
        MigrationCommand::Start {
            to,
            shards,
            manual_cutover,
            skip_delta_pass,
            wait,
            timeout,
        } => {
            let mut request = json!({"to": to, "auto_cutover": !manual_cutover});
            if *skip_delta_pass {
                request["skip_delta_pass"] = json!(true);
            }
            if !shards.is_empty() {
                request["shards"] = json!(shards);
            }
            let started = client.post("/_miroir/migrations", &request).await?;
            if *wait {
                wait::until_phase(client, started["id"].as_u64(), "complete", *timeout).await
            } else {
                Ok(started)
            }
        }
        MigrationCommand::List => client.get("/_miroir/migrations").await,
        MigrationCommand::Status(which) => client.get(&path(which, "").await?).await,
        MigrationCommand::Cutover(which) => {
            client
                .post(&path(which, "/cutover").await?, &Value::Null)
                .await
        }
        MigrationCommand::Abort(which) => {
            client
                .post(&path(which, "/abort").await?, &Value::Null)
                .await
        }
        MigrationCommand::Rollback {
            which,
            manual_cutover,
        } => {
            let what = format!("/rollback?manual_cutover={manual_cutover}");
            client.post(&path(which, &what).await?, &Value::Null).await
        }
        MigrationCommand::Watch { which, timeout } => {
            let id = client.id_or_current(which.id).await?;
            wait::watch(client, id, *timeout).await
        }
    }
}

async fn writes(client: &Client, command: &WritesCommand) -> Result<Value, CtlError> {
    let ms = |age: &Option<Duration>| age.map(|a| a.as_millis());
    match command {
        WritesCommand::List { stuck, older_than } => {
            let age = ms(older_than).map_or(String::new(), |ms| format!("&older_than_ms={ms}"));
            client
                .get(&format!("/_miroir/writes?stuck={stuck}{age}"))
                .await
        }
        WritesCommand::Fail {
            ids,
            stuck,
            older_than,
        } => {
            let body = json!({"ids": ids, "stuck": stuck, "older_than_ms": ms(older_than)});
            client.post("/_miroir/writes/fail", &body).await
        }
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
