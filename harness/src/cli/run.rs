//! `shakedown run`: from arguments to a run, and from its outcome to an exit code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use shakedown_workloads::stop::{Stopper, stop_pair};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{RunArgs, RunOptions};
use super::exit::Exit;
use super::ground::{Ground, own_cluster_name};
use super::{Failure, say};
use crate::cluster::LocalCluster;
use crate::plan::Plan;
use crate::run::{self, RunItem, RunRequest};
use crate::scenario::{Catalogue, LimitsWish, Scenario};
use crate::system::{NodeRef, System};

/// Signals within this time of the first are the same wish.
const SAME_PRESS: Duration = Duration::from_millis(500);

/// A scenario chosen on the command line; from a stored plan, its seed and settings come along.
pub(super) struct Chosen {
    pub(super) scenario: Scenario,
    pub(super) text: String,
    pub(super) stored: Option<Plan>,
    /// The command and arguments that run it alone, without its seed.
    pub(super) again: Vec<String>,
}

pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let mut catalogue = catalogue(&args.options.system_file)?;
    let (name, chosen) = choose(&mut catalogue, &args.what)?;
    run_chosen(name, &chosen, &catalogue, &args.options)
}

/// What is embedded, and the systems whose files are given.
pub(super) fn catalogue(system_files: &[PathBuf]) -> Result<Catalogue, Failure> {
    let mut catalogue = Catalogue::embedded().map_err(Failure::harness)?;
    for file in system_files {
        catalogue.add(System::read(file).map_err(Failure::usage)?);
    }
    Ok(catalogue)
}

/// The system of that name.
pub(super) fn find_system<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a System, Failure> {
    catalogue
        .systems
        .iter()
        .find(|s| s.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = catalogue.systems.iter().map(|s| s.name.as_str()).collect();
            Failure::Usage(format!(
                "no system `{name}`; expected one of {}",
                known.join(", ")
            ))
        })
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

/// Resolves names, files and stored plans to scenarios.
fn choose(catalogue: &mut Catalogue, what: &[String]) -> Result<(String, Vec<Chosen>), Failure> {
    let mut chosen = Vec::new();
    for name in what {
        if name.ends_with(".json") {
            let plan = Plan::read(Path::new(name)).map_err(Failure::usage)?;
            if let Some(system) = plan.system(name).map_err(Failure::usage)? {
                catalogue.add(system);
            }
            let scenario = Scenario::parse(name, &plan.scenario_text, &catalogue.systems)
                .map_err(Failure::usage)?;
            chosen.push(Chosen {
                scenario,
                text: plan.scenario_text.clone(),
                stored: Some(plan),
                again: vec!["run".to_owned(), name.clone()],
            });
        } else {
            let selected = catalogue.select(name).map_err(Failure::usage)?;
            let from_file = name.ends_with(".toml");
            chosen.extend(selected.into_iter().map(|(scenario, text)| Chosen {
                again: vec![
                    "run".to_owned(),
                    if from_file {
                        name.clone()
                    } else {
                        scenario.name.get_ref().clone()
                    },
                ],
                scenario,
                text,
                stored: None,
            }));
        }
    }
    let name = match what {
        [one] if !one.ends_with(".toml") && !one.ends_with(".json") => one.clone(),
        _ => match &chosen[..] {
            [one] => one.scenario.name.get_ref().clone(),
            _ => "selection".to_owned(),
        },
    };
    Ok((name, chosen))
}

/// What is to run on these nodes: every scenario, as often as asked for, in turn.
fn items(
    args: &RunOptions,
    catalogue: &Catalogue,
    chosen: &[Chosen],
    nodes: &[NodeRef],
    seed: u64,
) -> Result<Vec<RunItem>, Failure> {
    let mut items = Vec::new();
    for chosen in chosen {
        for number in 1..=args.repeat {
            let seed = derived_seed(seed, number);
            let repetition = (args.repeat > 1).then_some(number);
            let (scenario, plan) = plan(args, catalogue, chosen, nodes, seed)?;
            items.push(RunItem {
                command: alone(args, &chosen.again, &plan),
                scenario,
                plan,
                repetition,
            });
        }
    }
    Ok(items)
}

/// The seed of a repetition; that of the first is the run's own.
fn derived_seed(seed: u64, repetition: u32) -> u64 {
    if repetition == 1 {
        return seed;
    }
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    stream.set_stream(u64::from(repetition));
    u64::from(stream.next_u32())
}

