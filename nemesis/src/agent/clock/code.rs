//! The x86-64 code that takes the place of the vDSO's clock functions: each asks the kernel itself, makes of
//! that what the fault wants the wall clock to be, and counts.
//!
//! The code lies in a page that the process was made to map, followed by a page with the counter. In the body of
//! the vDSO's function `clock_gettime` lies a header by which a change is known again (eight bytes that name the
//! fault, then the address of the page), and a far jump into the page for each function. Times are in nanoseconds
//! throughout; 64 bits hold them until the year 2262.

use std::ops::Range;

use super::skewed::Skewed;
use super::vdso::{Vdso, u64_at};
use crate::fault::Skew;

/// Bytes of the instruction that each function's entry is overwritten with.
pub(crate) const JUMP_BYTES: usize = 5;

/// The instruction `syscall`.
pub(crate) const SYSCALL: [u8; 2] = [0x0f, 0x05];

const HEADER_BYTES: usize = 16;

const FAR_JUMP_BYTES: usize = 12;

/// What a change writes into the body of `clock_gettime`.
pub(crate) const BLOB_BYTES: usize = HEADER_BYTES + 3 * FAR_JUMP_BYTES;

/// Bytes of a page of memory.
pub(crate) const PAGE: u64 = 4096;

const CLOCK_GETTIME: u32 = 228;
const GETTIMEOFDAY: u32 = 96;
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const SECOND: u32 = 1_000_000_000;

/// What a process's vDSO is changed to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Patch {
    /// Names the fault.
    pub(crate) tag: u64,
    /// What is wrong with the clock.
    pub(crate) skewed: Skewed,
    /// Address of the page of code; the counter is at the start of the next.
    pub(crate) page: u64,
}

impl Patch {
    /// The changes to the vDSO: bytes and where they go, the header first.
    pub(crate) fn writes(&self, vdso: &Vdso) -> Vec<(usize, Vec<u8>)> {
        let mut blob = [self.tag.to_le_bytes(), self.page.to_le_bytes()].concat();
        let mut jumps = Vec::new();
        for (entry, offset) in vdso.entries.into_iter().zip(self.assemble().1) {
            let at = vdso.arena.start + blob.len();
            jumps.push((entry, jump(entry, at)));
            blob.extend([0x48, 0xb8]); // mov rax, address
            blob.extend((self.page + offset as u64).to_le_bytes());
            blob.extend([0xff, 0xe0]); // jmp rax
        }
        let mut writes = vec![(vdso.arena.start, blob)];
        writes.extend(jumps);
        writes
    }

    /// What the page of code holds.
    pub(crate) fn page_code(&self) -> Vec<u8> {
        self.assemble().0
    }

    /// The code, and where in it `clock_gettime`, `gettimeofday` and `time` begin.
    fn assemble(&self) -> (Vec<u8>, [usize; 3]) {
        let mut code = self.now();
        let functions: [fn(usize) -> Vec<u8>; 3] = [clock_gettime, gettimeofday, time];
        let starts = functions.map(|function| {
            let start = code.len();
            code.extend(function(start));
            start
        });
        (code, starts)
    }

    /// Leaves in rax what the wall clock is to say. Clobbers what any function may.
    fn now(&self) -> Vec<u8> {
        let mut code = vec![0x48, 0x83, 0xec, 24]; // sub rsp, 24
        match self.skewed.skew {
            Skew::Jump { offset_ms } => {
                code.extend(read_clock(REALTIME));
                code.extend(add(offset_ms * 1_000_000));
            }
            Skew::Drift { .. } | Skew::Freeze => {
                code.extend(read_clock(MONOTONIC));
                code.extend(add(-self.skewed.since.monotonic_ns));
                code.extend([0x48, 0xb9]); // mov rcx, rate
                code.extend(self.rate().to_le_bytes());
                code.extend([0x48, 0xf7, 0xe9]); // imul rcx: rdx:rax = rax * rcx
                code.extend([0x48, 0x0f, 0xac, 0xd0, 32]); // shrd rax, rdx, 32
                code.extend(add(self.skewed.since.wall_ns));
            }
            Skew::Strobe {
                offset_ms,
                every_ms,
            } => {
                code.extend(read_clock(MONOTONIC));
                code.extend(add(-self.skewed.since.monotonic_ns));
                code.extend([0x31, 0xd2]); // xor edx, edx
                code.extend([0x48, 0xb9]); // mov rcx, period
                code.extend((u64::from(every_ms) * 1_000_000).to_le_bytes());
                code.extend([0x48, 0xf7, 0xf1]); // div rcx
                code.extend([0x49, 0x89, 0xc0]); // mov r8, rax
                code.extend(read_clock(REALTIME));
                let shift = add(offset_ms * 1_000_000);
                code.extend([0x41, 0xf6, 0xc0, 1]); // test r8b, 1
                code.extend([0x75, short(shift.len())]); // jne over the shift
                code.extend(shift);
            }
        }
        code.extend([0x48, 0xba]); // mov rdx, counter
        code.extend((self.page + PAGE).to_le_bytes());
        code.extend([0xf0, 0x48, 0xff, 0x02]); // lock inc qword [rdx]
        code.extend([0x48, 0x83, 0xc4, 24]); // add rsp, 24
        code.push(0xc3); // ret
        code
    }

