//! Faults that a node suffers by itself in a run, over SSH: each happens and is shown; without their effect the
//! run is unknown.

mod run;

use run::{Ended, every_fault_counts};

fn bad_nodes(more: &[&str]) -> Ended {
    let text = include_str!("run/bad_nodes.toml");
    every_fault_counts("bad_nodes", text, 10, more)
}

#[test]
fn every_fault_of_a_node_happens_and_no_acknowledged_write_is_lost() {
    bad_nodes(&[]).expect(0);
}

#[test]
fn without_their_effect_every_fault_of_a_node_is_skipped_and_the_run_unknown() {
    bad_nodes(&["--noop-faults"]).expect(2);
}
