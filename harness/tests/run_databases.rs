//! The controls: a real database that must pass, and one that must lose acknowledged writes.
//!
//! Their packages come from Debian's mirrors the first time. Without a network these tests fail and say so: a control
//! that is left out proves nothing.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use run::{run, runs, scratch};
use shakedown_reports::results::Verdict;

#[test]
fn etcd_stays_linearizable_while_its_leader_is_cut_off_killed_and_paused() {
    let files = scratch();
    let out = runs(&files);
    let ended = run(&["run", "etcd_register", "--seed", "1", "--out", &out]);
    ended.expect(0);
    let scenario = &ended.results().scenarios[0];
    assert_eq!(scenario.faults.len(), 3);
    assert_eq!(scenario.models[0].verdict, Verdict::Valid);
}

#[test]
fn redis_with_sentinel_loses_acknowledged_writes_when_its_primary_is_cut_off() {
    let files = scratch();
    let out = runs(&files);
    let ended = run(&["run", "redis_lost_writes", "--seed", "1", "--out", &out]);
    ended.expect(0);
    let scenario = &ended.results().scenarios[0];
    // Valid, since it is expected; the model itself is violated.
    assert_eq!(scenario.verdict, Verdict::Valid);
    assert_eq!(scenario.models[0].verdict, Verdict::Invalid);
    let lost = scenario.checkpoints[0].loss.lost.events;
    assert!(lost > 100, "{lost}");
}
