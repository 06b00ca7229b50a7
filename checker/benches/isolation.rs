//! Measures the isolation checker. Run with `cargo bench -p shakedown-checker --bench isolation
//! [-- FILTER]`; `-- --files FOLDER` writes histories as EDN to a folder, then reads and checks each in
//! a process of its own; `-- --read FILE` reads and checks one.
//!
//! Each line is one case: verdict, CPU seconds of reading and of the check alone (one thread), and the
//! peak memory of the process.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use shakedown_checker::clock::Clock;
use shakedown_checker::import::transactions;
use shakedown_checker::isolation::{
    Dictionary, Inference, Model, Options, Report, Transactions, Workload, check,
};

#[path = "../tests/isolation/simulate.rs"]
mod simulate;

use simulate::{Level, Setup};

const LEVELS: [(&str, Level); 4] = [
    ("strict", Level::Strict),
    ("snapshot", Level::Snapshot),
    ("prefix", Level::Prefix),
    ("none", Level::None),
];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.first().map(String::as_str) {
        Some("--read") => read(&args[1..]),
        Some("--files") => files(Path::new(args.get(1).ok_or("--files FOLDER")?)),
        Some("--case") => case(args.get(1).ok_or("--case NAME")?),
        filter => {
            for name in cases() {
                if filter.is_none_or(|filter| name.contains(filter)) {
                    again(&["--case", &name])?;
                }
            }
            Ok(())
        }
    }
}

/// Runs this program again, so that each case has its own peak of memory.
fn again(args: &[&str]) -> Result<(), Box<dyn Error>> {
    let status = Command::new(std::env::current_exe()?).args(args).status()?;
    if status.success() {
        Ok(())
    } else {
        Err("a case failed".into())
    }
}

/// Names say all: workload, level, transactions, how versions or the model are chosen, and how many
/// processes if not 10.
fn cases() -> Vec<String> {
    let mut names = Vec::new();
    for (level, _) in LEVELS {
        for txns in [100_000, 1_000_000] {
            names.push(format!("list {level} {txns} default"));
        }
    }
    for how in ["default", "wfr", "sequential", "linearizable"] {
        for level in ["strict", "snapshot", "none"] {
            names.push(format!("register {level} 1000000 {how}"));
        }
    }
    for model in [
        "monotonic-atomic-view",
        "strong-session-read-atomic",
        "causal",
    ] {
        for processes in [10, 50, 100] {
            names.push(format!("register strict 1000000 {model} {processes}"));
        }
    }
    names
}

fn case(name: &str) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = name.split(' ').collect();
    let [workload, level, txns, how, ref processes @ ..] = words[..] else {
        return Err("not a case".into());
    };
    let workload = if workload == "list" {
        Workload::ListAppend
    } else {
        Workload::RwRegister
    };
    let level = LEVELS
        .iter()
        .find(|(known, _)| *known == level)
        .ok_or("no such level")?
        .1;
    let mut setup = Setup::new(level, workload, txns.parse()?);
    if let Some(processes) = processes.first() {
        setup.processes = processes.parse()?;
    }
    let history = setup.transactions();
    measure(name, &history, workload, &Dictionary::default(), how, 0.0)
}

fn options(how: &str) -> Options {
    Options {
        models: vec![Model::named(how).unwrap_or(Model::StrictSerializable)],
        versions: Inference {
            wfr_keys: how == "wfr",
            sequential_keys: how == "sequential",
            linearizable_keys: how == "linearizable",
        },
        ..Options::default()
    }
}

fn measure(
    name: &str,
    history: &Transactions,
    workload: Workload,
    names: &Dictionary,
    how: &str,
    reading: f64,
) -> Result<(), Box<dyn Error>> {
    let before = cpu_seconds();
    let report =
        check(history, workload, names, &options(how)).map_err(|twice| format!("{twice:?}"))?;
    let checking = cpu_seconds() - before;
    let rate = report.committed as f64 / checking / 1e6;
    println!(
        "{name}: {:?}, {} committed, read {reading:.3} s, check {checking:.3} s ({rate:.2} M/s), peak {} MB; {}",
        report.verdict,
        report.committed,
        peak_megabytes()?,
        classes(&report),
    );
    Ok(())
}

fn classes(report: &Report) -> String {
    let found = report
        .found
        .iter()
        .map(|(class, found)| format!("{class} {}", found.count));
    found.collect::<Vec<_>>().join(", ")
}

fn read(args: &[String]) -> Result<(), Box<dyn Error>> {
    let file = args.first().ok_or("--read FILE [HOW]")?;
    let how = args.get(1).map_or("default", String::as_str);
    let before = cpu_seconds();
    let text = std::fs::read_to_string(file)?;
    let workload = transactions::workload_of(&text).unwrap_or_default();
    let imported = transactions::read(&text, workload, usize::MAX, Clock::default())?;
    drop(text);
    let reading = cpu_seconds() - before;
    measure(
        file,
        &imported.history,
        workload,
        &imported.names,
        how,
        reading,
    )
}

fn files(folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    for (name, level) in LEVELS {
        for txns in [10_000, 100_000, 1_000_000] {
            let path = folder.join(format!("list-{name}-{txns}.edn"));
            let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
            let mut failed = None;
            Setup::new(level, Workload::ListAppend, txns).edn(|line| {
                if let Err(error) = file.write_all(line.as_bytes()) {
                    failed = Some(error);
                }
            });
            if let Some(error) = failed {
                return Err(error.into());
            }
            file.flush()?;
            again(&["--read", &path.to_string_lossy()])?;
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// CPU time of this thread so far.
fn cpu_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = line
        .split(' ')
        .next()
        .and_then(|nanos| nanos.parse::<f64>().ok());
    nanos.unwrap_or(f64::NAN) / 1e9
}

fn peak_megabytes() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .ok_or("no VmHWM")?;
    Ok(kilobytes.trim().parse::<u64>()? / 1024)
}
