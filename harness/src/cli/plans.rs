//! What a run does on its nodes: a plan for every scenario and repetition, and the command line that repeats it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::Failure;
use super::args::RunOptions;
use super::choose::{Chosen, find_system};
use crate::control::command_line;
use crate::plan::Plan;
use crate::run::RunItem;
use crate::scenario::{Catalogue, LimitsWish, Scenario};
use crate::system::NodeRef;

/// What is to run on these nodes: every scenario, as often as asked for, in turn.
pub(super) fn items(
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
    command_line(&words)
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

/// The faults of a plan's storms, a line each.
pub(super) fn storm_text(plan: &Plan) -> String {
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
