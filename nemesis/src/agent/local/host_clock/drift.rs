//! All clocks of the host running too fast or too slowly, by the kernel's own correction of its timer.
//!
//! Monotonic clocks run wrong with the wall clock; only what the hardware counts (`CLOCK_MONOTONIC_RAW`) does not.

use std::io;

use super::clock::{Clock, Frequency, OfThisHost, Reading};
use super::{failed, outcome};
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::outcome::{Evidence, NodeOutcome};

/// A wall clock that has been set by more than this since was set by someone else.
const SET_NS: u64 = 5_000_000;

/// Lets the clocks run wrong. From `before` on they do.
pub(super) fn set(
    clock: &mut dyn Clock,
    before: &mut Reading,
    natural: Frequency,
    ours: Frequency,
) -> io::Result<NodeOutcome> {
    // What was read before it was written down is as right, and says less of how fast they run from now on.
    *before = Reading::of(clock)?;
    clock.set_frequency(ours, 0)?;
    let now = clock.frequency()?;
    let seen = vec![
        kernel("before install", natural),
        kernel("after install", now),
    ];
    Ok(outcome(now.is(ours), seen))
}

/// How fast they run, and whether that is about as fast as they were made to.
pub(super) fn look(
    clock: &dyn Clock,
    before: Reading,
    natural: Frequency,
    ours: Frequency,
) -> io::Result<(Vec<Evidence>, bool)> {
    let now = Reading::of(clock)?;
    let frequency = clock.frequency()?;
    let gained_ns = now.gained_since(before, natural);
    let passed_ns = now.passed_since(before);
    let measured = gained_ns as f64 * 1e6 / passed_ns.max(1) as f64;
    let asked = ours.ppm() - natural.ppm();
    let seen = vec![
        kernel("before undo", frequency),
        evidence(
            "rate of the host's clocks against CLOCK_MONOTONIC_RAW, measured, before undo",
            format!(
                "{measured:+.1} ppm over {:.3} s; {asked:+.1} ppm asked",
                passed_ns as f64 / 1e9
            ),
        ),
        gained("before undo", gained_ns),
    ];
    let in_place = frequency.is(ours) && (measured - asked).abs() < asked.abs() / 2.0;
    Ok((seen, in_place))
}

/// Lets the clocks run as before, and takes back what the wall clock has gained, if both are as the fault left them.
pub(crate) fn undo(
    before: Reading,
    natural: Frequency,
    ours: Frequency,
) -> Result<Evidence, AgentError> {
    set_back(&mut OfThisHost, before, natural, ours).map_err(failed)
}

fn set_back(
    clock: &mut dyn Clock,
    before: Reading,
    natural: Frequency,
    ours: Frequency,
) -> io::Result<Evidence> {
    let frequency = clock.frequency()?;
    if !frequency.is(ours) {
        return Ok(kernel(
            "at undo, not by this fault, so it is left",
            frequency,
        ));
    }
    let now = Reading::of(clock)?;
    if now.set_since(before).unsigned_abs() > SET_NS {
        clock.set_frequency(natural, 0)?;
        return Ok(kernel(
            "after undo; someone else has set the wall clock, so its time is left",
            clock.frequency()?,
        ));
    }
    let gained_ns = now.gained_since(before, natural);
    clock.set_frequency(natural, -gained_ns / 1000)?;
    // What was gained between reading and setting, if this process had to wait for a processor there.
    let left_ns = ahead(clock, before, natural)?;
    clock.set_frequency(natural, -left_ns / 1000)?;
    Ok(gained("after undo", ahead(clock, before, natural)?))
}

/// By how much the wall clock is ahead of what it would show, had it always run at this frequency and nobody set it.
fn ahead(clock: &dyn Clock, before: Reading, natural: Frequency) -> io::Result<i64> {
    let now = Reading::of(clock)?;
    Ok(now.set_since(before) + now.gained_since(before, natural))
}

fn kernel(when: &str, frequency: Frequency) -> Evidence {
    evidence(
        format!("rate of the host's clocks as the kernel says {when}"),
        format!("{:+.1} ppm", frequency.ppm()),
    )
}

