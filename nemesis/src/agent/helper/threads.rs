//! Threads of a service held still at random.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::unistd::Pid;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Account;
use crate::agent::held_thread::HeldThread;
use crate::agent::process::ProcessId;

/// Draws threads, holds them, lets them go, and so on, until none is left.
pub(super) fn hold(
    leader: &ProcessId,
    share: f64,
    length: Duration,
    seed: u64,
    account: &Path,
) -> io::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut so_far = Account::default();
    loop {
        let threads = threads_of(leader);
        if threads.is_empty() {
            return Ok(());
        }
        so_far.rounds += 1;
        let mut held = Vec::new();
        for id in threads {
            if random.random_bool(share) {
                // One that another program traces can't be held.
                held.extend(HeldThread::stop(id).ok().flatten());
            }
        }
        so_far.done += held.len() as u64;
        so_far.write(account)?;
        thread::sleep(length);
        drop(held);
    }
}

fn threads_of(leader: &ProcessId) -> Vec<Pid> {
    let mut threads: Vec<i32> = leader
        .tree()
        .iter()
        .filter_map(|process| fs::read_dir(format!("/proc/{}/task", process.pid)).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    threads.sort_unstable();
    threads.into_iter().map(Pid::from_raw).collect()
}
