//! Simulated databases: histories of transactions of any size, the same for the same seed.
//!
//! Some active keys, the later ones used more often, each replaced after so many writes; transactions of
//! one to four operations by some processes, as Jepsen's tests have them.

use std::fmt::Write;

use shakedown_checker::isolation::{Builder, NIL, Outcome, Transactions, Workload};

#[path = "../linearizability/split_mix.rs"]
mod split_mix;

pub(crate) use split_mix::Random;

/// How the database keeps transactions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// One after the other, each at some moment between its invocation and its completion.
    Strict,
    /// Reads are of the state at the invocation; of writers of a key the first to commit wins.
    Snapshot,
    /// Reads are of some earlier state; writes are not checked.
    Prefix,
    /// Operations take effect one by one.
    None,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) level: Level,
    pub(crate) workload: Workload,
    pub(crate) txns: usize,
    pub(crate) processes: usize,
    pub(crate) active_keys: usize,
    pub(crate) writes_per_key: i64,
    pub(crate) seed: u64,
}

impl Setup {
    pub(crate) fn new(level: Level, workload: Workload, txns: usize) -> Self {
        Setup {
            level,
            workload,
            txns,
            processes: 10,
            active_keys: 10,
            writes_per_key: 32,
            seed: 7,
        }
    }

    /// The history.
    pub(crate) fn transactions(self) -> Transactions {
        let mut builder = Builder::default();
        let mut invoked = vec![0; self.processes];
        let mut at = 0;
        run(self, |event| {
            if event.outcome.is_none() {
                invoked[event.process] = at;
            }
            if let Some(outcome) = event.outcome {
                let process = event.process;
                builder.begin(i64::from(at), process as i64, outcome, invoked[process], at);
                for op in event.ops {
                    add(&mut builder, self.workload, op);
                }
            }
            at += 1;
        });
        builder.finish()
    }

    /// The history as Jepsen would write it.
    pub(crate) fn edn(self, mut sink: impl FnMut(&str)) {
        let mut line = String::new();
        let mut index = 0;
        run(self, |event| {
            line.clear();
            let kind = match event.outcome {
                None => ":invoke",
                Some(Outcome::Committed) => ":ok",
                Some(Outcome::Aborted) => ":fail",
                Some(Outcome::Open) => ":info",
            };
            let process = event.process;
            let _ = write!(
                line,
                "{{:index {index}, :time {index}, :type {kind}, :process {process}, :f :txn, :value ["
            );
            let known = event.outcome == Some(Outcome::Committed);
            for (number, op) in event.ops.iter().enumerate() {
                if number > 0 {
                    line.push(' ');
                }
                show(&mut line, self.workload, op, known);
            }
            line.push_str("]}\n");
            index += 1;
            sink(&line);
        });
    }
}

/// An invocation or a completion.
struct Event<'a> {
    process: usize,
    outcome: Option<Outcome>,
    ops: &'a [Op],
}

#[derive(Debug, Clone)]
struct Op {
    key: usize,
    /// What it writes, or `None` if it reads.
    write: Option<i64>,
    /// What was written to the key until then, if it reads.
    seen: Vec<i64>,
}

fn add(builder: &mut Builder, workload: Workload, op: &Op) {
    let key = op.key as u32;
    match (op.write, workload) {
        (Some(value), _) => builder.write(key, value),
        (None, Workload::ListAppend) => builder.read_list(key, &op.seen),
        (None, Workload::RwRegister) => {
            builder.read_register(key, op.seen.last().copied().unwrap_or(NIL));
        }
    }
}

fn show(line: &mut String, workload: Workload, op: &Op, known: bool) {
    let key = op.key;
    let _ = match (op.write, workload) {
        (Some(value), Workload::ListAppend) => write!(line, "[:append {key} {value}]"),
        (Some(value), Workload::RwRegister) => write!(line, "[:w {key} {value}]"),
        (None, _) if !known || op.seen.is_empty() => write!(line, "[:r {key} nil]"),
        (None, Workload::RwRegister) => write!(line, "[:r {key} {}]", op.seen[op.seen.len() - 1]),
        (None, Workload::ListAppend) => {
            let _ = write!(line, "[:r {key} [");
            for (at, value) in op.seen.iter().enumerate() {
                let _ = write!(line, "{}{value}", if at > 0 { " " } else { "" });
            }
            write!(line, "]]")
        }
    };
}

#[derive(Debug, Default)]
struct Running {
    ops: Vec<Op>,
    /// Per operation, how much of its key's writes the transaction sees.
    sees: Vec<usize>,
    /// How many operations have taken effect.
    done: usize,
}

