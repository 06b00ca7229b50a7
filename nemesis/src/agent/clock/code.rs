//! The x86-64 code that takes the place of the vDSO's clock functions: each asks the kernel itself, adds
//! the offset to what it says of the wall clock, and counts.
//!
//! The code lies in the body of the function `clock_gettime`, after a header by which it is known again:
//! eight bytes that name the fault, then the address of the counter, which the process was made to map (the
//! vDSO itself can't be written to by the process).

use std::ops::Range;

use super::vdso::{Vdso, u64_at};

/// Bytes of the instruction that each function's entry is overwritten with.
pub(crate) const JUMP_BYTES: usize = 5;

/// The instruction `syscall`.
pub(crate) const SYSCALL: [u8; 2] = [0x0f, 0x05];

const HEADER_BYTES: usize = 16;

/// At least as many as the header and all three functions have.
pub(crate) const BLOB_BYTES: usize = 288;

const CLOCK_GETTIME: u32 = 228;
const GETTIMEOFDAY: u32 = 96;
const NANOSECONDS: u32 = 1_000_000_000;
const MICROSECONDS: u32 = 1_000_000;

/// What a process's vDSO is changed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Names the fault.
    pub(crate) tag: u64,
    /// Added to the wall clock, milliseconds.
    pub(crate) offset_ms: i64,
    /// Address of a counter in the process.
    pub(crate) counter: u64,
}

impl Patch {
    /// The changes: bytes and where they go, the header first.
    pub(crate) fn writes(&self, vdso: &Vdso) -> Vec<(usize, Vec<u8>)> {
        let mut blob = [self.tag.to_le_bytes(), self.counter.to_le_bytes()].concat();
        let functions = [self.clock_gettime(), self.gettimeofday(), self.time()];
        let starts = functions.map(|function| {
            let start = vdso.arena.start + blob.len();
            blob.extend(function);
            start
        });
        let mut writes = vec![(vdso.arena.start, blob)];
        for (entry, start) in vdso.entries.into_iter().zip(starts) {
            writes.push((entry, jump(entry, start)));
        }
        writes
    }

    /// `int clock_gettime(clockid_t edi, struct timespec *rsi)`
    fn clock_gettime(&self) -> Vec<u8> {
        let mut adjust = self.add_to(Base::Rsi, NANOSECONDS);
        adjust.extend(self.count());
        let mut code = system_call(CLOCK_GETTIME);
        code.extend([0x85, 0xc0]); // test eax, eax
        code.extend([0x75, short(adjust.len() + 9)]); // jne the end
        code.extend([0x85, 0xff]); // test edi, edi: CLOCK_REALTIME?
        code.extend([0x74, 5]); // je over the next two
        code.extend([0x83, 0xff, 5]); // cmp edi, CLOCK_REALTIME_COARSE
        code.extend([0x75, short(adjust.len())]); // jne the end
        code.extend(adjust);
        code.push(0xc3); // ret
        code
    }

    /// `int gettimeofday(struct timeval *rdi, struct timezone *rsi)`; both may be null
    fn gettimeofday(&self) -> Vec<u8> {
        let mut adjust = self.add_to(Base::Rdi, MICROSECONDS);
        adjust.extend(self.count());
        let mut code = system_call(GETTIMEOFDAY);
        code.extend([0x85, 0xc0]); // test eax, eax
        code.extend([0x75, short(adjust.len() + 5)]); // jne the end
        code.extend([0x48, 0x85, 0xff]); // test rdi, rdi
        code.extend([0x74, short(adjust.len())]); // je the end
        code.extend(adjust);
        code.push(0xc3); // ret
        code
    }

    /// `time_t time(time_t *rdi)`; it may be null
    fn time(&self) -> Vec<u8> {
        let (seconds, nanoseconds) = self.parts(NANOSECONDS);
        let mut code = vec![0x57]; // push rdi
        code.extend([0x48, 0x83, 0xec, 16]); // sub rsp, 16
        code.extend([0x31, 0xff]); // xor edi, edi: CLOCK_REALTIME
        code.extend([0x48, 0x89, 0xe6]); // mov rsi, rsp
        code.extend(system_call(CLOCK_GETTIME));
        code.extend([0x48, 0x8b, 0x04, 0x24]); // mov rax, [rsp]
        code.extend([0x48, 0x8b, 0x54, 0x24, 8]); // mov rdx, [rsp + 8]
        code.extend([0x48, 0x83, 0xc4, 16]); // add rsp, 16
        code.push(0x5f); // pop rdi
        code.extend([0x48, 0xb9]); // mov rcx, seconds
        code.extend(seconds.to_le_bytes());
        code.extend([0x48, 0x01, 0xc8]); // add rax, rcx
        code.extend([0x48, 0x81, 0xc2]); // add rdx, nanoseconds
        code.extend(nanoseconds.to_le_bytes());
        code.extend([0x48, 0x81, 0xfa]); // cmp rdx, a second
        code.extend(NANOSECONDS.to_le_bytes());
        code.extend([0x7c, 3]); // jl over the next
        code.extend([0x48, 0xff, 0xc0]); // inc rax
        code.extend(self.count());
        code.extend([0x48, 0x85, 0xff]); // test rdi, rdi
        code.extend([0x74, 3]); // je over the next
        code.extend([0x48, 0x89, 0x07]); // mov [rdi], rax
        code.push(0xc3); // ret
        code
    }

