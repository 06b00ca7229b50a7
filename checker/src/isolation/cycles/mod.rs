//! Finds cycles of every class.
//!
//! Each strongly connected component of the graph is searched for each class, gravest first, unless a
//! graver one was found in it that violates the same models. Whether a class occurs is decided exactly;
//! of its cycles a shortest one is looked for, within a bound on steps that depends on the component's
//! size alone. The same graph gives the same answer every time.
//!
//! - G0, G1c, G2: a cycle through an edge of the class lies in one component of the graph with the
//!   permitted edges: linear.
//! - G-single: whether one who wrote what a transaction missed leads back to it without a second miss
//!   is reachability, 64 questions in one pass over the part between.
//! - G-nonadjacent: a cycle in the product of the graph with "was the last step a miss?": linear.
//!   After A. Cerone and A. Gotsman, "Analysing snapshot isolation" (PODC 2016).

mod closed;
mod missed;
mod product;
mod shortest;
mod single;

use super::anomaly::{Anomaly, CycleKind, Form};
use super::components::Components;
use super::cycle::Cycle;
use super::graph::{Edge, Edges, Graph};

use closed::{Search, closed};

/// Every edge.
const ALL: Edges = Edges::of(&[Edge::Ww, Edge::Wr, Edge::Rw, Edge::Order]);

/// Calls `found` with a cycle of each class in each component of the graph. `form` is that of the
/// graph's edges by order. `stop` is asked before each component and class; returns what it says.
pub(crate) fn search(
    graph: &Graph,
    form: Form,
    stop: impl Fn() -> Option<String>,
    mut found: impl FnMut(Anomaly, Cycle),
) -> Option<String> {
    let components = Components::new(graph, ALL);
    if components.count == graph.nodes() {
        return None;
    }
    let members = components.members();
    let mut numbers = vec![u32::MAX; graph.nodes() as usize];
    let mut parts: Vec<&[u32]> = (0..components.count)
        .map(|component| members.of(component))
        .filter(|members| members.len() > 1)
        .collect();
    parts.sort_unstable_by_key(|members| members[0]);
    for members in parts {
        let part = graph.part(members, &mut numbers);
        if part.txns() < 2 {
            continue;
        }
        let (of_part, stopped) = in_part(&part, form, &stop);
        for (class, mut cycle) in of_part {
            for step in &mut cycle.steps {
                step.txn = members[step.txn as usize];
            }
            found(class, cycle);
        }
        if stopped.is_some() {
            return stopped;
        }
    }
    None
}

/// The nodes of a short cycle in a strongly connected graph, each of whose cycles has a `ww` edge.
pub(crate) fn circle(graph: &Graph) -> Vec<u32> {
    let cycle = closed(graph, &Search::new(ALL, Edge::Ww));
    cycle.map(|cycle| cycle.txns()).unwrap_or_default()
}

fn in_part(
    part: &Graph,
    form: Form,
    stop: &impl Fn() -> Option<String>,
) -> (Vec<(Anomaly, Cycle)>, Option<String>) {
    let mut found: Vec<(Anomaly, Cycle)> = Vec::new();
    let forms: &[Form] = match form {
        Form::Data => &[Form::Data],
        form => &[Form::Data, form],
    };
    for form in forms {
        for kind in CycleKind::ALL {
            let class = Anomaly::Cycle(kind, *form);
            if found.iter().any(|(graver, _)| graver.covers(class)) {
                continue;
            }
            if let Some(why) = stop() {
                return (found, Some(why));
            }
            if let Some(cycle) = of_class(part, kind, *form) {
                let class = cycle.class(*form);
                if !found.iter().any(|(known, _)| *known == class) {
                    found.push((class, cycle));
                }
            }
        }
    }
    (found, None)
}

/// A cycle of a class, if the part has one and none of a class that covers it.
fn of_class(part: &Graph, kind: CycleKind, form: Form) -> Option<Cycle> {
    let ordered = form != Form::Data;
    let with_order = |edges: Edges| {
        if ordered {
            edges.and(Edge::Order)
        } else {
            edges
        }
    };
    let writes = with_order(Edges::of(&[Edge::Ww]));
    let flow = with_order(Edges::of(&[Edge::Ww, Edge::Wr]));
    // Without order, a cycle needs an edge of its class. With it, it needs a step by order: cycles
    // without one were found before.
    let through = |edge: Edge| if ordered { Edge::Order } else { edge };
    match kind {
        CycleKind::G0 => closed(part, &Search::new(writes, through(Edge::Ww))),
        CycleKind::G1c => closed(part, &Search::new(flow, through(Edge::Wr))),
        CycleKind::GSingle => single::search(part, flow),
        CycleKind::GNonadjacent => product::search(part, flow),
        CycleKind::G2 => closed(part, &Search::new(flow.and(Edge::Rw), Edge::Rw)),
    }
}
