//! The node's own wall clock set to a wrong time, and set right again against the monotonic clock.
//!
//! Only where the run was allowed to, on a host with a kernel of its own. What touches the clock is behind [`Clock`], so
//! that nothing else of this needs a real one.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use serde::{Deserialize, Serialize};

use super::nothing;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::time_to_effect;
use crate::agent::ledger::UndoStep;
use crate::outcome::{Evidence, NodeOutcome, Outcome};

/// `CAP_SYS_TIME`; capabilities(7).
const SYS_TIME: u32 = 25;

/// The number of the first process namespace; a kernel has it from its start (`PROC_PID_INIT_INO`).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Files by which container engines tell programs where they are.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// The clocks of a host.
pub(super) trait Clock {
    /// The wall clock, nanoseconds since 1970.
    fn wall_ns(&self) -> io::Result<i64>;
    /// Time since the host's start, nanoseconds; nobody can set it.
    fn since_start_ns(&self) -> io::Result<i64>;
    /// Sets the wall clock.
    fn set_wall_ns(&mut self, ns: i64) -> io::Result<()>;
}

/// Those of this host.
pub(super) struct OfThisHost;

impl Clock for OfThisHost {
    fn wall_ns(&self) -> io::Result<i64> {
        read(ClockId::CLOCK_REALTIME)
    }

    fn since_start_ns(&self) -> io::Result<i64> {
        read(ClockId::CLOCK_BOOTTIME)
    }

    fn set_wall_ns(&mut self, ns: i64) -> io::Result<()> {
        let time = TimeSpec::new(ns.div_euclid(SECOND), ns.rem_euclid(SECOND));
        Ok(clock_settime(ClockId::CLOCK_REALTIME, time)?)
    }
}

const SECOND: i64 = 1_000_000_000;

fn read(clock: ClockId) -> io::Result<i64> {
    Ok(Duration::from(clock_gettime(clock)?).as_nanos() as i64)
}

/// Two clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    wall_ns: i64,
    since_start_ns: i64,
}

impl Reading {
    fn of(clock: &dyn Clock) -> io::Result<Self> {
        Ok(Self {
            wall_ns: clock.wall_ns()?,
            since_start_ns: clock.since_start_ns()?,
        })
    }

    /// By how much the wall clock has been set since an earlier reading.
    fn set_since(self, earlier: Reading) -> i64 {
        (self.wall_ns - earlier.wall_ns) - (self.since_start_ns - earlier.since_start_ns)
    }
}

/// What a process may do, and where it is.
struct Place {
    /// Its effective capabilities, as bits.
    capabilities: u64,
    process_namespace: String,
    /// What says that this is a container.
    marks: Vec<String>,
}

impl Place {
    fn here() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let capabilities = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        let namespace = fs::read_link("/proc/self/ns/pid")?;
        let mut marks: Vec<String> = MARKS
            .into_iter()
            .filter(|mark| fs::exists(mark).unwrap_or(true))
            .map(str::to_owned)
            .collect();
        let first = fs::read("/proc/1/environ")?;
        marks.extend(
            (first.split(|byte| *byte == 0))
                .filter(|variable| variable.starts_with(b"container="))
                .map(|variable| String::from_utf8_lossy(variable).into_owned()),
        );
        Ok(Self {
            capabilities: capabilities.unwrap_or(0),
            process_namespace: namespace.display().to_string(),
            marks,
        })
    }

    /// Why the clock must not be set from here.
    fn refusal(&self) -> Option<String> {
        if self.capabilities >> SYS_TIME & 1 == 0 {
            return Some("this node may not set its clock: it lacks CAP_SYS_TIME".to_owned());
        }
        if self.process_namespace != FIRST_NAMESPACE {
            return Some(
                "this node is a container: its clock is that of the machine it runs on".to_owned(),
            );
        }
        let mark = self.marks.first()?;
        Some(format!("this node is a container: {mark}"))
    }
}

