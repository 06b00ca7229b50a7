//! All keys of a run, shared out so that each has exactly one writer.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shakedown_checker::history::Process;

use crate::documents::Mix;
use crate::documents::lane::Lane;
use crate::operation::Operation;

/// The keys of a run and the state of their writers; clones share it.
///
/// Keys are divided into groups, groups into lanes, one lane per process of the group's largest
/// stage. A stage's processes take over all lanes of its group for as long as it lasts, each as
/// many as any other, so later stages update, delete and read the keys of earlier ones.
#[derive(Debug, Clone)]
pub struct KeySpace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    groups: BTreeMap<String, Range<u32>>,
    lanes: Vec<Slot>,
}

/// A lane's place, empty while a stage has it.
#[derive(Debug)]
struct Slot {
    parked: Mutex<Option<Parked>>,
    /// Copy of the lane's number of slots that can be read while a stage has it.
    slots: AtomicU32,
}

#[derive(Debug)]
struct Parked {
    lane: Lane,
    /// Number of the client process that may next use it.
    process: i32,
}

/// Why a stage cannot have its keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySpaceError {
    /// No stage with this group was announced.
    #[error("no key group {group:?} in this run")]
    UnknownGroup {
        /// The group asked for.
        group: String,
    },
    /// More processes than any stage that was announced has.
    #[error("key group {group:?} is laid out for {lanes} processes, not {processes}")]
    TooManyProcesses {
        /// The group.
        group: String,
        /// Processes it is laid out for.
        lanes: u32,
        /// Processes asked for.
        processes: u32,
    },
    /// Another stage has them.
    #[error(
        "key group {group:?} is in use by another load stage: stages that overlap need groups of their own"
    )]
    Busy {
        /// The group.
        group: String,
    },
}

impl KeySpace {
    /// The key space of a run with these load stages, given as key group and processes. The order
    /// and number of stages do not matter, only each group's largest number of processes.
    pub fn new<'a>(seed: u64, stages: impl IntoIterator<Item = (&'a str, NonZeroU32)>) -> Self {
        let mut sizes: BTreeMap<String, u32> = BTreeMap::new();
        for (group, processes) in stages {
            let size = sizes.entry(group.to_owned()).or_default();
            *size = processes.get().max(*size);
        }
        let mut width = 0;
        let mut groups = BTreeMap::new();
        for (group, size) in sizes {
            groups.insert(group, width..width + size);
            width += size;
        }
        let lanes = (0..width).map(|number| Slot {
            parked: Mutex::new(Some(Parked {
                lane: Lane::new(seed, number, width),
                process: i32::try_from(number).expect("far fewer processes than i32::MAX"),
            })),
            slots: AtomicU32::new(0),
        });
        KeySpace(Arc::new(Shared {
            groups,
            lanes: lanes.collect(),
        }))
    }

    /// Takes the lanes of `group` for `processes` writers; they return when the actors are dropped.
    ///
    /// # Errors
    /// If the group is unknown, laid out for fewer processes, or in use.
    pub fn actors(&self, group: &str, processes: NonZeroU32) -> Result<Vec<Actor>, KeySpaceError> {
        let processes = processes.get();
        let Some(range) = self.0.groups.get(group).cloned() else {
            let group = group.to_owned();
            return Err(KeySpaceError::UnknownGroup { group });
        };
        if processes > range.end - range.start {
            return Err(KeySpaceError::TooManyProcesses {
                group: group.to_owned(),
                lanes: range.end - range.start,
                processes,
            });
        }
        let mut actors = Vec::new();
        for index in 0..processes {
            let mut lanes = Vec::new();
            let mut process = None;
            for number in (range.start + index..range.end).step_by(processes as usize) {
                let Some(parked) = self.0.lanes[number as usize].lock().take() else {
                    // Lanes taken so far go back when `actors` is dropped; this actor's by hand.
                    drop(Actor::new(
                        self.0.clone(),
                        lanes,
                        process.unwrap_or_default(),
                    ));
                    let group = group.to_owned();
                    return Err(KeySpaceError::Busy { group });
                };
                process.get_or_insert(parked.process);
                lanes.push(parked);
            }
            let process = process.expect("every process has at least one lane");
            actors.push(Actor::new(self.0.clone(), lanes, process));
        }
        Ok(actors)
    }

    /// Every key any stage ever wrote, ascending. While stages run, those up to now.
    pub fn keys(&self) -> Vec<i64> {
        let width = self.0.lanes.len();
        let counts = self
            .0
            .lanes
            .iter()
            .map(|slot| slot.slots.load(Ordering::Relaxed));
        let counts: Vec<u32> = counts.collect();
        let rounds = counts.iter().copied().max().unwrap_or(0);
        (0..rounds)
            .flat_map(|round| (0..width).map(move |lane| (round, lane)))
            .filter(|(round, lane)| *round < counts[*lane])
            .map(|(round, lane)| i64::from(round) * width as i64 + lane as i64)
            .collect()
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A writer: a process with the lanes it works on in turn.
#[derive(Debug)]
pub struct Actor {
    space: Arc<Shared>,
    lanes: Vec<Parked>,
    turn: usize,
    process: i32,
    /// A request of this process is under way.
    outstanding: bool,
}

impl Actor {
    fn new(space: Arc<Shared>, lanes: Vec<Parked>, process: i32) -> Self {
        Actor {
            space,
            lanes,
            turn: 0,
            process,
            outstanding: false,
        }
    }

    /// The logical process it now is; no other actor of the run ever has the same number.
    pub fn process(&self) -> Process {
        Process(self.process)
    }

    /// The next request, of at most `most` documents; see [`Mix`] for the kinds.
    ///
    /// An update, delete or read when none of the keys lives becomes an insert.
    pub fn next(&mut self, mix: &Mix, most: u32) -> Operation {
        let lane = &mut self.lanes[self.turn].lane;
        let operation = lane.next(mix, most);
        let slots = &self.space.lanes[lane.number() as usize].slots;
        slots.store(lane.slots(), Ordering::Relaxed);
        self.turn = (self.turn + 1) % self.lanes.len();
        operation
    }

    /// A request of this process is about to be sent.
    pub fn begin(&mut self) {
        self.outstanding = true;
    }

    /// The request was completed. If it is not settled, and so may still be under way, the actor
    /// becomes another logical process.
    pub fn end(&mut self, settled: bool) {
        self.outstanding = false;
        if !settled {
            let width = i32::try_from(self.space.lanes.len()).expect("lanes are i32");
            let next = self.process.checked_add(width);
            self.process = next.expect("far fewer indeterminate requests than i32::MAX");
        }
    }
}

impl Drop for Actor {
    /// Gives the lanes back.
    fn drop(&mut self) {
        if self.outstanding {
            self.end(false);
        }
        for (i, mut parked) in self.lanes.drain(..).enumerate() {
            if i == 0 {
                parked.process = self.process;
            }
            let number = parked.lane.number() as usize;
            *self.space.lanes[number].lock() = Some(parked);
        }
    }
}
