//! Judges a history of transactions.

use super::anomaly::{Anomaly, Form, View};
use super::cases::Cases;
use super::cycle::{Cycle, Step};
use super::cycles;
use super::dictionary::Dictionary;
use super::graph::{Edge, Graph, GraphBuilder};
use super::lists::{self, Lists};
use super::order;
use super::registers::{self, Registers, VersionOrder};
use super::report::{Options, Report, Verdict};
use super::transactions::{Outcome, Transactions, Workload};
use super::writers::WrittenTwice;
use crate::clock::{Clock, Progress};

/// Judges a history. Fails if a value was written twice to a key, for then reads do not tell what they
/// saw. One thread; the same answer every time. For cost, see the [module](super).
pub fn check(
    history: &Transactions,
    workload: Workload,
    names: &Dictionary,
    options: &Options,
) -> Result<Report, WrittenTwice> {
    check_until(history, workload, names, options, Clock::default())
}

/// As [`check`], until the clock stops: what was found by then counts, else the verdict is unknown.
pub fn check_until(
    history: &Transactions,
    workload: Workload,
    names: &Dictionary,
    options: &Options,
    clock: Clock,
) -> Result<Report, WrittenTwice> {
    let run = Run {
        history,
        names,
        options,
        clock,
    };
    let mut cases = Cases::new(options.keep);
    let judged = match workload {
        Workload::ListAppend => run.lists(&mut cases)?,
        Workload::RwRegister => run.registers(&mut cases)?,
    };
    Ok(report(history, options, cases, judged))
}

/// One check.
struct Run<'a> {
    history: &'a Transactions,
    names: &'a Dictionary,
    options: &'a Options,
    clock: Clock,
}

/// What is left when all anomalies are found.
struct Judged {
    present: Vec<bool>,
    edges: u64,
    /// What else is worth knowing.
    notes: Vec<String>,
    /// Why not everything was looked at that the models forbid, if so.
    undecided: Option<String>,
}

impl Run<'_> {
    /// Tells what comes next. Returns why to stop, if the clock does.
    fn next(&self, step: &'static str) -> Option<String> {
        let count = self.history.txns().len();
        self.clock.stop(Progress::Transactions { count, step })
    }

    fn lists(&self, cases: &mut Cases) -> Result<Judged, WrittenTwice> {
        let names = self.names;
        let lists = Lists::new(self.history)?;
        let intermediate = lists::find_within(&lists, names, cases);
        lists::find_observed(&lists, &intermediate, names, cases);
        let data = |graph: &mut GraphBuilder| lists::add_edges(&lists, graph);
        let reason = |from, to, edge| lists::reason(&lists, names, from, to, edge);
        let (edges, undecided) = self.cycles(&lists.present, data, reason, cases);
        Ok(Judged {
            present: lists.present,
            edges,
            notes: Vec::new(),
            undecided,
        })
    }

    fn registers(&self, cases: &mut Cases) -> Result<Judged, WrittenTwice> {
        let (names, form) = (self.names, self.options.form());
        let registers = Registers::new(self.history)?;
        registers::find_within(&registers, names, cases);
        let views = match self.next("an order of commits") {
            None => registers::find_views(&registers, form, names, cases),
            stopped => stopped,
        };
        let order = VersionOrder::infer(&registers, self.options.versions, names, cases);
        let data = |graph: &mut GraphBuilder| registers::add_edges(&registers, &order, graph);
        let reason = |from, to, edge| registers::reason(&registers, &order, names, from, to, edge);
        let (edges, stopped) = self.cycles(&registers.present, data, reason, cases);
        let causal = Anomaly::View(View::Causal, Form::Process);
        let (notes, undecided) = match (stopped, views) {
            (Some(why), _) => (Vec::new(), Some(why)),
            (None, Some(why)) if self.options.forbids(causal) => (Vec::new(), Some(why)),
            (None, note) => (note.into_iter().collect(), None),
        };
        Ok(Judged {
            present: registers.present,
            edges,
            notes,
            undecided,
        })
    }

    /// Finds cycles in the graph of some edges by data and the order that the options speak of. Returns how
    /// many edges there were, and why it stopped, if it did.
    fn cycles(
        &self,
        present: &[bool],
        data: impl Fn(&mut GraphBuilder),
        reason: impl Fn(u32, u32, Edge) -> String,
        cases: &mut Cases,
    ) -> (u64, Option<String>) {
        let history = self.history;
        let graph = |form: Form| -> Graph {
            let mut graph = GraphBuilder::new(history.txns().len() as u32);
            data(&mut graph);
            match form {
                Form::Data => {}
                Form::Process => order::process(history, present, &mut graph),
                Form::Realtime => order::realtime(history, present, &mut graph),
            }
            graph.finish()
        };
        let next = || self.next("cycles of dependencies");
        if let Some(why) = next() {
            return (0, Some(why));
        }
        let form = self.options.form();
        let whole = graph(form);
        let edges = whole.edges() as u64;
        let mut by_realtime = false;
        let mut add = |class: Anomaly, cycle: Cycle, cases: &mut Cases| {
            by_realtime |= matches!(class, Anomaly::Cycle(_, Form::Realtime));
            cases.add_cycle(class, cycle);
        };
        let mut stopped =
            cycles::search(&whole, form, next, |class, cycle| add(class, cycle, cases));
        drop(whole);
        // The order within processes is part of real time. Where real time is violated, that may be why.
        if by_realtime && stopped.is_none() {
            stopped = cycles::search(
                &graph(Form::Process),
                Form::Process,
                next,
                |class, cycle| {
                    if matches!(class, Anomaly::Cycle(_, Form::Process)) {
                        cases.add_cycle(class, cycle);
                    }
                },
            );
        }
        cases.explain_cycles(|class, cycle| explain(history, class, cycle, &reason));
        (edges, stopped)
    }
}

