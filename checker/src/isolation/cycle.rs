//! A cycle of transactions, and its class.

use super::anomaly::{Anomaly, CycleKind, Form};
use super::graph::Edge;

/// A transaction and why it precedes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The transaction.
    pub txn: u32,
    /// Why it precedes the next.
    pub edge: Edge,
}

/// A cycle of transactions. Each precedes the next, and the last the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// The transactions, beginning with the smallest number.
    pub steps: Vec<Step>,
    /// Whether no cycle of its class among the same transactions is shorter.
    pub shortest: bool,
}

impl Cycle {
    /// A cycle of steps; steps by order alone that follow one another become one.
    pub(super) fn new(mut steps: Vec<Step>, shortest: bool) -> Cycle {
        let len = steps.len();
        // Order is transitive: of consecutive steps by order the first stands for all.
        let kept: Vec<Step> = (0..len)
            .filter(|at| {
                let before = steps[(at + len - 1) % len].edge;
                before != Edge::Order || steps[*at].edge != Edge::Order
            })
            .map(|at| steps[at])
            .collect();
        if !kept.is_empty() {
            steps = kept;
        }
        let smallest = (0..steps.len()).min_by_key(|at| steps[*at].txn);
        steps.rotate_left(smallest.unwrap_or(0));
        Cycle { steps, shortest }
    }

    /// The transactions, in the order of the cycle.
    pub fn txns(&self) -> Vec<u32> {
        self.steps.iter().map(|step| step.txn).collect()
    }

    /// The kind, by what its steps need.
    pub fn kind(&self) -> CycleKind {
        let anti = |step: &Step| step.edge == Edge::Rw;
        let missed = self.steps.iter().filter(|step| anti(step)).count();
        let next = self.steps.iter().cycle().skip(1);
        let adjacent = self.steps.iter().zip(next).any(|(a, b)| anti(a) && anti(b));
        match missed {
            0 if self.steps.iter().any(|step| step.edge == Edge::Wr) => CycleKind::G1c,
            0 => CycleKind::G0,
            1 => CycleKind::GSingle,
            _ if adjacent => CycleKind::G2,
            _ => CycleKind::GNonadjacent,
        }
    }

    /// The class, if its steps by order are of this form.
    pub fn class(&self, form: Form) -> Anomaly {
        let ordered = self.steps.iter().any(|step| step.edge == Edge::Order);
        Anomaly::Cycle(self.kind(), if ordered { form } else { Form::Data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(edges: &[Edge]) -> &'static str {
        let steps = edges.iter().enumerate().map(|(at, edge)| Step {
            txn: at as u32,
            edge: *edge,
        });
        Cycle::new(steps.collect(), true)
            .class(Form::Realtime)
            .name()
    }

    #[test]
    fn steps_decide_the_class() {
        use Edge::{Order, Rw, Wr, Ww};
        assert_eq!(class(&[Ww, Ww]), "G0");
        assert_eq!(class(&[Ww, Wr]), "G1c");
        assert_eq!(class(&[Ww, Order]), "G0-realtime");
        assert_eq!(class(&[Wr, Order]), "G1c-realtime");
        assert_eq!(class(&[Rw, Order]), "G-single-item-realtime");
        assert_eq!(class(&[Rw, Wr]), "G-single-item");
        assert_eq!(class(&[Rw, Wr, Rw, Ww]), "G-nonadjacent-item");
        assert_eq!(class(&[Rw, Rw]), "G2-item");
        assert_eq!(class(&[Rw, Ww, Rw]), "G2-item");
    }

    #[test]
    fn steps_by_order_are_joined_and_the_smallest_comes_first() {
        let steps = [(5, Edge::Order), (7, Edge::Order), (3, Edge::Rw)];
        let steps = steps.map(|(txn, edge)| Step { txn, edge });
        let cycle = Cycle::new(steps.to_vec(), true);
        assert_eq!(cycle.txns(), [3, 5]);
    }
}
