//! Faults on the network in a run, over SSH: each happens and is shown; without their effect the run is
//! unknown.

mod run;

use run::{Ended, every_fault_counts};

fn bad_network(more: &[&str]) -> Ended {
    let text = include_str!("run/bad_network.toml");
    every_fault_counts("bad_network", text, 8, more)
}

#[test]
fn every_fault_on_the_network_happens_and_no_acknowledged_write_is_lost() {
    bad_network(&[]).expect(0);
}

#[test]
fn without_their_effect_every_fault_on_the_network_is_skipped_and_the_run_unknown() {
    bad_network(&["--noop-faults"]).expect(2);
}
