//! Measures the linearizability checker. Run with `cargo bench -p shakedown-checker --bench
//! linearizability [-- FILTER]`.
//!
//! Each line is one case: verdict, CPU seconds of the check alone (one thread, mean of some), and the peak memory of a
//! process that makes the history and checks it. With `--lin-gen FILE...` it checks files of the line
//! format `i|o|f|n PROCESS r|w|c KEY VALUE [VALUE]`, one event a line, in real-time order.

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use hashbrown::HashMap;
use shakedown_checker::import::{Names, operations, porcupine};
use shakedown_checker::linearizability::models::{
    AppendText, Bag, FifoQueue, NIL, PutTake, Register, RegisterOp, Set, SetOp, Stack,
};
use shakedown_checker::linearizability::{
    Called, Checked, History, HistoryBuilder, Keyed, Limits, Model, Verdict, check, check_keyed,
    overall,
};

#[path = "../tests/linearizability/split_mix.rs"]
mod split_mix;

use split_mix::Random;

const MILLION: usize = 1_000_000;

type Case = (&'static str, fn() -> Measured);

struct Measured {
    verdict: String,
    seconds: f64,
}

const CASES: &[Case] = &[
    ("register, 10 clients, 0 % open, valid", || {
        register(10, 0, 1, false)
    }),
    ("register, 10 clients, 1 % open, valid", || {
        register(10, 1, 1, false)
    }),
    ("register, 50 clients, 1 % open, valid", || {
        register(50, 1, 1, false)
    }),
    ("register, 50 clients, 1 % open, stale read", || {
        register(50, 1, 1, true)
    }),
    ("map of 1,000 keys, 50 clients, 1 % open, valid", || {
        register(50, 1, 1000, false)
    }),
    (
        "map of 1,000 keys, 50 clients, 1 % open, stale read",
        || register(50, 1, 1000, true),
    ),
    ("set, 10 clients", || set(false)),
    ("set, 10 clients, one element too many", || set(true)),
    ("unordered queue, 10 clients", || {
        queue(Bag, |values, random| {
            let at = random.below(values.len().max(1) as u64) as usize;
            values.swap_remove_back(at)
        })
    }),
    ("FIFO queue, 10 clients", || {
        queue(FifoQueue, |values, _| values.pop_front())
    }),
    ("stack, 10 clients", || {
        queue(Stack, |values, _| values.pop_back())
    }),
    (
        "FIFO queue, 10 clients, given back in the wrong order",
        || {
            queue(FifoQueue, |values, random| match random.below(100_000) {
                0 => values.pop_back(),
                _ => values.pop_front(),
            })
        },
    ),
    ("stack, 10 clients, given back in the wrong order", || {
        queue(Stack, |values, random| match random.below(100_000) {
            0 => values.pop_front(),
            _ => values.pop_back(),
        })
    }),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--case") {
        let (_, run) = CASES[arguments[at + 1].parse::<usize>()?];
        let measured = run();
        println!(
            "{:>8.4} s {:>6.0} MB  {}",
            measured.seconds,
            peak_memory_bytes()? as f64 / 1e6,
            measured.verdict
        );
        return Ok(());
    }
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--lin-gen")
    {
        for file in &arguments[at + 1..] {
            lin_gen(Path::new(file))?;
        }
        return Ok(());
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    println!("1,000,000 operations with distinct values:");
    for (number, (name, _)) in CASES.iter().enumerate() {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let case = Command::new(std::env::current_exe()?)
            .args(["--case", &number.to_string()])
            .output()?;
        print!("{name:<56} {}", String::from_utf8_lossy(&case.stdout));
    }
    published()
}

fn verdict<S>(verdict: &Verdict<S>) -> String {
    match verdict {
        Verdict::Linearizable => "linearizable".to_owned(),
        Verdict::NotLinearizable(_) => "not linearizable".to_owned(),
        Verdict::Unknown(reason) => format!("unknown: {reason}"),
    }
}

fn measure<M: Model>(model: &M, history: &History<M::Op>) -> Measured {
    mean(3, || check(model, history, &Limits::default()).verdict).1
}

/// Runs a check at least so many times, and for a tenth of a second, which the clock needs to tell:
/// its last result, and its mean time.
fn mean<S>(times: usize, run: impl Fn() -> Verdict<S>) -> (Verdict<S>, Measured) {
    let before = cpu_seconds();
    let mut runs = 0;
    loop {
        let found = run();
        runs += 1;
        let seconds = cpu_seconds() - before;
        if runs >= times && seconds >= 0.1 {
            let measured = Measured {
                verdict: verdict(&found),
                seconds: seconds / runs as f64,
            };
            return (found, measured);
        }
    }
}

/// A client of a simulated object.
struct Client<T> {
    process: i64,
    pending: Option<(Called, T)>,
}

/// Clients that call, act and return at random moments: `call` makes an operation, `act` lets it take
/// effect and gives its answer; `None` as an answer leaves it open.
fn simulate<T: Clone, O: Clone>(
    clients: usize,
    seed: u64,
    mut call: impl FnMut(&mut Random, usize) -> (T, O),
    mut act: impl FnMut(&mut Random, &T) -> Option<O>,
) -> History<O> {
    let mut random = Random(seed);
    let mut builder = HistoryBuilder::default();
    let mut running: Vec<Client<(T, Option<O>)>> = (0..clients as i64)
        .map(|process| Client {
            process,
            pending: None,
        })
        .collect();
    let mut made = 0;
    while made < MILLION {
        let at = random.below(clients as u64) as usize;
        let client = &mut running[at];
        match client.pending.take() {
            None => {
                let (kind, open) = call(&mut random, made);
                made += 1;
                let called = builder.call(client.process, open);
                client.pending = Some((called, (kind, None)));
            }
            Some((called, (kind, None))) => match act(&mut random, &kind) {
                None => client.process += clients as i64,
                answer => client.pending = Some((called, (kind, answer))),
            },
            Some((called, (_, Some(answer)))) => builder.ret(called, answer),
        }
    }
    builder.finish()
}

/// Half reads, half writes of distinct values; for several keys, a key-value map.
fn register(clients: usize, open: u64, keys: u64, stale: bool) -> Measured {
    let mut values = vec![NIL; keys as usize];
    let mut old = NIL;
    let mut planted = !stale;
    let mut acted = 0;
    let history = simulate(
        clients,
        clients as u64,
        |random, number| {
            let op = match random.below(2) {
                0 => RegisterOp::Read(NIL),
                _ => RegisterOp::Write(number as i64),
            };
            let key = random.below(keys) as i64;
            (Keyed { key, op }, Keyed { key, op })
        },
        |random, call| {
            let key = call.key;
            acted += 1;
            let lost = random.chance(open);
            let value = &mut values[key as usize];
            match call.op {
                RegisterOp::Write(new) if !lost || random.chance(50) => *value = new,
                _ => {}
            }
            if acted == MILLION * 8 / 10 {
                old = values[0];
            }
            if lost && !matches!(call.op, RegisterOp::Read(_)) {
                return None;
            }
            let op = match call.op {
                RegisterOp::Read(_) if !planted && key == 0 && acted > MILLION * 9 / 10 => {
                    planted = true;
                    RegisterOp::Read(old)
                }
                RegisterOp::Read(_) => RegisterOp::Read(values[key as usize]),
                op => op,
            };
            Some(Keyed { key, op })
        },
    );
    let model = Register { initial: NIL };
    if keys > 1 {
        let run = || match overall(&check_keyed(&model, &history, &Limits::default())) {
            None => Verdict::Linearizable,
            Some(key) => key.checked.verdict.clone(),
        };
        return mean(3, run).1;
    }
    let operations = history.operations().iter().map(|operation| {
        shakedown_checker::linearizability::Operation {
            op: operation.op.op,
            process: operation.process,
            call: operation.call,
            ret: operation.ret,
            index: operation.index,
        }
    });
    let one = History::new(operations.collect()).expect("it comes from a history");
    drop(history);
    measure(&model, &one)
}

fn set(wrong: bool) -> Measured {
    let mut present: Vec<i64> = Vec::new();
    let mut there: HashMap<i64, bool> = HashMap::new();
    let mut gone: Vec<i64> = Vec::new();
    let mut acted = 0;
    let history = simulate(
        10,
        3,
        |random, number| {
            let any =
                |from: &[i64], random: &mut Random| from[random.below(from.len() as u64) as usize];
            let op = match random.below(4) {
                2 if !present.is_empty() => {
                    let at = random.below(present.len() as u64) as usize;
                    let value = present.swap_remove(at);
                    gone.push(value);
                    SetOp::Remove {
                        value,
                        found: Some(true),
                    }
                }
                3 if !gone.is_empty() && random.chance(50) => SetOp::Contains {
                    value: any(&gone, random),
                    found: false,
                },
                3 if !present.is_empty() => SetOp::Contains {
                    value: any(&present, random),
                    found: false,
                },
                _ => {
                    present.push(number as i64);
                    SetOp::Add {
                        value: number as i64,
                        new: Some(true),
                    }
                }
            };
            (op.clone(), op)
        },
        |_, op| {
            acted += 1;
            Some(match *op {
                SetOp::Add { value, .. } => {
                    there.insert(value, true);
                    op.clone()
                }
                SetOp::Remove { value, .. } if there.insert(value, false) == Some(true) => {
                    op.clone()
                }
                SetOp::Remove { value, .. } => {
                    // Called before its add took effect: ask instead.
                    there.remove(&value);
                    SetOp::Contains {
                        value,
                        found: false,
                    }
                }
                SetOp::Contains { value, .. } => SetOp::Contains {
                    value,
                    found: (wrong && acted == MILLION * 9 / 10)
                        || there.get(&value).copied().unwrap_or(false),
                },
                SetOp::ReadAll(_) => op.clone(),
            })
        },
    );
    measure(&Set, &history)
}

fn queue<M: Model<Op = PutTake>>(
    model: M,
    take: fn(&mut VecDeque<i64>, &mut Random) -> Option<i64>,
) -> Measured {
    let mut values = VecDeque::new();
    let history = simulate(
        10,
        7,
        |random, number| match random.below(2) {
            0 => (PutTake::TakeUnknown, PutTake::TakeUnknown),
            _ => (PutTake::Put(number as i64), PutTake::Put(number as i64)),
        },
        |random, op| {
            Some(match *op {
                PutTake::Put(value) => {
                    values.push_back(value);
                    *op
                }
                _ => take(&mut values, random).map_or(PutTake::Empty, PutTake::Take),
            })
        },
    );
    // Operations still running at the end count as open; a take without answer is none of the case.
    let operations = history
        .operations()
        .iter()
        .filter(|o| !o.is_open())
        .cloned();
    let history = History::new(operations.collect()).expect("it comes from a history");
    measure(&model, &history)
}

/// The published histories, if they are there.
fn published() -> Result<(), Box<dyn Error>> {
    let root = std::env::var_os("SHAKEDOWN_HISTORIES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories"),
        Into::into,
    );
    let Ok(folder) = std::fs::read_dir(root.join("porcupine/etcd")) else {
        println!("no published histories (set SHAKEDOWN_HISTORIES)");
        return Ok(());
    };
    let mut files: Vec<_> = folder
        .map(|file| Ok(file?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    files.sort();
    let (mut total, mut slowest) = (0.0, Vec::new());
    for file in files {
        let events = porcupine::read_etcd(&std::fs::read_to_string(&file)?)?;
        let history = operations::etcd(&events, &mut Names::default())?;
        let model = Register { initial: NIL };
        let run = || check(&model, &history, &Limits::default()).verdict;
        let (_, measured) = mean(20, run);
        total += measured.seconds;
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        slowest.push((measured.seconds, name, measured.verdict));
    }
    slowest.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!(
        "Porcupine's {} etcd logs: {:.3} ms together; slowest:",
        slowest.len(),
        total * 1e3
    );
    for (seconds, name, verdict) in &slowest[..3] {
        println!("  {name} {:.3} ms, {verdict}", seconds * 1e3);
    }
    for name in ["c10-ok", "c10-bad", "c50-ok"] {
        let text = std::fs::read_to_string(root.join(format!("porcupine/kv/{name}.txt")))?;
        let history = operations::texts(&porcupine::read_kv(&text)?, &mut Names::default())?;
        let run = || match overall(&check_keyed(&AppendText, &history, &Limits::default())) {
            None => Verdict::Linearizable,
            Some(key) => key.checked.verdict.clone(),
        };
        let (_, measured) = mean(20, run);
        println!(
            "Porcupine's {name}: {:.3} ms, {}",
            measured.seconds * 1e3,
            measured.verdict
        );
    }
    Ok(())
}

fn lin_gen(file: &Path) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let mut builder: HistoryBuilder<Keyed<RegisterOp>> = HistoryBuilder::default();
    let mut pending: HashMap<i64, Called> = HashMap::new();
    let mut initial = NIL;
    for line in text.lines() {
        if line.starts_with('#') {
            if line.contains("init=0") {
                initial = 0;
            }
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| match word {
            "nil" | "-" => NIL,
            word => word.parse().unwrap_or(NIL),
        };
        let (kind, process, key, value) = (
            words[0],
            number(words[1]),
            number(words[3]),
            number(words[4]),
        );
        let op = match (words[2], kind) {
            ("r", _) => RegisterOp::Read(value),
            ("w", _) => RegisterOp::Write(value),
            (_, "f") => RegisterOp::NotEqual(value),
            _ => RegisterOp::Cas {
                from: value,
                to: number(words[5]),
            },
        };
        let op = Keyed { key, op };
        match kind {
            "i" => {
                pending.insert(process, builder.call(process, op));
            }
            "n" => {
                pending.remove(&process);
            }
            _ => {
                let called = pending.remove(&process).ok_or("a return without a call")?;
                builder.ret(called, op);
            }
        }
    }
    let history = builder.finish();
    drop(text);
    let before = cpu_seconds();
    let keys = check_keyed(&Register { initial }, &history, &Limits::default());
    let seconds = cpu_seconds() - before;
    let configurations: u64 = keys.iter().map(|key| key.checked.configurations).sum();
    let found: Option<&Checked<i64>> = overall(&keys).map(|key| &key.checked);
    println!(
        "{}: {} in {seconds:.4} s, {configurations} configurations, {:.0} MB",
        file.display(),
        found.map_or("linearizable".to_owned(), |checked| verdict(
            &checked.verdict
        )),
        peak_memory_bytes()? as f64 / 1e6,
    );
    Ok(())
}

/// Time this thread has run, in seconds: on a busy machine, what a quiet one would have needed.
fn cpu_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = line.split(' ').next().and_then(|word| word.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// The peak resident size of this process.
fn peak_memory_bytes() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 = line
        .ok_or("no VmHWM")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kilobytes * 1024)
}