/// A cycle in words, a line per step.
fn explain(
    history: &Transactions,
    class: Anomaly,
    cycle: &Cycle,
    reason: impl Fn(u32, u32, Edge) -> String,
) -> String {
    let order = match class {
        Anomaly::Cycle(_, Form::Process) => "ran in the same process before {}",
        _ => "had completed when {} was invoked",
    };
    let mut lines = Vec::new();
    for (at, Step { txn, edge }) in cycle.steps.iter().enumerate() {
        let next = cycle.steps[(at + 1) % cycle.steps.len()].txn;
        let why = match edge {
            Edge::Order => order.to_owned(),
            edge => reason(*txn, next, *edge),
        };
        let label = |txn: u32| format!("T{}", history.txn(txn).label);
        lines.push(format!(
            "{} {}",
            label(*txn),
            why.replacen("{}", &label(next), 1)
        ));
    }
    lines.join("\n")
}

fn report(history: &Transactions, options: &Options, cases: Cases, judged: Judged) -> Report {
    let found = cases.into_classes();
    let forbidden: Vec<Anomaly> = found
        .keys()
        .copied()
        .filter(|a| options.forbids(*a))
        .collect();
    let mut notes = judged.notes;
    let verdict = if !forbidden.is_empty() {
        Verdict::Invalid
    } else if let Some(why) = judged.undecided {
        notes.push(why);
        Verdict::Unknown
    } else if judged.edges == 0 {
        notes.push("no transaction depends on another, so there is nothing to judge by".to_owned());
        Verdict::Unknown
    } else {
        Verdict::Valid
    };
    let count = |outcome: Outcome| {
        let txns = history.txns().iter();
        txns.filter(|txn| txn.outcome == outcome).count() as u64
    };
    let seen = history.txns().iter().zip(&judged.present);
    let seen = seen.filter(|(txn, present)| txn.outcome == Outcome::Open && **present);
    Report {
        verdict,
        committed: count(Outcome::Committed),
        open: (count(Outcome::Open), seen.count() as u64),
        aborted: count(Outcome::Aborted),
        edges: judged.edges,
        found,
        form: options.form(),
        forbidden,
        notes,
    }
}
