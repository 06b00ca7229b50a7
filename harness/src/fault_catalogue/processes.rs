//! Faults on processes, clocks, and what processes need.

use shakedown_nemesis::fault::local::{
    BURNERS, CPU_PERCENT, CRASH_MS, HOLD_MS, HOST_OFFSET_MS, HOST_PPM, MEMORY_MIB, SHARES,
};
use shakedown_nemesis::fault::{LONGEST_OFFSET_MS, RATES, STROBE_MS};

use super::words::{code, integer, length, number, span, time, years};
use super::{Kind, key, nodes, service};
use crate::scenario::{CrashLoopFault, PauseFault};

/// Of `kill`.
pub(super) fn kill() -> Kind {
    Kind {
        name: "kill",
        strikes: "processes",
        happens: "killed or terminated, started again",
        mechanism: "SIGKILL or SIGTERM",
        needs: "root",
        undone: "the service is started again",
        doctor: &["kill"],
        keys: vec![
            nodes(),
            service(),
            key(
                "restart",
                "boolean",
                "`true`",
                "start it again when the fault ends",
            ),
            key(
                "signal",
                "`\"kill\"` or `\"terminate\"`",
                "`\"kill\"`",
                "SIGKILL to all its processes, or SIGTERM as at an orderly stop",
            ),
        ],
    }
}

/// Of `pause`.
pub(super) fn pause() -> Kind {
    Kind {
        name: "pause",
        strikes: "processes",
        happens: "stopped, frozen, threads held",
        mechanism: "SIGSTOP, the kernel's freezer, or ptrace",
        needs: "root; `freezer`: cgroup version 2; `threads`: ptrace",
        undone: "SIGCONT; the group is thawed and removed; the threads are let go",
        doctor: &["pause", "pause (freezer)", "pause (threads)"],
        keys: vec![
            nodes(),
            service(),
            key(
                "by",
                "`\"signal\"`, `\"freezer\"` or `\"threads\"`",
                "`\"signal\"`",
                "SIGSTOP; the kernel's freezer; some threads at a time, drawn anew again and again",
            ),
            key(
                "share",
                number(&SHARES),
                code(PauseFault::SHARE),
                "with `threads`: share of threads held at a time",
            ),
            key(
                "hold",
                time(&HOLD_MS),
                span(PauseFault::HOLD_MS),
                "with `threads`: how long the same ones are held",
            ),
        ],
    }
}

/// Of `crash_loop`.
pub(super) fn crash_loop() -> Kind {
    Kind {
        name: "crash_loop",
        strikes: "processes",
        happens: "killed again and again",
        mechanism: "SIGKILL and a start, by a process of the agent's",
        needs: "root",
        undone: "the process ends, the service is started",
        doctor: &["crash_loop"],
        keys: vec![
            nodes(),
            service(),
            key(
                "up",
                time(&CRASH_MS),
                length(CrashLoopFault::UP),
                "how long it may run each time",
            ),
            key(
                "down",
                time(&CRASH_MS),
                length(CrashLoopFault::DOWN),
                "how long it is down each time",
            ),
        ],
    }
}

/// Of `clock`.
pub(super) fn clock() -> Kind {
    Kind {
        name: "clock",
        strikes: "processes",
        happens: "see a wrong wall clock",
        mechanism: "other clock functions in the vDSO of each process",
        needs: "root, x86-64, ptrace",
        undone: "the kernel's code is put back",
        doctor: &["clock"],
        keys: vec![
            nodes(),
            service(),
            key(
                "offset",
                format!(
                    "duration up to {}, `-` before it allowed",
                    years(LONGEST_OFFSET_MS)
                ),
                "",
                "how far its wall clock is off: `\"5s\"` ahead, `\"-5s\"` behind",
            ),
            key(
                "strobe",
                time(&STROBE_MS),
                "none",
                "with `offset`: off and right by turns, each for so long",
            ),
            key(
                "rate",
                format!("{}, not 1", number(&RATES)),
                "",
                "how fast it runs: `1.01` gains a second in a hundred",
            ),
            key("freeze", "boolean", "`false`", "it stands still"),
        ],
    }
}

/// Of `host_clock`.
pub(super) fn host_clock() -> Kind {
    Kind {
        name: "host_clock",
        strikes: "a host",
        happens: "its own clock is set or runs wrong",
        mechanism: "`clock_settime` or `adjtimex` on the node",
        needs: "`--allow-host-clock`, CAP_SYS_TIME, a kernel of its own, no time service",
        undone: "the clock is set right by one that nobody can set, and its rate is as before",
        doctor: &["host_clock"],
        keys: vec![
            key(
                "nodes",
                "names",
                "required",
                "where: hosts with a kernel of their own. Needs `--allow-host-clock`",
            ),
            key(
                "offset",
                format!(
                    "duration, {} ms to {}, `-` before it allowed",
                    HOST_OFFSET_MS.start(),
                    years(*HOST_OFFSET_MS.end())
                ),
                "",
                "how far the clock is set off; with `-`: back",
            ),
            key(
                "rate",
                format!(
                    "number, {} to {} less or more than 1",
                    f64::from(*HOST_PPM.start()) / 1e6,
                    f64::from(*HOST_PPM.end()) / 1e6
                ),
                "",
                "instead of `offset`: so many times as fast as before do its clocks run",
            ),
        ],
    }
}

/// Of `cpu`.
pub(super) fn cpu() -> Kind {
    Kind {
        name: "cpu",
        strikes: "resources",
        happens: "processors short or busy",
        mechanism: "a control group, or threads that never rest",
        needs: "root; quota: controller `cpu`",
        undone: "the group is removed, or the process ends",
        doctor: &["cpu (quota)", "cpu (burn)"],
        keys: vec![
            nodes(),
            key(
                "service",
                "string",
                "none",
                "a service of the system file; with `quota_percent`",
            ),
            key(
                "quota_percent",
                integer(&CPU_PERCENT),
                "",
                "what the service gets, percent of one processor",
            ),
            key(
                "burn",
                integer(&BURNERS),
                "",
                "so many threads keep processors busy",
            ),
        ],
    }
}

/// Of `memory`.
pub(super) fn memory() -> Kind {
    Kind {
        name: "memory",
        strikes: "resources",
        happens: "memory short or taken",
        mechanism: "a control group, or a process that takes it",
        needs: "root; limit: controller `memory`",
        undone: "the group is removed, or the process ends",
        doctor: &["memory (limit)", "memory (hold)"],
        keys: vec![
            nodes(),
            key(
                "service",
                "string",
                "none",
                "a service of the system file; with `more_mib`",
            ),
            key(
                "more_mib",
                integer(&MEMORY_MIB),
                "",
                "what the service gets on top of what it has, MiB",
            ),
            key(
                "hold_mib",
                integer(&MEMORY_MIB),
                "",
                "so much is taken on the node, MiB; at most four fifths of what is available",
            ),
        ],
    }
}

/// Of `limit`.
pub(super) fn limit() -> Kind {
    Kind {
        name: "limit",
        strikes: "resources",
        happens: "open files, threads and processes limited",
        mechanism: "`prlimit`, or a control group",
        needs: "root; `more_tasks`: controller `pids`",
        undone: "the limit from before, or the group is removed",
        doctor: &["limit (files)", "limit (tasks)"],
        keys: vec![
            nodes(),
            service(),
            key(
                "more_files",
                "integer",
                "",
                "so many more files may each of its processes open",
            ),
            key(
                "more_tasks",
                "integer",
                "",
                "so many more threads and processes may it start",
            ),
        ],
    }
}
