//! Stamps: wall-clock milliseconds and a counter in one number, as the hybrid logical clock hands them out.

/// Bits of the counter. Stamps stay below 2^53, exact in any JSON reader, until the year 2039.
const COUNTER_BITS: u32 = 12;

/// The lowest stamp of a time in milliseconds since 1970.
pub(crate) fn at_millis(ms: u64) -> u64 {
    ms << COUNTER_BITS
}

/// The time a stamp was handed out, in milliseconds since 1970.
pub(crate) fn millis_of(stamp: u64) -> u64 {
    stamp >> COUNTER_BITS
}