/// The command line that runs one scenario of many again, on a local cluster.
fn alone(args: &RunOptions, again: &[String], plan: &Plan) -> String {
    let mut words = vec!["shakedown".to_owned()];
    words.extend_from_slice(again);
    words.extend(["--seed".to_owned(), plan.seed.to_string()]);
    for file in &args.system_file {
        words.extend(["--system-file".to_owned(), file.display().to_string()]);
    }
    if let Some(time) = args.time {
        words.extend(["--time".to_owned(), time.to_string()]);
    }
    for (name, value) in &plan.env {
        words.extend(["--env".to_owned(), format!("{name}={value}")]);
    }
    if plan.noop_faults {
        words.push("--noop-faults".to_owned());
    }
    let quoted = words.iter().map(|word| crate::control::quote(word));
    quoted.collect::<Vec<_>>().join(" ")
}

/// A scenario's plan on these nodes.
fn plan(
    args: &RunOptions,
    catalogue: &Catalogue,
    chosen: &Chosen,
    nodes: &[NodeRef],
    seed: u64,
) -> Result<(Scenario, Plan), Failure> {
    let Chosen {
        scenario,
        text,
        stored,
        again: _,
    } = chosen;
    let system = find_system(catalogue, scenario.system.get_ref())?;
    let time = args.time.or(stored.as_ref().and_then(|plan| plan.time));
    let (scenario, mut plan) =
        Plan::resolve(scenario, text, system, nodes, seed, time).map_err(Failure::usage)?;
    let stored_env = stored
        .as_ref()
        .map(|plan| plan.env.clone())
        .unwrap_or_default();
    plan.env = stored_env
        .into_iter()
        .chain(args.env.iter().cloned())
        .collect::<BTreeMap<_, _>>();
    if let Some(stored) = stored {
        plan.limits = stored.limits;
    }
    let wish = LimitsWish {
        memory: args.memory_limit,
        time: args.time_limit,
    };
    plan.limits = wish.over(plan.limits);
    plan.noop_faults = args.noop_faults || stored.as_ref().is_some_and(|plan| plan.noop_faults);
    Ok((scenario, plan))
}

/// Prints what storms will bring, before they do.
fn say_storms(items: &[RunItem]) -> Result<(), Failure> {
    for item in items.iter().filter(|item| !item.plan.storm.is_empty()) {
        say(&storm_text(&item.plan))?;
    }
    Ok(())
}

/// The faults of a plan's storms, a line each.
fn storm_text(plan: &Plan) -> String {
    let lines = plan.storm.iter().map(|fault| {
        format!(
            "  {:>9} {:<12} {:<11} {} for {}\n",
            format!("+{}", fault.at),
            fault.name,
            fault.kind,
            fault.targets.join(" - "),
            fault.length
        )
    });
    format!(
        "{}, seed {}: {} faults, times from the beginning of each storm\n{}",
        plan.scenario,
        plan.seed,
        plan.storm.len(),
        lines.collect::<String>()
    )
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
            .map(|n| NodeRef {
                name: format!("n{n}"),
                address: "(local)".to_owned(),
            })
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
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if !has_seed {
        words.extend(["--seed".to_owned(), seed.to_string()]);
    }
    let quoted = words.iter().map(|word| crate::control::quote(word));
    std::iter::once("shakedown".to_owned())
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

async fn stop_on_signal(stopper: Stopper) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        eprintln!("warning: cannot listen for signals; Ctrl-C will end the run without a report");
        return std::future::pending().await;
    };
    let mut signalled = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    signalled().await;
    eprintln!(
        "\ninterrupted: healing, reading back and checking what there is (again: stop at once)"
    );
    stopper.stop();
    // One key press can arrive as two signals, from the terminal and from a parent process.
    let first = tokio::time::Instant::now();
    loop {
        signalled().await;
        if first.elapsed() >= SAME_PRESS {
            break;
        }
    }
    // Faults on nodes that stay are undone when the lease runs out.
    let taken_down =
        tokio::task::spawn_blocking(|| crate::cluster::down(&own_cluster_name())).await;
    if let Ok(Err(error)) = taken_down
        && !matches!(error, crate::cluster::ClusterError::NotFound(_))
    {
        eprintln!("warning: {error}");
    }
    std::process::exit(130);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_have_seeds_of_their_own_that_the_runs_seed_decides() {
        let seeds: Vec<u64> = (1..=50).map(|number| derived_seed(7, number)).collect();
        assert_eq!(seeds[0], 7);
        let distinct: std::collections::BTreeSet<&u64> = seeds.iter().collect();
        assert_eq!(distinct.len(), 50);
        assert_eq!(derived_seed(7, 3), seeds[2]);
        assert_ne!(derived_seed(8, 3), seeds[2]);
    }
}
