//! Measures the linearizability checker. Run with `cargo bench -p shakedown-checker --bench
//! linearizability [-- FILTER]`.
//!
//! Each line is one case: verdict, CPU seconds of the check with its explanation (one thread, mean of some), and the
//! peak memory of a process that makes the history and checks it. With `--registers FILE...` it checks
//! histories of registers, each in a process of its own if they are named one by one.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use shakedown_checker::linearizability::models::{Bag, FifoQueue, Stack};

mod measure;
#[path = "../memory/mod.rs"]
mod memory;
mod published;
mod simulated;
#[path = "../../tests/linearizability/split_mix.rs"]
mod split_mix;

use measure::Measured;
use memory::peak_memory_bytes;
use simulated::{queue, register, set};

/// Name, most seconds it may take, and what to do.
type Case = (&'static str, f64, fn() -> Measured);

/// Memory that a case may take, history and check together.
const MOST_BYTES: u64 = 400_000_000;

const CASES: &[Case] = &[
    ("register, 10 clients, 0 % open, valid", 0.3, || {
        register(10, 0, 1, false)
    }),
    ("register, 10 clients, 1 % open, valid", 0.3, || {
        register(10, 1, 1, false)
    }),
    ("register, 50 clients, 1 % open, valid", 0.3, || {
        register(50, 1, 1, false)
    }),
    ("register, 50 clients, 1 % open, stale read", 0.3, || {
        register(50, 1, 1, true)
    }),
    (
        "map of 1,000 keys, 50 clients, 1 % open, valid",
        0.3,
        || register(50, 1, 1000, false),
    ),
    (
        "map of 1,000 keys, 50 clients, 1 % open, stale read",
        0.3,
        || register(50, 1, 1000, true),
    ),
    ("set, 10 clients", 1.0, || set(false)),
    ("set, 10 clients, one element too many", 1.0, || set(true)),
    ("unordered queue, 10 clients", 1.0, || {
        queue(Bag, |values, random| {
            let at = random.below(values.len().max(1) as u64) as usize;
            values.swap_remove_back(at)
        })
    }),
    ("FIFO queue, 10 clients", 1.0, || {
        queue(FifoQueue, |values, _| values.pop_front())
    }),
    ("stack, 10 clients", 1.0, || {
        queue(Stack, |values, _| values.pop_back())
    }),
    (
        "FIFO queue, 10 clients, given back in the wrong order",
        1.0,
        || {
            queue(FifoQueue, |values, random| match random.below(100_000) {
                0 => values.pop_back(),
                _ => values.pop_front(),
            })
        },
    ),
    (
        "stack, 10 clients, given back in the wrong order",
        1.0,
        || {
            queue(Stack, |values, random| match random.below(100_000) {
                0 => values.pop_front(),
                _ => values.pop_back(),
            })
        },
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--case") {
        let (_, most, run) = CASES[arguments[at + 1].parse::<usize>()?];
        let measured = run();
        println!(
            "{:>8.4} s {:>6.0} MB  {}",
            measured.seconds,
            peak_memory_bytes()? as f64 / 1e6,
            measured.verdict
        );
        if measured.seconds > most || peak_memory_bytes()? > MOST_BYTES {
            return Err(format!("above {most} s or {} MB", MOST_BYTES / 1_000_000).into());
        }
        return Ok(());
    }
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--registers")
    {
        for file in &arguments[at + 1..] {
            published::registers(Path::new(file))?;
        }
        return Ok(());
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    println!("1,000,000 operations with distinct values:");
    let mut missed = 0;
    for (number, (name, ..)) in CASES.iter().enumerate() {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let case = Command::new(std::env::current_exe()?)
            .args(["--case", &number.to_string()])
            .output()?;
        print!("{name:<56} {}", String::from_utf8_lossy(&case.stdout));
        if !case.status.success() {
            missed += 1;
            print!("{:<56} {}", "", String::from_utf8_lossy(&case.stderr));
        }
    }
    published::porcupine()?;
    match missed {
        0 => Ok(()),
        missed => Err(format!("{missed} cases missed their bound").into()),
    }
}
