//! Each class detected, and not reported where it does not apply.

use super::*;

#[test]
fn an_acknowledged_put_that_is_there_is_ok() {
    let run = Run::default().put(1, 1, OK).put(1, 2, OK);
    assert_class(
        KeyClass::Ok,
        run,
        &[(Routed, version(2)), (Owner, version(2))],
    );
}

#[test]
fn an_acknowledged_put_that_is_gone_is_lost() {
    assert_class(KeyClass::Lost, Run::default().put(1, 1, OK), &[]);
    assert_class(
        KeyClass::Lost,
        Run::default().put(1, 1, OK),
        &[(Routed, absent())],
    );
    assert_class(
        KeyClass::Lost,
        Run::default().put(1, 1, OK).put(1, 2, INFO),
        &[],
    );
    assert_class(
        KeyClass::Lost,
        Run::default().delete(1, 1, OK).put(1, 2, OK),
        &[],
    );
    assert_class(
        KeyClass::Lost,
        Run::default().put(1, 1, OK).delete(1, 2, FAIL),
        &[],
    );
}

#[test]
fn a_put_that_was_never_acknowledged_may_be_gone() {
    for end in [FAIL, INFO, NEVER] {
        assert_class(
            KeyClass::Ok,
            Run::default().put(1, 1, end),
            &[(Routed, absent())],
        );
    }
}

#[test]
fn an_indeterminate_delete_may_have_removed_an_acknowledged_put() {
    for end in [INFO, NEVER] {
        let run = Run::default().put(1, 1, OK).delete(1, 2, end);
        let report = run.seen(&[]);
        assert_eq!(
            (class(&report), report.indeterminate_present),
            (KeyClass::Ok, 1)
        );
        let delayed = Run::default().delete(1, 1, end).put(1, 2, OK);
        assert_class(KeyClass::Ok, delayed, &[]);
    }
}

#[test]
fn an_older_acknowledged_version_is_stale() {
    let run = || Run::default().put(1, 1, OK).put(1, 2, OK);
    assert_class(KeyClass::Stale, run(), &[(Routed, version(1))]);
    assert_class(
        KeyClass::Stale,
        run(),
        &[(Routed, version(2)), (Owner, version(1))],
    );
}

#[test]
fn an_older_indeterminate_version_is_not_stale() {
    for end in [INFO, NEVER] {
        let run = Run::default().put(1, 1, end).put(1, 2, OK);
        let report = run.seen(&[(Routed, version(1))]);
        assert_eq!(
            (class(&report), report.indeterminate_present),
            (KeyClass::Ok, 1)
        );
    }
}

#[test]
fn a_document_whose_delete_was_acknowledged_is_resurrected() {
    let run = || Run::default().put(1, 1, OK).delete(1, 2, OK);
    assert_class(KeyClass::Resurrected, run(), &[(Routed, version(1))]);
    assert_class(
        KeyClass::Resurrected,
        run(),
        &[(Routed, absent()), (Owner, version(1))],
    );
}

#[test]
fn a_document_written_again_or_perhaps_again_is_not_resurrected() {
    for end in [OK, INFO, NEVER] {
        let run = Run::default().put(1, 1, OK).delete(1, 2, OK).put(1, 3, end);
        assert_class(KeyClass::Ok, run, &[(Routed, version(3))]);
    }
    let gone = Run::default().put(1, 1, OK).delete(1, 2, OK);
    assert_class(KeyClass::Ok, gone, &[(Routed, absent())]);
}

#[test]
fn a_damaged_document_is_corrupted() {
    assert_class(
        KeyClass::Corrupted,
        Run::default().put(1, 1, OK),
        &[(Routed, corrupt())],
    );
    let rows = [(Routed, version(1)), (Owner, corrupt())];
    assert_class(KeyClass::Corrupted, Run::default().put(1, 1, OK), &rows);
}

#[test]
fn a_damaged_copy_on_a_former_owner_is_not_corruption() {
    let rows = [(Routed, version(1)), (FormerOwner, corrupt())];
    assert_class(KeyClass::LeftBehind, Run::default().put(1, 1, OK), &rows);
}

#[test]
fn what_nobody_wrote_is_a_phantom() {
    assert_class(KeyClass::Phantom, Run::default(), &[(Routed, version(1))]);
    assert_class(
        KeyClass::Phantom,
        Run::default().put(1, 1, OK),
        &[(Routed, version(2))],
    );
    assert_class(
        KeyClass::Phantom,
        Run::default().put(1, 1, FAIL),
        &[(Routed, version(1))],
    );
    assert_class(
        KeyClass::Phantom,
        Run::default().delete(1, 1, OK),
        &[(Routed, version(1))],
    );
    let rows = [(Routed, absent()), (Stranger, version(1))];
    assert_class(KeyClass::Phantom, Run::default().put(1, 1, FAIL), &rows);
}

#[test]
fn what_may_have_been_written_is_no_phantom() {
    for end in [INFO, NEVER] {
        let report = Run::default().put(1, 1, end).seen(&[(Routed, version(1))]);
        assert_eq!(
            (class(&report), report.indeterminate_present),
            (KeyClass::Ok, 1)
        );
    }
    let retried = Run::default().put(1, 1, FAIL).put(1, 1, OK);
    assert_class(KeyClass::Ok, retried, &[(Routed, version(1))]);
}

#[test]
fn copies_away_from_the_owners_are_misplaced_or_left_behind() {
    let run = || Run::default().put(1, 1, OK).put(1, 2, OK);
    let and = |place, seen| [(Routed, version(2)), (Owner, version(2)), (place, seen)];
    assert_class(KeyClass::Misplaced, run(), &and(Stranger, version(2)));
    assert_class(KeyClass::LeftBehind, run(), &and(FormerOwner, version(1)));
    assert_class(KeyClass::Ok, run(), &and(Owner, version(2)));
}

#[test]
fn a_lost_document_names_the_nodes_that_still_have_it() {
    let run = Run::default().put(1, 1, OK).put(1, 2, OK);
    let report = run.judge(&[
        (0, Routed, absent()),
        (1, Owner, version(2)),
        (2, FormerOwner, version(1)),
        (3, Stranger, corrupt()),
    ]);
    assert_eq!(class(&report), KeyClass::Lost);
    let found = [("s1", Some(2)), ("s2", Some(1)), ("s3", None)];
    let anomaly = &report.anomalies[0];
    assert_eq!(
        anomaly.found,
        found.map(|(source, version)| (source.to_owned(), version))
    );
    assert_eq!(
        (anomaly.acknowledged_version, anomaly.written_ns),
        (Some(2), Some(2))
    );
    assert!(
        anomaly.explanation.contains("s2 has version 1"),
        "{}",
        anomaly.explanation
    );
}
