//! The vDSO: code that the kernel maps into each process, through which programs read the clock.
//!
//! All 64-bit processes of one kernel have the same, each at an address of its own. This process's copy
//! thus tells how that of any other was before it was changed.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The functions that tell the wall clock, by the names the kernel gives them.
const FUNCTIONS: [&str; 3] = ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"];

const PT_DYNAMIC: u32 = 2;
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const SYMBOL_BYTES: usize = 24;

/// What changes in a vDSO are worked out from; all offsets are from its start.
#[derive(Debug, Clone)]
pub(crate) struct Vdso {
    /// Its bytes as the kernel made them.
    pub(crate) image: Vec<u8>,
    /// Entries of `clock_gettime`, `gettimeofday` and `time`, in this order.
    pub(crate) entries: [usize; 3],
    /// The body of `clock_gettime`, without what its own entry is overwritten with.
    pub(crate) arena: Range<usize>,
    /// A `syscall` instruction.
    pub(crate) syscall: usize,
}

impl Vdso {
    /// This kernel's, from this process's own copy; an error says what can't be found in it.
    pub(crate) fn of_this_kernel() -> io::Result<Self> {
        let me = std::process::id().cast_signed();
        let range = range(me)?.ok_or_else(|| unusable("this process has none"))?;
        let image = read(me, range.start, range.end - range.start)?;
        Self::parse(image)
    }

    fn parse(image: Vec<u8>) -> io::Result<Self> {
        if image.get(..5) != Some(b"\x7fELF\x02") {
            return Err(unusable("it is no 64-bit ELF image"));
        }
        let symbols = symbols(&image).ok_or_else(|| unusable("its symbols can't be read"))?;
        let find = |name: &str| {
            let found = symbols.iter().find(|symbol| symbol.name == name);
            found.ok_or_else(|| unusable(&format!("it has no {name}")))
        };
        let [clock_gettime, gettimeofday, time] = FUNCTIONS;
        let body = find(clock_gettime)?;
        let entries = [body.at, find(gettimeofday)?.at, find(time)?.at];
        let arena = body.at + super::code::JUMP_BYTES..body.at + body.size;
        if arena.end > image.len() || arena.len() < super::code::BLOB_BYTES {
            return Err(unusable("its clock_gettime is too short to hold another"));
        }
        let syscall = image
            .windows(2)
            .position(|bytes| bytes == super::code::SYSCALL)
            .ok_or_else(|| unusable("it has no syscall instruction"))?;
        Ok(Self {
            image,
            entries,
            arena,
            syscall,
        })
    }
}

/// Where a process has its vDSO; `None` if it has none (a kernel thread, a zombie).
pub(crate) fn range(pid: i32) -> io::Result<Option<Range<u64>>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(maps
        .lines()
        .find(|line| line.ends_with("[vdso]"))
        .and_then(parse_range))
}

/// Bytes of a process's memory.
pub(crate) fn read(pid: i32, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    File::open(format!("/proc/{pid}/mem"))?.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// The addresses at the start of a line of /proc/PID/maps.
fn parse_range(line: &str) -> Option<Range<u64>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let parse = |text| u64::from_str_radix(text, 16).ok();
    Some(parse(start)?..parse(end)?)
}

fn unusable(why: &str) -> io::Error {
    io::Error::other(format!("this kernel's vDSO can't be changed: {why}"))
}

struct Symbol {
    name: String,
    at: usize,
    size: usize,
}

/// The dynamic symbols; elf(5). A vDSO is linked to address 0, so addresses are offsets, and its string
/// table follows its symbol table.
fn symbols(image: &[u8]) -> Option<Vec<Symbol>> {
    let headers = usize::try_from(u64_at(image, 0x20)?).ok()?;
    let header_bytes = usize::from(u16_at(image, 0x36)?);
    let count = usize::from(u16_at(image, 0x38)?);
    let dynamic = (0..count)
        .map(|index| headers + index * header_bytes)
        .find(|at| u32_at(image, *at) == Some(PT_DYNAMIC))?;
    let mut entry = usize::try_from(u64_at(image, dynamic + 8)?).ok()?;
    let (mut strings, mut table) = (None, None);
    loop {
        let value = usize::try_from(u64_at(image, entry + 8)?).ok()?;
        match u64_at(image, entry)? {
            DT_NULL => break,
            DT_STRTAB => strings = Some(value),
            DT_SYMTAB => table = Some(value),
            _ => {}
        }
        entry += 16;
    }
    let (strings, table) = (strings?, table?);
    (table..strings)
        .step_by(SYMBOL_BYTES)
        .take_while(|at| at + SYMBOL_BYTES <= strings)
        .map(|at| {
            let name = strings + usize::try_from(u32_at(image, at)?).ok()?;
            let end = name + image.get(name..)?.iter().position(|byte| *byte == 0)?;
            Some(Symbol {
                name: String::from_utf8_lossy(&image[name..end]).into_owned(),
                at: usize::try_from(u64_at(image, at + 8)?).ok()?,
                size: usize::try_from(u64_at(image, at + 16)?).ok()?,
            })
        })
        .collect()
}

fn u16_at(image: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*image.get(at..)?.first_chunk()?))
}

fn u32_at(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*image.get(at..)?.first_chunk()?))
}

/// The eight bytes at an offset, as a number.
pub(crate) fn u64_at(image: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*image.get(at..)?.first_chunk()?))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn this_kernels_vdso_has_the_functions_and_room_for_others() {
        let vdso = Vdso::of_this_kernel().unwrap();
        assert_eq!(vdso.image[vdso.syscall..][..2], super::super::code::SYSCALL);
        assert!(vdso.entries.iter().all(|entry| *entry < vdso.image.len()));
    }

    #[test]
    fn what_is_no_vdso_is_refused_with_the_reason() {
        let refused = Vdso::parse(b"#!/bin/sh\n".to_vec()).unwrap_err();
        assert!(refused.to_string().contains("no 64-bit ELF"), "{refused}");
        let mut cut = Vdso::of_this_kernel().unwrap().image;
        cut.truncate(0x60);
        let refused = Vdso::parse(cut).unwrap_err();
        assert!(refused.to_string().contains("symbols"), "{refused}");
    }
}
