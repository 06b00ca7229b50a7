//! `shakedown torture`: from a line of wishes to a scenario, which then runs like any other.

use shakedown_workloads::duration::HumanDuration;

use super::Failure;
use super::args::TortureArgs;
use super::choose::{Chosen, catalogue, find_system};
use super::exit::Exit;
use super::run::run_chosen;
use crate::scenario::Scenario;
use crate::system::Torture;

/// How long a torture takes if nobody says.
const TIME: HumanDuration = HumanDuration::from_secs(60);

pub(super) fn torture(mut args: TortureArgs) -> Result<Exit, Failure> {
    let catalogue = catalogue(&args.options.system_file)?;
    let system = find_system(&catalogue, &args.system)?;
    let wish = Torture {
        faults: args.faults.clone(),
        interval: args.interval,
        hold: args.hold.unwrap_or(HumanDuration(args.interval.0 * 2 / 5)),
        at_once: args.at_once,
        nodes_at_once: args.nodes_at_once,
        // The scenario has it: the storm ends before the load does.
        time: args.options.time.take().unwrap_or(TIME),
        workload: args.workload.clone(),
        rate: args.rate,
        nodes: args.options.nodes.local,
    };
    let text = system.torture(&wish).map_err(Failure::usage)?;
    let scenario = Scenario::parse("torture", &text, &catalogue.systems).map_err(Failure::usage)?;
    if let Some(file) = &args.save {
        std::fs::write(file, &text)
            .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    }
    let chosen = Chosen {
        scenario,
        text,
        stored: None,
        again: again(&args, &wish),
    };
    run_chosen("torture".to_owned(), &[chosen], &catalogue, &args.options)
}

/// The words that make the same wish again.
fn again(args: &TortureArgs, wish: &Torture) -> Vec<String> {
    let mut words = vec!["torture".to_owned()];
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    option("--system", args.system.clone());
    if !wish.faults.is_empty() {
        let faults: Vec<String> = (wish.faults.iter())
            .map(|(name, weight)| format!("{name}={weight}"))
            .collect();
        option("--faults", faults.join(","));
    }
    option("--interval", wish.interval.to_string());
    option("--hold", wish.hold.to_string());
    option("--at-once", wish.at_once.to_string());
    if let Some(nodes) = wish.nodes_at_once {
        option("--nodes-at-once", nodes.to_string());
    }
    if let Some(workload) = &wish.workload {
        option("--workload", workload.clone());
    }
    if let Some(rate) = wish.rate {
        option("--rate", rate.to_string());
    }
    if let Some(nodes) = wish.nodes {
        option("--local", nodes.to_string());
    }
    option("--time", wish.time.to_string());
    words
}
