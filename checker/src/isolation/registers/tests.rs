//! Registers whose order of versions is known otherwise, after tests of Elle that are told it.

use super::super::anomaly::Form;
use super::super::cycles;
use super::super::graph::GraphBuilder;
use super::super::transactions::{Builder, NIL, NONE, Outcome};
use super::sources;
use super::{Registers, VersionOrder, add_edges};

#[derive(Clone, Copy)]
enum Do {
    R(u32, i64),
    W(u32, i64),
}
use Do::{R, W};

/// The cycles that an order of transactions' writes leads to.
fn cycles(txns: &[&[Do]], commits: &[usize]) -> Vec<&'static str> {
    let mut builder = Builder::default();
    for ops in txns {
        builder.begin(0, 0, Outcome::Committed, NONE, 0);
        for op in *ops {
            match op {
                R(key, value) => builder.read_register(*key, *value),
                W(key, value) => builder.write(*key, *value),
            }
        }
    }
    let history = builder.finish();
    let registers = Registers::new(&history).unwrap();
    let mut pairs = sources::initial(&registers);
    for key in 0..history.keys() {
        let writes = commits.iter().filter_map(|txn| {
            let of = registers
                .interactions
                .iter()
                .filter(|i| i.txn == *txn as u32);
            of.filter(|i| i.key == key && i.write != NONE)
                .map(|i| i.write)
                .next()
        });
        let writes: Vec<u32> = writes.collect();
        pairs.extend(writes.windows(2).map(|pair| (pair[0], pair[1])));
    }
    let order = VersionOrder::known(&registers, pairs);
    let mut graph = GraphBuilder::new(txns.len() as u32);
    add_edges(&registers, &order, &mut graph);
    let mut found = Vec::new();
    cycles::search(
        &graph.finish(),
        Form::Data,
        || None,
        |class, _| found.push(class.name()),
    );
    found
}

#[test]
fn one_missed_write_in_a_circle_is_g_single() {
    let txns: [&[Do]; 2] = [&[R(0, NIL), W(1, 2)], &[W(0, 3), W(1, 4)]];
    assert_eq!(cycles(&txns, &[1, 0]), ["G-single-item"]);
    assert!(cycles(&txns, &[0, 1]).is_empty());
}

#[test]
fn two_missed_writes_in_a_row_in_a_circle_are_g2() {
    let txns: [&[Do]; 4] = [
        &[W(0, 1), W(1, 2), W(2, 3)],
        &[R(0, 1), W(1, 5)],
        &[R(2, 3), W(0, 4)],
        &[W(2, 7), W(1, 8)],
    ];
    assert_eq!(cycles(&txns, &[0, 2, 3, 1]), ["G2-item"]);
    assert!(cycles(&txns, &[0, 1, 2, 3]).is_empty());
}
