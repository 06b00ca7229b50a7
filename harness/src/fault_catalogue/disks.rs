//! Faults on disks and files.

use shakedown_nemesis::fault::io::{FRACTIONS, LONGEST_LATENCY_MS, SPEEDS};
use shakedown_nemesis::fault::local::{BITS, CHUNK, CUT_OFF};

use super::words::{at_least, integer, number, time_up_to};
use super::{Key, Kind, key, nodes, service};

/// Of `power_loss`.
pub(super) fn power_loss() -> Kind {
    Kind {
        name: "power_loss",
        strikes: "disks",
        happens: "forget what was not synced",
        mechanism: "the disk is shut down without a flush, its services killed",
        needs: "root, a disk of its own (`disk_mib`)",
        undone: "the disk is mounted anew, the services are started",
        doctor: &["power_loss"],
        keys: vec![
            nodes_with_disks(),
            key(
                "service",
                "string",
                "required",
                "the service that dies with the disk and is started again on it when the fault ends",
            ),
        ],
    }
}

/// Of `disk_full`.
pub(super) fn disk_full() -> Kind {
    Kind {
        name: "disk_full",
        strikes: "disks",
        happens: "no space left",
        mechanism: "a file takes the space",
        needs: "root, a disk of its own (`disk_mib`)",
        undone: "the file is removed",
        doctor: &["disk_full"],
        keys: vec![
            nodes_with_disks(),
            key("leave_kib", "integer", "`0`", "what stays free, KiB"),
        ],
    }
}

/// Of `inodes_full`.
pub(super) fn inodes_full() -> Kind {
    Kind {
        name: "inodes_full",
        strikes: "disks",
        happens: "no inode left",
        mechanism: "empty files take the inodes",
        needs: "root, a disk of its own (`disk_mib`)",
        undone: "the files are removed",
        doctor: &["inodes_full"],
        keys: vec![nodes_with_disks()],
    }
}

/// Of `io`.
pub(super) fn io() -> Kind {
    Kind {
        name: "io",
        strikes: "disks",
        happens: "operations fail, wait, tear, are refused",
        mechanism: "a file system of the agent's (FUSE) over the disk",
        needs: "root, a disk with a layer (`disk_mib`, `disk_layer`), FUSE",
        undone: "the layer lets everything pass",
        doctor: &["io"],
        keys: vec![
            key(
                "nodes",
                "names",
                "required",
                "where; their role has `disk_mib` and `disk_layer`",
            ),
            key(
                "operations",
                "list of `\"read\"`, `\"write\"`, `\"sync\"`",
                "all",
                "which fail, are held, and count against the speed",
            ),
            key(
                "fail",
                number(&FRACTIONS),
                "`0`",
                "share of them that fails with EIO",
            ),
            key(
                "torn",
                number(&FRACTIONS),
                "`0`",
                "share of writes of which only a first part is done, though all is reported as done",
            ),
            key(
                "latency",
                time_up_to(LONGEST_LATENCY_MS),
                "`\"0s\"`",
                "how long each is held",
            ),
            key(
                "bytes_per_second",
                integer(&SPEEDS),
                "none",
                "together no faster than this",
            ),
            key(
                "read_only",
                "boolean",
                "`false`",
                "whatever would change something fails with EROFS",
            ),
        ],
    }
}

/// Of `corrupt`.
pub(super) fn corrupt() -> Kind {
    Kind {
        name: "corrupt",
        strikes: "files",
        happens: "bits, lengths, chunks changed",
        mechanism: "writes to the files",
        needs: "root",
        undone: "**not at all**",
        doctor: &["corrupt"],
        keys: vec![
            nodes(),
            service(),
            key(
                "files",
                "string",
                "required",
                "regular expression that a file's path below the service's directory must match in full",
            ),
            key(
                "flip_bits",
                integer(&BITS),
                "",
                "so many bits are flipped in each",
            ),
            key(
                "truncate_bytes",
                at_least(CUT_OFF.start()),
                "",
                "so many bytes are cut off the end of each",
            ),
            key(
                "copy_bytes",
                integer(&CHUNK),
                "",
                "so many bytes of each are copied over others",
            ),
            key(
                "restore",
                "boolean",
                "`false`",
                "what each held when the fault was prepared is put back",
            ),
            key(
                "from",
                "integer",
                "`0`",
                "first byte of the part that may be changed",
            ),
            key("length", "integer", "to the end", "length of that part"),
        ],
    }
}

fn nodes_with_disks() -> Key {
    key(
        "nodes",
        "names",
        "required",
        "where; their role has `disk_mib`",
    )
}