    /// How fast the clock runs, in parts of 2^32.
    fn rate(&self) -> i64 {
        match self.skewed.skew {
            Skew::Drift { rate } => (rate * 2_f64.powi(32)).round() as i64,
            _ => 0,
        }
    }
}

/// `int clock_gettime(clockid_t edi, struct timespec *rsi)`
fn clock_gettime(start: usize) -> Vec<u8> {
    let mut as_it_is = system_call(CLOCK_GETTIME);
    as_it_is.push(0xc3); // ret
    let mut code = vec![0x85, 0xff]; // test edi, edi: CLOCK_REALTIME?
    code.extend([0x74, short(as_it_is.len() + 5)]); // je over the next three
    code.extend([0x83, 0xff, 5]); // cmp edi, CLOCK_REALTIME_COARSE
    code.extend([0x74, short(as_it_is.len())]); // je over the next
    code.extend(as_it_is);
    code.push(0x56); // push rsi
    code.extend(call_now(start + code.len()));
    code.push(0x5e); // pop rsi
    code.extend(divide(SECOND));
    code.extend([0x48, 0x89, 0x06]); // mov [rsi], rax
    code.extend([0x48, 0x89, 0x56, 8]); // mov [rsi + 8], rdx
    code.extend([0x31, 0xc0, 0xc3]); // xor eax, eax; ret
    code
}

/// `int gettimeofday(struct timeval *rdi, struct timezone *rsi)`; both may be null
fn gettimeofday(start: usize) -> Vec<u8> {
    let mut store = divide(SECOND);
    store.extend([0x48, 0x89, 0x07]); // mov [rdi], rax
    store.extend([0x48, 0x89, 0xd0]); // mov rax, rdx
    store.extend(divide(1000));
    store.extend([0x48, 0x89, 0x47, 8]); // mov [rdi + 8], rax
    let mut zone = vec![0x31, 0xff]; // xor edi, edi
    zone.extend(system_call(GETTIMEOFDAY));
    let mut code = vec![0x57, 0x56]; // push rdi; push rsi
    code.extend(call_now(start + code.len()));
    code.extend([0x5e, 0x5f]); // pop rsi; pop rdi
    code.extend([0x48, 0x85, 0xff]); // test rdi, rdi
    code.extend([0x74, short(store.len())]); // je over the next
    code.extend(store);
    code.extend([0x48, 0x85, 0xf6]); // test rsi, rsi
    code.extend([0x74, short(zone.len())]); // je over the next
    code.extend(zone);
    code.extend([0x31, 0xc0, 0xc3]); // xor eax, eax; ret
    code
}

/// `time_t time(time_t *rdi)`; it may be null
fn time(start: usize) -> Vec<u8> {
    let mut code = vec![0x57]; // push rdi
    code.extend(call_now(start + code.len()));
    code.push(0x5f); // pop rdi
    code.extend(divide(SECOND));
    code.extend([0x48, 0x85, 0xff]); // test rdi, rdi
    code.extend([0x74, 3]); // je over the next
    code.extend([0x48, 0x89, 0x07]); // mov [rdi], rax
    code.push(0xc3); // ret
    code
}

