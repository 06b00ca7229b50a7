//! `shakedown run`: from arguments to a run, and from its outcome to an exit code.

use std::time::Duration;

use shakedown_workloads::stop::stop_pair;

use super::args::{RunArgs, RunOptions};
use super::choose::{Chosen, catalogue, choose, find_system};
use super::exit::Exit;
use super::ground::Ground;
use super::interrupt::stop_on_signal;
use super::plans::{items, storm_text};
use super::{Failure, say};
use crate::cluster::LocalCluster;
use crate::control::command_line;
use crate::run::{self, RunItem, RunRequest};
use crate::scenario::Catalogue;
use crate::system::NodeRef;

pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let mut catalogue = catalogue(&args.options.system_file)?;
    let (name, chosen) = choose(&mut catalogue, &args.what)?;
    run_chosen(name, &chosen, &catalogue, &args.options)
}

/// Runs scenarios, or prints their plans if that is all that is wanted.
pub(super) fn run_chosen(
    name: String,
    chosen: &[Chosen],
    catalogue: &Catalogue,
    args: &RunOptions,
) -> Result<Exit, Failure> {
    let stored_seed = chosen
        .iter()
        .find_map(|c| c.stored.as_ref().map(|plan| plan.seed));
    let seed = args
        .seed
        .or(stored_seed)
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let needed = chosen
        .iter()
        .map(|c| c.scenario.nodes_needed())
        .max()
        .unwrap_or(0);
    if args.dry_run {
        return dry_run(args, catalogue, chosen, needed, seed);
    }
    if !args.allow_host_clock && chosen.iter().any(|c| c.scenario.sets_host_clocks()) {
        return Err(Failure::usage(
            "`host_clock` sets the clocks of the nodes themselves; if that is wanted, pass --allow-host-clock",
        ));
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::harness)?;
    let (stopper, interrupt) = stop_pair();
    // Before the cluster is started: what is half up must not be left behind either.
    runtime.spawn(stop_on_signal(stopper));
    let ground = Ground::find(&args.nodes, needed, packages(catalogue, chosen)?)?;
    let nodes = run::node_refs(&ground.nodes, &ground.access).map_err(Failure::usage)?;
    let items = items(args, catalogue, chosen, &nodes, seed)?;
    say_storms(&items)?;
    let request = RunRequest {
        name,
        items,
        systems: catalogue.systems.clone(),
        nodes: ground.nodes.clone(),
        access: ground.access.clone(),
        seed,
        out: args.out.clone(),
        binaries: args.binary.iter().cloned().collect(),
        install_packages: args.install_packages,
        leave_running: args.leave_running,
        lease: Duration::from_millis(args.lease_ms),
        allow_host_clock: args.allow_host_clock,
        command: repeat_line(seed, args.seed.is_some()),
        interrupt,
    };
    let outcome = runtime.block_on(run::run(request));
    let left = leave(ground.cluster, args);
    let outcome = outcome.map_err(Failure::harness)?;
    let report = match &outcome.report {
        Ok(report) => format!("report: {}", report.display()),
        Err(error) => {
            eprintln!("error: {}", run::error_chain(error));
            "report: none".to_owned()
        }
    };
    say(&format!(
        "{}\n{report}\nrepeat: {}\n{left}",
        shakedown_reports::console::summary(&outcome.results),
        outcome.results.command
    ))?;
    let mut scenarios = outcome.results.scenarios.iter();
    let harness_failed = outcome.report.is_err() || scenarios.any(|s| s.harness_error.is_some());
    Ok(Exit::of_run(outcome.results.verdict, harness_failed))
}

/// Takes the cluster down that was made for this command, or leaves it up and says how to look around.
fn leave(cluster: Option<LocalCluster>, args: &RunOptions) -> String {
    if !args.leave_running {
        if let Some(Err(error)) = cluster.map(LocalCluster::down) {
            eprintln!("warning: {error}");
        }
        return String::new();
    }
    let left = match cluster.map(LocalCluster::detach) {
        None => args.nodes.cluster.clone(),
        Some(Ok(info)) => Some(info.name),
        Some(Err(error)) => {
            eprintln!("warning: {error}");
            return String::new();
        }
    };
    match left {
        Some(name) => format!(
            "left running: local cluster `{name}`\n  look around:  shakedown cluster ssh n1 --cluster {name}\n  take it down: \
             shakedown cluster down {name}\n"
        ),
        None => {
            "left running: the services on the nodes; the next run on them stops them\n".to_owned()
        }
    }
}

/// The packages of every system that takes part.
fn packages(catalogue: &Catalogue, chosen: &[Chosen]) -> Result<Vec<String>, Failure> {
    let mut packages = Vec::new();
    for chosen in chosen {
        let system = find_system(catalogue, chosen.scenario.system.get_ref())?;
        packages.extend(system.debian_packages());
    }
    Ok(packages)
}

/// Prints what storms will bring, before they do.
fn say_storms(items: &[RunItem]) -> Result<(), Failure> {
    for item in items.iter().filter(|item| !item.plan.storm.is_empty()) {
        say(&storm_text(&item.plan))?;
    }
    Ok(())
}

/// Prints the plans; touches nothing.
fn dry_run(
    args: &RunOptions,
    catalogue: &Catalogue,
    chosen: &[Chosen],
    needed: usize,
    seed: u64,
) -> Result<Exit, Failure> {
    let nodes = match Ground::existing(&args.nodes)? {
        Some(ground) => run::node_refs(&ground.nodes, &ground.access).map_err(Failure::usage)?,
        None => (1..=args.nodes.local.unwrap_or(needed))
            .map(|n| NodeRef::new(format!("n{n}"), "(local)"))
            .collect(),
    };
    for item in items(args, catalogue, chosen, &nodes, seed)? {
        if !item.plan.storm.is_empty() {
            eprint!("{}", storm_text(&item.plan));
        }
        let text = serde_json::to_string_pretty(&item.plan).map_err(Failure::harness)?;
        say(&format!("{text}\n"))?;
    }
    Ok(Exit::Valid)
}

/// The command line with the seed in it.
fn repeat_line(seed: u64, has_seed: bool) -> String {
    let own = std::env::args().skip(1);
    let mut words: Vec<String> = std::iter::once("shakedown".to_owned()).chain(own).collect();
    if !has_seed {
        words.extend(["--seed".to_owned(), seed.to_string()]);
    }
    command_line(&words)
}