fn gained(when: &str, ns: i64) -> Evidence {
    evidence(
        format!("clock of the host against CLOCK_MONOTONIC_RAW {when}"),
        format!("{:+.3} ms", ns as f64 / 1e6),
    )
}

#[cfg(test)]
mod tests {
    use super::super::clock::SECOND;
    use super::super::clock::fake::Fake;
    use super::*;
    use crate::outcome::Outcome;

    /// A clock, one that nothing is done to, and what they were like.
    fn clocks(ppm: i32) -> (Fake, Fake, Reading, Frequency, Frequency) {
        let clock = Fake::new();
        let (before, natural) = (Reading::of(&clock).unwrap(), clock.frequency);
        (clock, Fake::new(), before, natural, natural.faster_by(ppm))
    }

    #[test]
    fn clocks_run_wrong_and_the_wall_clock_is_right_again_afterwards() {
        for ppm in [90_000, -90_000, 1234, -100] {
            let (mut clock, mut undisturbed, mut before, natural, ours) = clocks(ppm);
            clock.pass(3);
            undisturbed.pass(3);
            let struck = set(&mut clock, &mut before, natural, ours).unwrap();
            assert_eq!(struck.outcome, Outcome::Installed, "{struck:?}");
            clock.pass(20);
            undisturbed.pass(20);
            let ahead = clock.wall_ns - undisturbed.wall_ns;
            assert!((ahead - i64::from(ppm) * 20_000).abs() <= 1, "{ahead}");
            let (seen, in_place) = look(&clock, before, natural, ours).unwrap();
            assert!(in_place, "{seen:?}");
            let seen = set_back(&mut clock, before, natural, ours).unwrap();
            assert!(seen.what.ends_with("after undo"), "{seen:?}");
            assert_eq!(clock.frequency, natural);
            assert!((clock.wall_ns - undisturbed.wall_ns).abs() < 2000);
        }
    }

    #[test]
    fn what_is_on_disk_from_before_the_clocks_ran_wrong_sets_them_as_right() {
        let (mut clock, mut undisturbed, mut before, natural, ours) = clocks(50_000);
        let on_disk = before;
        clock.pass(3);
        set(&mut clock, &mut before, natural, ours).unwrap();
        clock.pass(8);
        set_back(&mut clock, on_disk, natural, ours).unwrap();
        undisturbed.pass(11);
        assert!((clock.wall_ns - undisturbed.wall_ns).abs() < 2000);
    }

    #[test]
    fn undoing_again_and_undoing_what_never_struck_sets_nothing() {
        let (mut clock, _, mut before, natural, ours) = clocks(1000);
        clock.pass(5);
        let seen = set_back(&mut clock, before, natural, ours).unwrap();
        assert!(seen.what.contains("it is left"), "{seen:?}");
        assert_eq!(clock.set, 0, "never struck");
        set(&mut clock, &mut before, natural, ours).unwrap();
        clock.pass(5);
        set_back(&mut clock, before, natural, ours).unwrap();
        set_back(&mut clock, before, natural, ours).unwrap();
        assert_eq!(clock.set, 1, "once right");
    }

    #[test]
    fn clocks_that_someone_else_sets_are_left_alone() {
        let (mut clock, _, mut before, natural, ours) = clocks(1000);
        set(&mut clock, &mut before, natural, ours).unwrap();
        clock.pass(5);
        clock.wall_ns += SECOND;
        let seen = set_back(&mut clock, before, natural, ours).unwrap();
        assert!(seen.what.contains("its time is left"), "{seen:?}");
        assert_eq!((clock.frequency, clock.set), (natural, 0));

        set(&mut clock, &mut before, natural, ours).unwrap();
        clock.frequency = natural.faster_by(-7);
        assert!(!look(&clock, before, natural, ours).unwrap().1);
        set_back(&mut clock, before, natural, ours).unwrap();
        assert_eq!(clock.frequency, natural.faster_by(-7));
    }

    #[test]
    fn clocks_that_did_not_run_wrong_though_the_kernel_said_so_are_noticed() {
        let (mut clock, _, mut before, natural, ours) = clocks(1000);
        set(&mut clock, &mut before, natural, ours).unwrap();
        clock.frequency = natural;
        clock.pass(10);
        clock.frequency = ours;
        assert!(!look(&clock, before, natural, ours).unwrap().1);
    }
}
