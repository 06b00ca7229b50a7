//! What is measured around faults, and that it agrees with a slow, direct reading of the definitions.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

/// An operation every 10 ms for ten seconds that takes 2 ms; due in the outage it fails after 5 ms.
fn ten_seconds(outage: Stretch) -> Vec<Operation> {
    (0..1_000)
        .map(|i| {
            let due_ns = i * 10 * MS;
            let ok = !outage.contains(&due_ns);
            Operation {
                due_ns,
                completed_ns: Some(due_ns + if ok { 2 } else { 5 } * MS),
                ok,
                interval_ns: None,
            }
        })
        .collect()
}

fn one(operations: Vec<Operation>, start_ms: u64, end_ms: u64) -> FaultAvailability {
    availability(operations, &[("cut".into(), start_ms * MS, end_ms * MS)]).remove(0)
}

#[test]
fn an_outage_as_long_as_its_fault_is_measured_to_the_operation() {
    let found = one(ten_seconds(4_000 * MS..6_000 * MS), 4_000, 6_000);
    assert_eq!(found.first_success_after_start_us, Some(2_002_000));
    assert_eq!(found.first_success_after_end_us, Some(2_000));
    assert_eq!(found.sustained_success_after_end_us, Some(2_000));
    assert_eq!(found.longest_gap_us, 2_002_000);
    assert_eq!((found.during.ok, found.during.errors.events), (0, 200));
    assert_eq!((found.before.errors.events, found.before.ok), (0, 200));
    assert_eq!(found.after.latency.max_us, 2_000);
}

#[test]
fn an_outage_that_outlasts_its_fault_ends_success_only_later() {
    let found = one(ten_seconds(4_000 * MS..7_000 * MS), 4_000, 6_000);
    assert_eq!(found.first_success_after_end_us, Some(1_002_000));
    assert_eq!(found.longest_gap_us, 3_002_000);
}

#[test]
fn a_single_success_is_not_sustained() {
    let mut operations = ten_seconds(4_000 * MS..6_000 * MS);
    operations[500].ok = true;
    let found = one(operations, 4_000, 6_000);
    assert_eq!(found.first_success_after_start_us, Some(1_005_000));
    let sustained = found.sustained_success_after_start_us.unwrap();
    assert!(sustained > 1_900_000, "{sustained}");
}

#[test]
fn a_fault_without_effect_changes_nothing() {
    let found = one(ten_seconds(0..0), 4_000, 6_000);
    assert_eq!(found.during.errors.events, 0);
    assert_eq!(found.sustained_success_after_start_us, Some(2_000));
    assert!(found.longest_gap_us <= 10_000, "{}", found.longest_gap_us);
    assert_eq!(found.before.latency, found.during.latency);
}

#[test]
fn load_that_ends_with_the_fault_proves_no_recovery() {
    let mut operations = ten_seconds(4_000 * MS..6_000 * MS);
    operations.truncate(620);
    let found = one(operations, 4_000, 6_000);
    assert_eq!(found.first_success_after_end_us, Some(2_000));
    assert_eq!(found.sustained_success_after_end_us, None);
}

#[test]
fn time_in_which_nothing_was_due_is_no_gap() {
    let mut operations = ten_seconds(0..0);
    operations.retain(|o| !(4_500 * MS..5_500 * MS).contains(&o.due_ns));
    assert!(one(operations, 4_000, 6_000).longest_gap_us <= 10_000);
}

#[test]
fn a_stall_of_a_closed_loop_counts_for_the_operations_it_kept_from_being_sent() {
    let stalled = |interval_ns| {
        let mut operations = ten_seconds(0..0);
        operations.retain(|o| !(4_001 * MS..5_000 * MS).contains(&o.due_ns));
        operations[400].completed_ns = Some(5_000 * MS);
        for operation in &mut operations {
            operation.interval_ns = interval_ns;
        }
        one(operations, 4_000, 5_000).during.latency
    };
    assert_eq!(stalled(None).p50_us, stalled(Some(10 * MS)).max_us);
    let corrected = stalled(Some(10 * MS));
    assert_eq!(corrected.max_us, 1_000_000);
    assert!(
        (400_000..600_000).contains(&corrected.p50_us),
        "{corrected:?}"
    );
}

#[test]
fn without_operations_nothing_is_claimed() {
    let found = one(Vec::new(), 4_000, 6_000);
    assert_eq!(found.first_success_after_start_us, None);
    assert_eq!(found.sustained_success_after_start_us, None);
    assert_eq!((found.longest_gap_us, found.during.errors.trials), (0, 0));
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = (0..5_000u64, prop::option::of(0..900u64), any::<bool>()).prop_map(
        |(due_ms, took_ms, ok)| Operation {
            due_ns: due_ms * MS,
            completed_ns: took_ms.map(|took| (due_ms + took) * MS),
            ok: ok && took_ms.is_some(),
            interval_ns: None,
        },
    );
    prop::collection::vec(operation, 0..60)
}

proptest! {
    #[test]
    fn figures_agree_with_a_direct_reading_of_their_definitions(
        operations in operations(), start in 0..5_000u64, length in 0..2_000u64,
    ) {
        let (from, to) = (start * MS, (start + length) * MS);
        let found = one(operations.clone(), start, start + length);
        let in_fault = |o: &&Operation| (from..to).contains(&o.due_ns);
        let due = operations.iter().filter(in_fault).count() as u64;
        prop_assert_eq!(found.during.errors.trials, due);
        prop_assert_eq!(found.during.ok, operations.iter().filter(in_fault).filter(|o| o.ok).count() as u64);
        let completions = || operations.iter().filter(|o| o.ok).filter_map(|o| o.completed_ns);
        let next = completions().filter(|at| *at >= to).min();
        prop_assert_eq!(found.first_success_after_end_us, next.map(|at| (at - to) / 1_000));
        let baseline = found.before.errors.share().map_or(1.0, |errors| 1.0 - errors);
        let last_due = operations.iter().map(|o| o.due_ns).max().unwrap_or(0);
        let sustained = completions().filter(|at| *at >= to && at + SECOND <= last_due).filter(|at| {
            let window: Vec<_> = operations.iter().filter(|o| (*at..at + SECOND).contains(&o.due_ns)).collect();
            let ok = window.iter().filter(|o| o.ok).count() as f64;
            !window.is_empty() && ok / window.len() as f64 >= baseline - SHORTFALL - 1e-12
        }).min();
        prop_assert_eq!(found.sustained_success_after_end_us, sustained.map(|at| (at - to) / 1_000));
    }
}
