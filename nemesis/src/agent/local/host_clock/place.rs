//! Where the clock of a host may be set: on a host with a kernel of its own, where nothing else sets it.

use std::fs;
use std::io;

/// `CAP_SYS_TIME`; capabilities(7).
const SYS_TIME: u32 = 25;

/// The number of the first process namespace; a kernel has it from its start (`PROC_PID_INIT_INO`).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Files by which container engines tell programs where they are.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Programs that keep a clock right, by the first 15 letters of their names, which is what the kernel keeps.
const TIME_SERVICES: [&str; 5] = ["chronyd", "ntpd", "openntpd", "phc2sys", "systemd-timesyn"];

/// What a process may do, and where it is.
pub(super) struct Place {
    /// Its effective capabilities, as bits.
    capabilities: u64,
    process_namespace: String,
    /// What says that this is a container.
    marks: Vec<String>,
    /// Time services that run here, with their process numbers.
    time_services: Vec<String>,
}

impl Place {
    pub(super) fn here() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let capabilities = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        let namespace = fs::read_link("/proc/self/ns/pid")?;
        let mut marks: Vec<String> = MARKS
            .into_iter()
            .filter(|mark| fs::exists(mark).unwrap_or(true))
            .map(str::to_owned)
            .collect();
        let first = fs::read("/proc/1/environ")?;
        marks.extend(
            (first.split(|byte| *byte == 0))
                .filter(|variable| variable.starts_with(b"container="))
                .map(|variable| String::from_utf8_lossy(variable).into_owned()),
        );
        Ok(Self {
            capabilities: capabilities.unwrap_or(0),
            process_namespace: namespace.display().to_string(),
            marks,
            time_services: time_services()?,
        })
    }

    /// Why the clock must not be set from here.
    pub(super) fn refusal(&self) -> Option<String> {
        if self.capabilities >> SYS_TIME & 1 == 0 {
            return Some("this node may not set its clock: it lacks CAP_SYS_TIME".to_owned());
        }
        if self.process_namespace != FIRST_NAMESPACE {
            return Some(
                "this node is a container: its clock is that of the machine it runs on".to_owned(),
            );
        }
        if let Some(mark) = self.marks.first() {
            return Some(format!("this node is a container: {mark}"));
        }
        let service = self.time_services.first()?;
        Some(format!(
            "{service} keeps this node's clock right and would undo the fault: stop it first"
        ))
    }
}

/// The time services that run here.
fn time_services() -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that ended meanwhile keeps no clock.
        let Ok(program) = fs::read_to_string(entry.path().join("comm")) else {
            continue;
        };
        if let Some(service) = TIME_SERVICES
            .iter()
            .find(|name| **name == program.trim_end())
        {
            found.push(format!("{service} (pid {pid})"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_with_a_kernel_of_its_own_that_may_set_its_clock_and_whose_clock_nothing_keeps_is_touched()
     {
        let host = || Place {
            capabilities: 1 << SYS_TIME,
            process_namespace: FIRST_NAMESPACE.to_owned(),
            marks: Vec::new(),
            time_services: Vec::new(),
        };
        assert_eq!(host().refusal(), None);
        let refused = [
            Place {
                capabilities: !(1 << SYS_TIME),
                ..host()
            },
            Place {
                process_namespace: "pid:[4026532001]".to_owned(),
                ..host()
            },
            Place {
                marks: vec!["container=lxc".to_owned()],
                ..host()
            },
            Place {
                time_services: vec!["chronyd (pid 312)".to_owned()],
                ..host()
            },
        ];
        for (place, why) in refused.iter().zip([
            "lacks CAP_SYS_TIME",
            "container: its clock",
            "container=lxc",
            "chronyd (pid 312) keeps this node's clock right",
        ]) {
            let refusal = place.refusal().unwrap();
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn names_of_time_services_are_as_long_as_the_kernel_keeps_them() {
        assert!(TIME_SERVICES.iter().all(|name| name.len() <= 15));
    }
}
