//! How fast the kernel's clocks run: adjtimex(2), for which neither the standard library nor `nix` has a safe function.
//!
//! The only unsafe code on host clocks: the call gets a pointer to a value of its own that outlives it.
#![allow(unsafe_code)]

use std::io;
use std::mem;

use nix::libc::{self, timex};

use super::clock::Frequency;

/// How fast the clocks run.
pub(super) fn frequency() -> io::Result<Frequency> {
    let mut answer = empty();
    call(&mut answer)?;
    Ok(Frequency {
        tick_us: answer.tick,
        scaled_ppm: answer.freq,
    })
}

/// Lets the clocks run so fast, and adds so much to the wall clock in the same moment.
pub(super) fn set_frequency(frequency: Frequency, add_us: i64) -> io::Result<()> {
    let mut order = empty();
    order.modes = libc::ADJ_TICK | libc::ADJ_FREQUENCY;
    order.tick = frequency.tick_us;
    order.freq = frequency.scaled_ppm;
    if add_us != 0 {
        order.modes |= libc::ADJ_SETOFFSET;
        order.time.tv_sec = add_us.div_euclid(1_000_000);
        order.time.tv_usec = add_us.rem_euclid(1_000_000);
    }
    call(&mut order)
}

fn empty() -> timex {
    // SAFETY: `timex` consists of integers only, for which zero is a value.
    unsafe { mem::zeroed() }
}

fn call(buffer: &mut timex) -> io::Result<()> {
    // SAFETY: the kernel reads and writes one `timex`, which the caller holds until this returns.
    match unsafe { libc::adjtimex(buffer) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn reading_needs_no_privilege_and_changes_nothing() {
        let read = super::frequency().unwrap();
        assert!((9000..=11000).contains(&read.tick_us), "{read:?}");
        assert_eq!(super::frequency().unwrap().tick_us, read.tick_us);
    }
}
