//! The wall clock as a service's processes see it. The machine's own is never touched.
//!
//! Programs read the clock through functions of the vDSO. In each process of the service these are replaced
//! (see [`code`]), by a process of its own that holds all threads still meanwhile (see [`threads`]).
//! Processes forked later inherit the change; those that execute another program, and a service that is
//! started again, are changed as they come.

#[cfg(target_arch = "x86_64")]
mod change;
#[cfg(target_arch = "x86_64")]
mod code;
#[cfg(target_arch = "x86_64")]
mod threads;
#[cfg(target_arch = "x86_64")]
mod vdso;

// Tests see to it that it refuses, wherever they run.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod elsewhere;
mod inflict;
#[cfg(target_arch = "x86_64")]
mod processes;
mod skewed;

#[cfg(not(target_arch = "x86_64"))]
use elsewhere as processes;

pub(crate) use inflict::{clock, clock_steps, extend, last_look, restore};
pub use processes::change_main;
pub(crate) use processes::check;
pub(crate) use processes::shifted;
pub(crate) use skewed::Moment;