struct Database {
    setup: Setup,
    random: Random,
    /// Per key, what was written to it.
    written: Vec<Vec<i64>>,
    next_value: Vec<i64>,
    active: Vec<usize>,
    /// Commits, and how many of them old reads see.
    log: Vec<(usize, usize)>,
    visible: usize,
    seen_of: Vec<usize>,
}

fn run(setup: Setup, mut sink: impl FnMut(Event<'_>)) {
    let mut database = Database {
        setup,
        random: Random(setup.seed),
        written: vec![Vec::new(); setup.active_keys],
        next_value: vec![1; setup.active_keys],
        active: (0..setup.active_keys).collect(),
        log: Vec::new(),
        visible: 0,
        seen_of: vec![0; setup.active_keys],
    };
    let mut running: Vec<Option<Running>> = (0..setup.processes).map(|_| None).collect();
    let mut begun = 0;
    let mut completed = 0;
    while completed < setup.txns {
        let process = database.random.below(setup.processes as u64) as usize;
        match &mut running[process] {
            slot @ None if begun < setup.txns => {
                let txn = database.begin();
                sink(Event {
                    process,
                    outcome: None,
                    ops: &txn.ops,
                });
                *slot = Some(txn);
                begun += 1;
            }
            None => {}
            Some(txn) => {
                if setup.level == Level::None && txn.done < txn.ops.len() {
                    database.step(txn);
                    continue;
                }
                let outcome = database.commit(txn);
                sink(Event {
                    process,
                    outcome: Some(outcome),
                    ops: &txn.ops,
                });
                running[process] = None;
                completed += 1;
            }
        }
    }
}

impl Database {
    fn begin(&mut self) -> Running {
        if self.setup.level == Level::Prefix {
            let lag = self.random.below(8) as usize;
            while self.visible + lag < self.log.len() {
                let (key, len) = self.log[self.visible];
                self.seen_of[key] = self.seen_of[key].max(len);
                self.visible += 1;
            }
        }
        let mut txn = Running::default();
        for _ in 0..=self.random.below(4) {
            // Each key is used twice as often as the one before it.
            let total = (1u64 << self.active.len()) - 1;
            let place = (self.random.below(total) + 1).ilog2() as usize;
            let key = self.active[place];
            let write = self.random.chance(50).then(|| self.new_value(key, place));
            txn.sees.push(match self.setup.level {
                Level::Prefix => self.seen_of[key],
                _ => self.written[key].len(),
            });
            txn.ops.push(Op {
                key,
                write,
                seen: Vec::new(),
            });
        }
        txn
    }

    fn new_value(&mut self, key: usize, place: usize) -> i64 {
        let value = self.next_value[key];
        self.next_value[key] += 1;
        if value == self.setup.writes_per_key {
            self.active[place] = self.written.len();
            self.written.push(Vec::new());
            self.next_value.push(1);
            self.seen_of.push(0);
        }
        value
    }

    /// Lets the next operation of a transaction take effect by itself.
    fn step(&mut self, txn: &mut Running) {
        let op = &mut txn.ops[txn.done];
        match op.write {
            Some(value) => self.written[op.key].push(value),
            None => op.seen.clone_from(&self.written[op.key]),
        }
        txn.done += 1;
    }

    fn commit(&mut self, txn: &mut Running) -> Outcome {
        if self.setup.level == Level::None {
            return Outcome::Committed;
        }
        if self.random.chance(2) {
            return Outcome::Aborted;
        }
        if self.setup.level == Level::Strict {
            for (op, sees) in txn.ops.iter().zip(&mut txn.sees) {
                *sees = self.written[op.key].len();
            }
        }
        let conflict = txn
            .ops
            .iter()
            .zip(&txn.sees)
            .any(|(op, sees)| op.write.is_some() && self.written[op.key].len() != *sees);
        if self.setup.level == Level::Snapshot && conflict {
            return Outcome::Aborted;
        }
        for at in 0..txn.ops.len() {
            let (before, rest) = txn.ops.split_at_mut(at);
            let op = &mut rest[0];
            if op.write.is_none() {
                op.seen.extend(&self.written[op.key][..txn.sees[at]]);
                let own = before.iter().filter(|earlier| earlier.key == op.key);
                op.seen.extend(own.filter_map(|earlier| earlier.write));
            }
        }
        let open = self.random.below(200);
        if open == 0 {
            return Outcome::Open;
        }
        for op in &txn.ops {
            if let Some(value) = op.write {
                self.written[op.key].push(value);
                self.log.push((op.key, self.written[op.key].len()));
            }
        }
        if open == 1 {
            Outcome::Open
        } else {
            Outcome::Committed
        }
    }
}