/// Leaves in rax what a clock says; needs 16 bytes at rsp.
fn read_clock(clock: u32) -> Vec<u8> {
    let mut code = vec![0xbf]; // mov edi, clock
    code.extend(clock.to_le_bytes());
    code.extend([0x48, 0x89, 0xe6]); // mov rsi, rsp
    code.extend(system_call(CLOCK_GETTIME));
    code.extend([0x48, 0x69, 0x04, 0x24]); // imul rax, [rsp], a second
    code.extend(SECOND.to_le_bytes());
    code.extend([0x48, 0x03, 0x44, 0x24, 8]); // add rax, [rsp + 8]
    code
}

/// Adds to rax; clobbers rcx.
fn add(amount: i64) -> Vec<u8> {
    let mut code = vec![0x48, 0xb9]; // mov rcx, amount
    code.extend(amount.to_le_bytes());
    code.extend([0x48, 0x01, 0xc8]); // add rax, rcx
    code
}

/// Divides rax; the rest goes to rdx; clobbers rcx.
fn divide(by: u32) -> Vec<u8> {
    let mut code = vec![0x31, 0xd2]; // xor edx, edx
    code.push(0xb9); // mov ecx, by
    code.extend(by.to_le_bytes());
    code.extend([0x48, 0xf7, 0xf1]); // div rcx
    code
}

/// `call` of the code at the start of the page, at an offset in it.
fn call_now(at: usize) -> Vec<u8> {
    let mut code = jump(at, 0);
    code[0] = 0xe8;
    code
}

/// What each changed part of a vDSO was before.
pub(crate) fn originals(vdso: &Vdso) -> Vec<(usize, Vec<u8>)> {
    // Entries first: the header, by which a change is known, goes last.
    let entries = vdso.entries.map(|entry| entry..entry + JUMP_BYTES);
    let arena = vdso.arena.start..vdso.arena.start + BLOB_BYTES;
    let bytes = |range: Range<usize>| (range.start, vdso.image[range].to_vec());
    entries.into_iter().chain([arena]).map(bytes).collect()
}

/// The header of a changed vDSO, given the bytes at [`header_range`]: tag and page.
pub(crate) fn parse_header(bytes: &[u8]) -> Option<(u64, u64)> {
    Some((u64_at(bytes, 0)?, u64_at(bytes, 8)?))
}

/// Where the header is.
pub(crate) fn header_range(vdso: &Vdso) -> Range<usize> {
    vdso.arena.start..vdso.arena.start + HEADER_BYTES
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
        .expect("no part here is that long")
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::agent::clock::skewed::Moment;

    fn patch(skew: Skew) -> Patch {
        let since = Moment {
            wall_ns: 5,
            monotonic_ns: 3,
        };
        Patch {
            tag: 7,
            skewed: Skewed { skew, since },
            page: 0x7000,
        }
    }

    fn skews() -> [Skew; 4] {
        [
            Skew::Jump { offset_ms: -1 },
            Skew::Drift { rate: 1.5 },
            Skew::Strobe {
                offset_ms: 1,
                every_ms: 1,
            },
            Skew::Freeze,
        ]
    }

    #[test]
    fn rates_are_kept_to_a_part_in_four_thousand_million() {
        assert_eq!(patch(Skew::Drift { rate: 1.5 }).rate(), 3 << 31);
        assert_eq!(patch(Skew::Freeze).rate(), 0);
        let fine = patch(Skew::Drift { rate: 1.000_001 }).rate();
        assert_eq!(fine, (1 << 32) + 4295);
    }

    #[test]
    fn all_changes_fit_and_are_covered_by_what_undoes_them() {
        let vdso = Vdso::of_this_kernel().unwrap();
        for skew in skews() {
            let mut image = vdso.image.clone();
            let writes = patch(skew).writes(&vdso);
            assert_eq!(writes[0].1.len(), BLOB_BYTES);
            assert!(patch(skew).page_code().len() < PAGE as usize);
            for (at, bytes) in writes.into_iter().chain(originals(&vdso)) {
                image[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            assert_eq!(image, vdso.image);
        }
    }

    #[test]
    fn every_function_begins_where_its_jump_goes() {
        for skew in skews() {
            let (code, starts) = patch(skew).assemble();
            let first = starts.map(|start| code[start]);
            // test edi; push rdi; push rdi
            assert_eq!(first, [0x85, 0x57, 0x57]);
        }
    }
}
