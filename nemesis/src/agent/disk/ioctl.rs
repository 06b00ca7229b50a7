//! The three requests to the kernel that neither the standard library nor `nix` offers as safe functions.
//!
//! The only unsafe code on disks. Each request is made on a descriptor that outlives the call, and passes
//! either nothing or a pointer to a plain value of the size that the kernel reads.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc::c_int;

/// Forget what is not on disk yet, the journal included; ext4's and XFS's `GOINGDOWN` flag of that name.
const NO_LOG_FLUSH: u32 = 2;

/// Detach the loop device as soon as nothing has it open or mounted, however that comes.
const AUTOCLEAR: u32 = 4;

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

nix::ioctl_none_bad!(loop_ctl_get_free, 0x4C82);
nix::ioctl_write_ptr_bad!(loop_configure, 0x4C0A, LoopConfig);
nix::ioctl_write_ptr_bad!(
    fs_ioc_shutdown,
    nix::request_code_read!(b'X', 125, size_of::<u32>()),
    u32
);

/// Number of a loop device that was free a moment ago; made if need be.
pub(crate) fn free_loop_device(control: &File) -> nix::Result<u32> {
    // SAFETY: takes no argument; the descriptor is open.
    let number: c_int = unsafe { loop_ctl_get_free(control.as_raw_fd()) }?;
    Ok(number.unsigned_abs())
}

/// Attaches an image to a loop device; EBUSY if someone else was faster.
pub(crate) fn attach(device: &File, image: &File) -> nix::Result<()> {
    let config = LoopConfig {
        fd: image.as_fd().as_raw_fd().unsigned_abs(),
        block_size: 0,
        info: LoopInfo {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: AUTOCLEAR,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    // SAFETY: `config` has the kernel's layout and lives through the call, which only reads it.
    unsafe { loop_configure(device.as_raw_fd(), &raw const config) }?;
    Ok(())
}

/// Takes the file system that `directory` is on down at once: every later access fails with EIO.
pub(crate) fn shut_down(directory: &File) -> nix::Result<()> {
    let flags = NO_LOG_FLUSH;
    // SAFETY: the kernel reads the four bytes of `flags`, which lives through the call.
    unsafe { fs_ioc_shutdown(directory.as_raw_fd(), &raw const flags) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_the_kernel_reads() {
        assert_eq!(size_of::<LoopInfo>(), 232);
        assert_eq!(size_of::<LoopConfig>(), 304);
    }
}