/// Whether this host's clock can be set; no more is done than looking.
pub(crate) fn check() -> Result<(), AgentError> {
    let refused = |why: String| AgentError::Refused(format!("host_clock: {why}"));
    let place = Place::here().map_err(|error| refused(error.to_string()))?;
    place.refusal().map_or(Ok(()), |why| Err(refused(why)))
}

/// What will undo it; an error unless the run may do it and this host is one.
pub(super) fn prepare(allowed: bool, offset_ms: i64) -> Result<Vec<UndoStep>, AgentError> {
    if !allowed {
        return Err(AgentError::Refused(
            "host_clock: this run may not set clocks; it needs --allow-host-clock".to_owned(),
        ));
    }
    check()?;
    let before = Reading::of(&OfThisHost).map_err(failed)?;
    Ok(vec![UndoStep::SetHostClockRight { before, offset_ms }])
}

fn failed(error: io::Error) -> AgentError {
    AgentError::Refused(format!("host_clock: {error}"))
}

/// Sets the clock.
pub(super) fn strike(
    steps: &[UndoStep],
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    if noop {
        return Ok(nothing("clock of the host"));
    }
    let [UndoStep::SetHostClockRight { before, offset_ms }] = steps else {
        return Err(AgentError::Refused(
            "host_clock: not prepared, so nothing would undo it".to_owned(),
        ));
    };
    let mut seen = set(&mut OfThisHost, *before, *offset_ms).map_err(failed)?;
    seen.evidence.push(time_to_effect(ordered));
    Ok(seen)
}

/// How far the clock is off just before the end.
pub(super) fn last_look(steps: &[UndoStep], mut installed: NodeOutcome) -> NodeOutcome {
    let [UndoStep::SetHostClockRight { before, offset_ms }] = steps else {
        return installed;
    };
    match Reading::of(&OfThisHost) {
        Ok(now) => {
            let set_ns = now.set_since(*before);
            installed.evidence.push(off("before undo", set_ns));
            if installed.outcome == Outcome::Installed && !in_place(set_ns, *offset_ms) {
                installed.outcome = Outcome::Indeterminate;
            }
        }
        Err(error) => {
            let seen = evidence("clock of the host before undo", error.to_string());
            installed.evidence.push(seen);
        }
    }
    installed
}

/// Sets the clock right, if it is still as the fault left it.
pub(crate) fn undo(before: Reading, offset_ms: i64) -> Result<Evidence, AgentError> {
    set_right(&mut OfThisHost, before, offset_ms).map_err(failed)
}

fn set(clock: &mut dyn Clock, before: Reading, offset_ms: i64) -> io::Result<NodeOutcome> {
    let earlier = Reading::of(clock)?.set_since(before);
    // Someone else sets it: what undoes this would be wrong.
    if earlier.unsigned_abs() > SECOND.unsigned_abs() / 2 {
        return Ok(NodeOutcome {
            outcome: Outcome::Skipped,
            evidence: vec![off("since it was prepared, by someone else", earlier)],
        });
    }
    clock.set_wall_ns(clock.wall_ns()? + offset_ms * 1_000_000)?;
    let set_ns = Reading::of(clock)?.set_since(before);
    let outcome = match in_place(set_ns, offset_ms) {
        true => Outcome::Installed,
        false => Outcome::Indeterminate,
    };
    Ok(NodeOutcome {
        outcome,
        evidence: vec![off("after install", set_ns)],
    })
}

