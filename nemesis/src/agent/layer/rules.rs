//! What a layer does to the operations that pass through it, and how many it did it to.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::fault::io::{IoEffects, Operation};

/// How long an operation that is held sleeps before it looks whether the fault has ended.
const NAP: Duration = Duration::from_millis(10);

/// A torn write ends at a multiple of this many bytes, as on a disk.
const SECTOR: usize = 512;

/// Operations so far, since the rules were last changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// That the fault could have hit.
    pub(crate) seen: u64,
    /// That failed with EIO.
    pub(crate) failed: u64,
    /// That failed with EROFS.
    pub(crate) refused: u64,
    /// That were held.
    pub(crate) held: u64,
    /// Writes of which only a part was done.
    pub(crate) torn: u64,
}

impl Counts {
    /// Operations that came out otherwise than without the fault.
    pub(crate) fn hit(self) -> u64 {
        self.failed + self.refused + self.held + self.torn
    }
}

/// The rules in force.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// Counts changes of the rules.
    version: AtomicU64,
}

#[derive(Debug)]
struct State {
    effects: Option<IoEffects>,
    random: ChaCha8Rng,
    counts: Counts,
    /// When what was let through so far has passed a disk of the given speed.
    free_at: Instant,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                effects: None,
                random: ChaCha8Rng::seed_from_u64(0),
                counts: Counts::default(),
                free_at: Instant::now(),
            }),
            version: AtomicU64::new(0),
        }
    }

    /// Sets other rules, or none; what was counted under those before.
    pub(super) fn change(&self, effects: Option<IoEffects>) -> Counts {
        let mut state = self.state();
        let counts = std::mem::take(&mut state.counts);
        let seed = effects.as_ref().map_or(0, |effects| effects.seed);
        state.random = ChaCha8Rng::seed_from_u64(seed);
        state.effects = effects;
        state.free_at = Instant::now();
        self.version.fetch_add(1, Ordering::Relaxed);
        counts
    }

    /// What was counted under the rules in force.
    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Holds an operation, and says whether it fails.
    pub(super) fn pass(&self, operation: Operation, bytes: usize) -> io::Result<()> {
        let error = |error: nix::Error| Err(io::Error::from(error));
        let (until, outcome) = {
            let mut state = self.state();
            let Some(effects) = state.effects.clone() else {
                return Ok(());
            };
            if effects.read_only && operation == Operation::Write {
                state.counts.seen += 1;
                state.counts.refused += 1;
                return error(nix::Error::EROFS);
            }
            if !effects.operations.contains(&operation) {
                return Ok(());
            }
            state.counts.seen += 1;
            let now = Instant::now();
            let mut until = now + Duration::from_millis(effects.latency_ms.into());
            if let Some(speed) = effects.bytes_per_second {
                let takes = Duration::from_secs_f64(bytes as f64 / speed as f64);
                state.free_at = state.free_at.max(now) + takes;
                until = until.max(state.free_at);
            }
            if until > now {
                state.counts.held += 1;
            }
            if effects.fail > 0.0 && state.random.random_bool(effects.fail) {
                state.counts.failed += 1;
                (until, error(nix::Error::EIO))
            } else {
                (until, Ok(()))
            }
        };
        let version = self.version.load(Ordering::Relaxed);
        while Instant::now() < until && self.version.load(Ordering::Relaxed) == version {
            thread::sleep(NAP.min(until.saturating_duration_since(Instant::now())));
        }
        outcome
    }

    /// How many bytes of a write are really written.
    pub(super) fn tear(&self, bytes: usize) -> usize {
        let mut state = self.state();
        let torn = state.effects.as_ref().map_or(0.0, |effects| effects.torn);
        let sectors = bytes.div_ceil(SECTOR);
        if sectors < 2 || torn == 0.0 || !state.random.random_bool(torn) {
            return bytes;
        }
        state.counts.torn += 1;
        state.random.random_range(1..sectors) * SECTOR
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects() -> IoEffects {
        IoEffects {
            operations: vec![Operation::Write],
            fail: 0.0,
            torn: 0.0,
            latency_ms: 0,
            bytes_per_second: None,
            read_only: false,
            seed: 1,
        }
    }

    fn code(outcome: io::Result<()>) -> Option<i32> {
        outcome.err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn only_the_operations_named_fail_and_about_as_often_as_asked() {
        let gate = Gate::new();
        assert!(gate.pass(Operation::Write, 1).is_ok());
        gate.change(Some(IoEffects {
            fail: 0.25,
            ..effects()
        }));
        let failed = (0..4000).filter(|_| gate.pass(Operation::Write, 1).is_err());
        assert!((800..1200).contains(&failed.count()));
        assert!((0..100).all(|_| gate.pass(Operation::Read, 1).is_ok()));
        let counts = gate.change(None);
        assert_eq!(counts.seen, 4000);
        assert!(gate.pass(Operation::Write, 1).is_ok());
        assert_eq!(gate.counts(), Counts::default());
    }

    #[test]
    fn a_read_only_disk_refuses_writes_and_lets_reads_and_syncs_pass() {
        let gate = Gate::new();
        gate.change(Some(IoEffects {
            read_only: true,
            ..effects()
        }));
        let refused = code(gate.pass(Operation::Write, 1));
        assert_eq!(refused, Some(nix::Error::EROFS as i32));
        assert_eq!(code(gate.pass(Operation::Read, 1)), None);
        assert_eq!(code(gate.pass(Operation::Sync, 1)), None);
    }

    #[test]
    fn a_torn_write_loses_its_end_and_a_write_of_one_sector_is_whole() {
        let gate = Gate::new();
        gate.change(Some(IoEffects {
            torn: 1.0,
            ..effects()
        }));
        assert_eq!(gate.tear(512), 512);
        for _ in 0..100 {
            let written = gate.tear(4096);
            assert!(written > 0 && written < 4096 && written.is_multiple_of(SECTOR));
        }
        assert_eq!(gate.counts().torn, 100);
    }

    #[test]
    fn what_is_held_goes_on_as_soon_as_the_fault_ends() {
        let gate = std::sync::Arc::new(Gate::new());
        gate.change(Some(IoEffects {
            latency_ms: 60_000,
            ..effects()
        }));
        let held = {
            let gate = std::sync::Arc::clone(&gate);
            thread::spawn(move || gate.pass(Operation::Write, 1).is_ok())
        };
        while gate.counts().held == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        gate.change(None);
        assert!(held.join().unwrap());
    }
}
