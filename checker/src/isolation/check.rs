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

/// Judges a history. Fails if a value was written twice to a key, for then reads do not tell what they
/// saw. One thread; the same answer every time. For cost, see the [module](super).
pub fn check(
    history: &Transactions,
    workload: Workload,
    names: &Dictionary,
    options: &Options,
) -> Result<Report, WrittenTwice> {
    let mut cases = Cases::new(options.keep);
    let judged = match workload {
        Workload::ListAppend => check_lists(history, names, options, &mut cases)?,
        Workload::RwRegister => check_registers(history, names, options, &mut cases)?,
    };
    Ok(report(history, options, cases, judged))
}

/// What is left when all anomalies are found.
struct Judged {
    present: Vec<bool>,
    edges: u64,
    /// Why a model that speaks of causality could not be judged, if so.
    causality: Option<String>,
}

fn check_lists(
    history: &Transactions,
    names: &Dictionary,
    options: &Options,
    cases: &mut Cases,
) -> Result<Judged, WrittenTwice> {
    let lists = Lists::new(history)?;
    let intermediate = lists::find_within(&lists, names, cases);
    lists::find_observed(&lists, &intermediate, names, cases);
    let data = |graph: &mut GraphBuilder| lists::add_edges(&lists, graph);
    let reason = |from, to, edge| lists::reason(&lists, names, from, to, edge);
    let edges = find_cycles(history, &lists.present, options.form(), data, reason, cases);
    Ok(Judged {
        present: lists.present,
        edges,
        causality: None,
    })
}

fn check_registers(
    history: &Transactions,
    names: &Dictionary,
    options: &Options,
    cases: &mut Cases,
) -> Result<Judged, WrittenTwice> {
    let registers = Registers::new(history)?;
    registers::find_within(&registers, names, cases);
    let causality = registers::find_views(&registers, options.form(), names, cases);
    let order = VersionOrder::infer(&registers, options.versions, names, cases);
    let data = |graph: &mut GraphBuilder| registers::add_edges(&registers, &order, graph);
    let reason = |from, to, edge| registers::reason(&registers, &order, names, from, to, edge);
    let edges = find_cycles(
        history,
        &registers.present,
        options.form(),
        data,
        reason,
        cases,
    );
    Ok(Judged {
        present: registers.present,
        edges,
        causality,
    })
}

/// Finds cycles in the graph of some edges by data and the order of a form. Returns how many edges
/// there were.
fn find_cycles(
    history: &Transactions,
    present: &[bool],
    form: Form,
    data: impl Fn(&mut GraphBuilder),
    reason: impl Fn(u32, u32, Edge) -> String,
    cases: &mut Cases,
) -> u64 {
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
    let whole = graph(form);
    let edges = whole.edges() as u64;
    let mut by_realtime = false;
    let mut add = |class: Anomaly, cycle: Cycle, cases: &mut Cases| {
        by_realtime |= matches!(class, Anomaly::Cycle(_, Form::Realtime));
        cases.add_cycle(class, cycle);
    };
    cycles::search(&whole, form, |class, cycle| add(class, cycle, cases));
    drop(whole);
    // The order within processes is part of real time. Where real time is violated, that may be why.
    if by_realtime {
        cycles::search(&graph(Form::Process), Form::Process, |class, cycle| {
            if matches!(class, Anomaly::Cycle(_, Form::Process)) {
                cases.add_cycle(class, cycle);
            }
        });
    }
    cases.explain_cycles(|class, cycle| explain(history, class, cycle, &reason));
    edges
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
    let causal = options.forbids(Anomaly::View(View::Causal, Form::Process));
    let undecided = causal && judged.causality.is_some();
    let mut notes: Vec<String> = judged.causality.into_iter().collect();
    let verdict = if !forbidden.is_empty() {
        Verdict::Invalid
    } else if undecided {
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