fn set_right(clock: &mut dyn Clock, before: Reading, offset_ms: i64) -> io::Result<Evidence> {
    let now = Reading::of(clock)?;
    if !in_place(now.set_since(before), offset_ms) {
        let set_ns = now.set_since(before);
        return Ok(off("at undo, not by this fault, so it is left", set_ns));
    }
    clock.set_wall_ns(before.wall_ns + (clock.since_start_ns()? - before.since_start_ns))?;
    Ok(off("after undo", Reading::of(clock)?.set_since(before)))
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
    use super::*;

    /// A host's clocks in memory.
    struct Fake {
        wall_ns: i64,
        since_start_ns: i64,
        set: u32,
    }

    impl Fake {
        fn new() -> Self {
            Fake {
                wall_ns: 1_800_000_000 * SECOND,
                since_start_ns: 500 * SECOND,
                set: 0,
            }
        }

        fn pass(&mut self, seconds: i64) {
            self.wall_ns += seconds * SECOND;
            self.since_start_ns += seconds * SECOND;
        }
    }

    impl Clock for Fake {
        fn wall_ns(&self) -> io::Result<i64> {
            Ok(self.wall_ns)
        }

        fn since_start_ns(&self) -> io::Result<i64> {
            Ok(self.since_start_ns)
        }

        fn set_wall_ns(&mut self, ns: i64) -> io::Result<()> {
            self.wall_ns = ns;
            self.set += 1;
            Ok(())
        }
    }

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_clock_is_set_off_and_right_again_to_the_time_that_has_passed() {
        for offset_ms in [HOUR_MS, -HOUR_MS, 2000] {
            let mut clock = Fake::new();
            let before = Reading::of(&clock).unwrap();
            clock.pass(3);
            let outcome = set(&mut clock, before, offset_ms).unwrap();
            assert_eq!(outcome.outcome, Outcome::Installed);
            assert_eq!(
                clock.wall_ns - before.wall_ns,
                3 * SECOND + offset_ms * 1_000_000
            );
            clock.pass(20);
            let seen = set_right(&mut clock, before, offset_ms).unwrap();
            assert_eq!(seen.seen, "+0.0 ms");
            assert_eq!(clock.wall_ns - before.wall_ns, 23 * SECOND);
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
        clock.wall_ns += 10 * SECOND;
        let outcome = set(&mut clock, before, HOUR_MS).unwrap();
        assert_eq!((outcome.outcome, clock.set), (Outcome::Skipped, 0));
        clock.wall_ns = before.wall_ns;
        set(&mut clock, before, HOUR_MS).unwrap();
        // A time service has set it right meanwhile.
        clock.wall_ns = before.wall_ns + SECOND / 10;
        let seen = set_right(&mut clock, before, HOUR_MS).unwrap();
        assert_eq!(clock.set, 1);
        assert!(seen.what.contains("it is left"), "{seen:?}");
    }

    #[test]
    fn only_a_host_with_a_kernel_of_its_own_and_the_right_to_set_its_clock_is_touched() {
        let host = || Place {
            capabilities: 1 << SYS_TIME,
            process_namespace: FIRST_NAMESPACE.to_owned(),
            marks: Vec::new(),
        };
        assert_eq!(host().refusal(), None);
        let refused = [
            Place {
                capabilities: !(1 << SYS_TIME),
                ..host()
            },
            Place {
                process_namespace: "pid:[4026532001]".to_owned(),
                ..host()
            },
            Place {
                marks: vec!["container=lxc".to_owned()],
                ..host()
            },
        ];
        for (place, why) in refused.iter().zip([
            "lacks CAP_SYS_TIME",
            "container: its clock",
            "container=lxc",
        ]) {
            let refusal = place.refusal().unwrap();
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn without_leave_it_is_refused_wherever_it_is_asked_for() {
        let refused = prepare(false, HOUR_MS).unwrap_err().to_string();
        assert!(refused.contains("--allow-host-clock"), "{refused}");
    }

    #[test]
    fn without_its_effect_it_is_skipped_and_sets_no_clock() {
        let undo = [UndoStep::SetHostClockRight {
            before: Reading::of(&OfThisHost).unwrap(),
            offset_ms: HOUR_MS,
        }];
        let struck = strike(&undo, true, Instant::now()).unwrap();
        assert_eq!(struck.outcome, Outcome::Skipped);
        assert_eq!(struck.evidence[0].seen, "not touched");
        let still = last_look(&undo, struck);
        assert_eq!(still.outcome, Outcome::Skipped);
    }
}
