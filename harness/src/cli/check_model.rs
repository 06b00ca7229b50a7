//! `shakedown check FILE --model MODEL`: any history, ours or another tool's, against a model.

use std::io::{IsTerminal, stderr};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use shakedown_checker::catalogue::{self, Invariants, Options};
use shakedown_checker::clock::Progress;
use shakedown_checker::import::Format;
use shakedown_checker::isolation::Inference;
use shakedown_reports::outcome::{self, Checked};

use super::args::ModelArgs;
use super::exit::Exit;
use super::{Failure, say};

/// Memory that a check may take, unless it is said.
const MEMORY_BYTES: usize = 2 << 30;

pub(super) fn check(
    file: &Path,
    names: &[String],
    how: &ModelArgs,
    json: bool,
) -> Result<Exit, Failure> {
    let model = |name: &String| {
        catalogue::find(name).ok_or_else(|| Failure::Usage(format!("no model {name}")))
    };
    let models = names.iter().map(model).collect::<Result<Vec<_>, _>>()?;
    let format = Format::ALL
        .into_iter()
        .find(|format| Some(format.name()) == how.format.as_deref());
    let threads = how.threads.map_or_else(
        || available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    let options = Options {
        memory_bytes: how.memory_limit.map_or(MEMORY_BYTES, |limit| limit.0),
        time: how.time_limit.map(|limit| limit.0),
        tell: stderr().is_terminal().then_some(tell),
        threads,
        initial: how.initial.clone(),
        workload: how.workload,
        versions: Inference {
            wfr_keys: how.wfr_keys,
            sequential_keys: how.sequential_keys,
            linearizable_keys: how.linearizable_keys,
        },
        forbidden: how.forbid.clone(),
        invariants: Invariants {
            by_key: how.by_key,
            total: how.total,
            negative_balances: how.negative_balances,
            group_size: how.group_size,
        },
    };
    let outcome = catalogue::check_file(&models, file, format, &options).map_err(Failure::chain)?;
    let name = file.display().to_string();
    let model = names.join(", ");
    let checked = Checked {
        file: &name,
        model: &model,
        outcome: &outcome,
    };
    if let Some(page) = &how.html {
        let html = outcome::page(&checked).map_err(Failure::harness)?;
        std::fs::write(page, html).map_err(|error| {
            Failure::Harness(format!("cannot write {}: {error}", page.display()))
        })?;
    }
    let text = match json {
        true => serde_json::to_string_pretty(&checked).map_err(Failure::harness)? + "\n",
        false => outcome::text(&checked),
    };
    say(&text)?;
    Ok(Exit::of_run(outcome.verdict, false))
}

/// Says every second how far a long check has come.
fn tell(progress: Progress, elapsed: Duration) -> ControlFlow<()> {
    static TOLD_S: AtomicU64 = AtomicU64::new(0);
    let second = elapsed.as_secs();
    if TOLD_S.fetch_max(second, Ordering::Relaxed) < second {
        eprintln!("{second} s: {progress}");
    }
    ControlFlow::Continue(())
}
