//! The wall clock set to a wrong time.

use std::io;

use super::clock::{Clock, OfThisHost, Reading};
use super::{failed, outcome};
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::outcome::{Evidence, NodeOutcome};

/// Sets the clock off.
pub(super) fn set(
    clock: &mut dyn Clock,
    before: Reading,
    offset_ms: i64,
) -> io::Result<NodeOutcome> {
    let now = Reading::of(clock)?;
    clock.set_wall_ns(due(clock, now)? + offset_ms * 1_000_000)?;
    let set_ns = Reading::of(clock)?.set_since(before);
    let in_place = in_place(set_ns, offset_ms);
    Ok(outcome(in_place, vec![off("after install", set_ns)]))
}

/// How far off it is, and whether that is by about what it was set off.
pub(super) fn look(
    clock: &dyn Clock,
    before: Reading,
    offset_ms: i64,
) -> io::Result<(Vec<Evidence>, bool)> {
    let set_ns = Reading::of(clock)?.set_since(before);
    Ok((
        vec![off("before undo", set_ns)],
        in_place(set_ns, offset_ms),
    ))
}

/// Sets the clock right, if it is still as the fault left it.
pub(crate) fn undo(before: Reading, offset_ms: i64) -> Result<Evidence, AgentError> {
    set_right(&mut OfThisHost, before, offset_ms).map_err(failed)
}

fn set_right(clock: &mut dyn Clock, before: Reading, offset_ms: i64) -> io::Result<Evidence> {
    let set_ns = Reading::of(clock)?.set_since(before);
    if !in_place(set_ns, offset_ms) {
        return Ok(off("at undo, not by this fault, so it is left", set_ns));
    }
    clock.set_wall_ns(due(clock, before)?)?;
    Ok(off("after undo", Reading::of(clock)?.set_since(before)))
}

/// The time it is now, had nobody set the clock since an earlier reading.
fn due(clock: &dyn Clock, earlier: Reading) -> io::Result<i64> {
    Ok(earlier.wall_ns + (clock.since_start_ns()? - earlier.since_start_ns))
}

/// Whether the clock is off by about what the fault set it to.
fn in_place(set_ns: i64, offset_ms: i64) -> bool {
    let asked_ns = offset_ms * 1_000_000;
    (set_ns - asked_ns).unsigned_abs() < asked_ns.unsigned_abs() / 2
}

fn off(when: &str, set_ns: i64) -> Evidence {
    let set_ms = set_ns as f64 / 1e6;
    evidence(
        format!("clock of the host against its monotonic one {when}"),
        format!("{set_ms:+.1} ms"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::clock::SECOND;
    use super::super::clock::fake::Fake;
    use super::*;
    use crate::outcome::Outcome;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_clock_is_set_off_and_right_again_to_the_time_that_has_passed() {
        for offset_ms in [HOUR_MS, -HOUR_MS, 2000] {
            let mut clock = Fake::new();
            let (mut undisturbed, before) = (Fake::new(), Reading::of(&clock).unwrap());
            clock.pass(3);
            let outcome = set(&mut clock, before, offset_ms).unwrap();
            assert_eq!(outcome.outcome, Outcome::Installed);
            undisturbed.pass(3);
            assert_eq!(clock.wall_ns - undisturbed.wall_ns, offset_ms * 1_000_000);
            clock.pass(20);
            assert!(look(&clock, before, offset_ms).unwrap().1);
            let seen = set_right(&mut clock, before, offset_ms).unwrap();
            assert_eq!(seen.seen, "+0.0 ms");
            undisturbed.pass(20);
            assert_eq!(clock.wall_ns, undisturbed.wall_ns);
        }
    }

    #[test]
    fn undoing_again_and_undoing_what_never_struck_sets_nothing() {
        let mut clock = Fake::new();
        let before = Reading::of(&clock).unwrap();
        clock.pass(5);
        set_right(&mut clock, before, HOUR_MS).unwrap();
        assert_eq!(clock.set, 0, "never struck");
        set(&mut clock, before, HOUR_MS).unwrap();
        set_right(&mut clock, before, HOUR_MS).unwrap();
        set_right(&mut clock, before, HOUR_MS).unwrap();
        assert_eq!(clock.set, 2, "once off and once right");
    }

    #[test]
    fn a_clock_that_someone_else_sets_is_left_alone() {
        let mut clock = Fake::new();
        let before = Reading::of(&clock).unwrap();
        set(&mut clock, before, HOUR_MS).unwrap();
        // A time service has set it right meanwhile.
        clock.wall_ns = before.wall_ns + SECOND / 10;
        assert!(!look(&clock, before, HOUR_MS).unwrap().1);
        let seen = set_right(&mut clock, before, HOUR_MS).unwrap();
        assert_eq!(clock.set, 1);
        assert!(seen.what.contains("it is left"), "{seen:?}");
    }
}
