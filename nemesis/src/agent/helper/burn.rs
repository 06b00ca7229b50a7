//! Processors kept busy, and memory taken.

use std::fs;
use std::hint;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Account;

const MIB: usize = 1 << 20;

/// Smallest page of memory there is.
const PAGE: usize = 4096;

/// Never ends.
pub(super) fn processors(threads: u32, account: &Path) -> io::Result<()> {
    for _ in 0..threads {
        thread::spawn(|| {
            let mut number: u64 = 1;
            loop {
                number = hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005) + 1);
            }
        });
    }
    Account {
        done: threads.into(),
        rounds: 1,
    }
    .write(account)?;
    rest()
}

/// Never ends; the kernel's first choice when memory runs out.
pub(super) fn memory(mib: u32, account: &Path) -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", "1000")?;
    let mut taken: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mib {
        let mut chunk = vec![0_u8; MIB];
        // A page that was never written to takes no memory.
        for byte in chunk.iter_mut().step_by(PAGE) {
            *byte = 1;
        }
        taken.push(hint::black_box(chunk));
    }
    Account {
        done: taken.len() as u64,
        rounds: 1,
    }
    .write(account)?;
    rest()
}

fn rest() -> io::Result<()> {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