    /// Adds the offset to the seconds at a base register and the parts of a second eight bytes on.
    fn add_to(&self, base: Base, parts_per_second: u32) -> Vec<u8> {
        let (seconds, parts) = self.parts(parts_per_second);
        let at = base as u8;
        let mut code = vec![0x48, 0xba]; // mov rdx, seconds
        code.extend(seconds.to_le_bytes());
        code.extend([0x48, 0x01, 0x10 | at]); // add [base], rdx
        code.extend([0x48, 0xba]); // mov rdx, parts
        code.extend(u64::from(parts).to_le_bytes());
        code.extend([0x48, 0x03, 0x50 | at, 8]); // add rdx, [base + 8]
        code.extend([0x48, 0x81, 0xfa]); // cmp rdx, a second
        code.extend(parts_per_second.to_le_bytes());
        code.extend([0x7c, 10]); // jl over the next two
        code.extend([0x48, 0x81, 0xea]); // sub rdx, a second
        code.extend(parts_per_second.to_le_bytes());
        code.extend([0x48, 0xff, at]); // inc qword [base]
        code.extend([0x48, 0x89, 0x50 | at, 8]); // mov [base + 8], rdx
        code
    }

    fn count(&self) -> Vec<u8> {
        let mut code = vec![0x48, 0xba]; // mov rdx, counter
        code.extend(self.counter.to_le_bytes());
        code.extend([0xf0, 0x48, 0xff, 0x02]); // lock inc qword [rdx]
        code
    }

    /// The offset in whole seconds, rounded down, and the parts of a second on top.
    fn parts(&self, per_second: u32) -> (i64, u32) {
        let milliseconds = u32::try_from(self.offset_ms.rem_euclid(1000)).unwrap_or(0);
        let parts = milliseconds * (per_second / 1000);
        (self.offset_ms.div_euclid(1000), parts)
    }
}

/// What each changed part of a vDSO was before.
pub(crate) fn originals(vdso: &Vdso) -> Vec<(usize, Vec<u8>)> {
    // Entries first: the header, by which a change is known, goes last.
    let entries = vdso.entries.map(|entry| entry..entry + JUMP_BYTES);
    let arena = vdso.arena.start..vdso.arena.start + BLOB_BYTES;
    let bytes = |range: Range<usize>| (range.start, vdso.image[range].to_vec());
    entries.into_iter().chain([arena]).map(bytes).collect()
}

/// The header of a changed vDSO, given the bytes at [`header_range`]: tag and counter.
pub(crate) fn parse_header(bytes: &[u8]) -> Option<(u64, u64)> {
    Some((u64_at(bytes, 0)?, u64_at(bytes, 8)?))
}

/// Where the header is.
pub(crate) fn header_range(vdso: &Vdso) -> Range<usize> {
    vdso.arena.start..vdso.arena.start + HEADER_BYTES
}

/// Registers that hold the address of a time, with the bits that name them in an instruction.
#[derive(Debug, Clone, Copy)]
enum Base {
    Rsi = 6,
    Rdi = 7,
}

/// `mov eax, number; syscall`; clobbers rax, rcx and r11, as the functions may.
fn system_call(number: u32) -> Vec<u8> {
    let mut code = vec![0xb8];
    code.extend(number.to_le_bytes());
    code.extend(SYSCALL);
    code
}

/// `jmp to`, at `from`.
fn jump(from: usize, to: usize) -> Vec<u8> {
    let distance = to.wrapping_sub(from + JUMP_BYTES);
    let mut code = vec![0xe9];
    code.extend(&distance.to_le_bytes()[..4]);
    code
}

/// A distance that a short jump can go.
fn short(distance: usize) -> u8 {
    u8::try_from(distance)
        .ok()
        .filter(|distance| *distance < 128)
        .expect("no function here is that long")
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn patch(offset_ms: i64) -> Patch {
        Patch {
            tag: 7,
            offset_ms,
            counter: 0x7000,
        }
    }

    #[test]
    fn an_offset_is_split_into_whole_seconds_and_a_positive_rest() {
        assert_eq!(patch(-1500).parts(NANOSECONDS), (-2, 500_000_000));
        assert_eq!(patch(2250).parts(MICROSECONDS), (2, 250_000));
        assert_eq!(patch(-3000).parts(NANOSECONDS), (-3, 0));
    }

    #[test]
    fn all_changes_fit_and_are_covered_by_what_undoes_them() {
        let vdso = Vdso::of_this_kernel().unwrap();
        let mut image = vdso.image.clone();
        let writes = patch(-1).writes(&vdso);
        assert!(writes[0].1.len() <= BLOB_BYTES);
        for (at, bytes) in writes.into_iter().chain(originals(&vdso)) {
            image[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(image, vdso.image);
    }
}
