//! Control groups of our own, into which a service's processes are put, and out of which they come again.
//!
//! A group lies at the top of its hierarchy and its name holds run, fault and the number of this node's process
//! namespace: nodes that share a kernel may see the same hierarchy. Processes are frozen in version 2 only, since
//! those frozen in version 1 can't be killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

use super::error::AgentError;
use super::process::ProcessId;
use super::service::wait_until;
use super::state_dir::StateLock;

/// How long processes may take to leave a group.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);

/// How long processes may take to freeze.
const FREEZE_PATIENCE: Duration = Duration::from_secs(10);

/// Of a processor's time, microseconds.
const PERIOD_US: u64 = 100_000;

/// What a group can do to its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Control {
    /// Stop them.
    Freezer,
    /// Limit their time on processors.
    Cpu,
    /// Limit their memory.
    Memory,
    /// Limit their number.
    Pids,
}

/// A group of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    control: Control,
    directory: PathBuf,
    /// Where its processes go when it is removed.
    home: PathBuf,
    /// The hierarchy, if it was mounted for this.
    mounted: Option<PathBuf>,
    /// Whether it is of version 2.
    unified: bool,
    /// Whether the controller had to be enabled for it.
    enabled: bool,
}

impl Control {
    fn name(self) -> &'static str {
        match self {
            Self::Freezer => "freezer",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }
}

impl Group {
    /// What a group would be, by the hierarchies there are; mounts one if there is none to be seen.
    pub(crate) fn plan(
        lock: &StateLock<'_>,
        control: Control,
        name: &str,
    ) -> Result<Self, AgentError> {
        let failed = |error: io::Error| {
            AgentError::Refused(format!("no control group for {}: {error}", control.name()))
        };
        let hierarchy = Hierarchy::find(lock.state.root(), control).map_err(failed)?;
        let namespace = process_namespace().map_err(failed)?;
        Ok(Self {
            control,
            directory: hierarchy.root.join(format!("shakedown_{name}_{namespace}")),
            home: hierarchy.root.clone(),
            unified: hierarchy.unified,
            enabled: hierarchy.unified
                && control != Control::Freezer
                && !hierarchy.is_enabled(control),
            mounted: hierarchy.ours.then_some(hierarchy.root),
        })
    }

    /// Lets processes go back to where this one is, when the group is removed.
    pub(crate) fn with_home_of(mut self, process: &ProcessId) -> Self {
        let Some(root) = self.directory.parent() else {
            return self;
        };
        if let Some(path) = path_of(process.pid, self.control, self.unified) {
            let home = root.join(path.trim_start_matches('/'));
            if home.is_dir() && home != self.directory {
                self.home = home;
            }
        }
        self
    }

    /// Makes it, empty.
    pub(crate) fn make(&self) -> Result<(), AgentError> {
        if self.enabled {
            self.enable('+')
                .map_err(AgentError::file("enable a controller below", &self.home))?;
        }
        match fs::create_dir(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(AgentError::file("make", &self.directory)(error))
            }
            _ => Ok(()),
        }
    }

    fn enable(&self, sign: char) -> io::Result<()> {
        let root = self.directory.parent().unwrap_or(Path::new("/"));
        fs::write(
            root.join("cgroup.subtree_control"),
            format!("{sign}{}", self.control.name()),
        )
    }

    /// Puts a process into it; one that ended meanwhile needs no place.
    pub(crate) fn take(&self, process: &ProcessId) -> Result<(), AgentError> {
        match self.write("cgroup.procs", &process.pid.to_string()) {
            Err(_) if !process.is_alive() => Ok(()),
            outcome => outcome,
        }
    }

    /// Whether a process is in it.
    pub(crate) fn holds(&self, process: &ProcessId) -> bool {
        path_of(process.pid, self.control, self.unified).is_some_and(|path| {
            let name = self.directory.file_name().unwrap_or_default();
            Path::new(&path).file_name() == Some(name)
        })
    }

    /// Sets its limit: percent of a processor, bytes, or tasks.
    pub(crate) fn limit(&self, limit: u64) -> Result<(), AgentError> {
        match (self.control, self.unified) {
            (Control::Freezer, _) => Ok(()),
            (Control::Cpu, false) => {
                self.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
                self.write("cpu.cfs_quota_us", &(limit * PERIOD_US / 100).to_string())
            }
            (Control::Cpu, true) => self.write(
                "cpu.max",
                &format!("{} {PERIOD_US}", limit * PERIOD_US / 100),
            ),
            (Control::Memory, false) => self.write("memory.limit_in_bytes", &limit.to_string()),
            (Control::Memory, true) => self.write("memory.max", &limit.to_string()),
            (Control::Pids, _) => self.write("pids.max", &limit.to_string()),
        }
    }

    /// How often its limit was felt: periods without a processor, or requests refused or made to wait.
    pub(crate) fn felt(&self) -> u64 {
        let (file, key) = match (self.control, self.unified) {
            (Control::Freezer, _) => return 0,
            (Control::Cpu, _) => ("cpu.stat", "nr_throttled"),
            (Control::Memory, false) => ("memory.failcnt", ""),
            (Control::Memory, true) => ("memory.events", "max"),
            (Control::Pids, _) => ("pids.events", "max"),
        };
        let text = fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        value(&text, key).unwrap_or(0)
    }

    /// Tasks in it.
    pub(crate) fn tasks(&self) -> u64 {
        let text = fs::read_to_string(self.directory.join("pids.current"));
        text.ok().and_then(|text| value(&text, "")).unwrap_or(0)
    }

    /// Freezes all that is in it or will be; false if that took too long.
    pub(crate) fn freeze(&self) -> Result<bool, AgentError> {
        self.write("cgroup.freeze", "1")?;
        Ok(wait_until(FREEZE_PATIENCE, || self.is_frozen()))
    }

    /// Whether all processes in it are frozen, by the kernel's own account.
    pub(crate) fn is_frozen(&self) -> bool {
        let events = fs::read_to_string(self.directory.join("cgroup.events")).unwrap_or_default();
        value(&events, "frozen") == Some(1)
    }

    /// Whether it is there.
    pub(crate) fn exists(&self) -> bool {
        self.directory.exists()
    }

    /// Lets its processes go on and go home, and removes it; and the mount, if no other group needs it.
    pub(crate) fn remove(&self) -> Result<(), AgentError> {
        if self.exists() {
            if self.control == Control::Freezer {
                self.write("cgroup.freeze", "0")?;
            }
            let empty = wait_until(LEAVE_PATIENCE, || {
                for pid in self.members() {
                    // One that ended meanwhile is not in it any more.
                    let _ = fs::write(self.home.join("cgroup.procs"), &pid)
                        .or_else(|_| fs::write(self.root().join("cgroup.procs"), &pid));
                }
                match fs::remove_dir(&self.directory) {
                    Err(error) => error.kind() == io::ErrorKind::NotFound,
                    Ok(()) => true,
                }
            });
            if !empty {
                return Err(AgentError::StillThere(format!(
                    "control group {} stays, with processes [{}]",
                    self.directory.display(),
                    self.members().join(", ")
                )));
            }
        }
        if self.enabled {
            // Fails if someone else came to need it.
            let _ = self.enable('-');
        }
        if let Some(root) = &self.mounted
            && !others(root)
        {
            match umount2(root, MntFlags::empty()) {
                Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
                Err(error) => return Err(AgentError::file("unmount", root)(error.into())),
            }
        }
        Ok(())
    }

    fn root(&self) -> &Path {
        self.directory.parent().unwrap_or(Path::new("/"))
    }

    fn members(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.join("cgroup.procs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn write(&self, file: &str, text: &str) -> Result<(), AgentError> {
        let path = self.directory.join(file);
        fs::write(&path, text).map_err(AgentError::file("write", &path))
    }
}

/// Makes a group with a limit and removes it; how groups are made here.
pub(crate) fn trial(lock: &StateLock<'_>, control: Control) -> Result<String, AgentError> {
    let group = Group::plan(lock, control, "trial")?;
    let made = group.make().and_then(|()| match control {
        Control::Freezer => group.freeze().map(|_| ()),
        Control::Cpu => group.limit(100),
        Control::Memory => group.limit(1 << 30),
        Control::Pids => group.limit(1000),
    });
    group.remove()?;
    made?;
    let version = if group.unified { 2 } else { 1 };
    Ok(format!(
        "control group, version {version}, controller {}",
        control.name()
    ))
}

/// Unmounts the hierarchies that were mounted for groups of which none is left.
pub(crate) fn tidy(lock: &StateLock<'_>) -> Result<(), AgentError> {
    let table = Path::new("/proc/self/mountinfo");
    let mounts = fs::read_to_string(table).map_err(AgentError::file("read", table))?;
    for (root, ..) in hierarchies(&mounts) {
        if root.starts_with(lock.state.root()) && !others(&root) {
            umount2(&root, MntFlags::empty())
                .map_err(|error| AgentError::file("unmount", &root)(error.into()))?;
        }
    }
    Ok(())
}

/// A tree of groups.
struct Hierarchy {
    root: PathBuf,
    unified: bool,
    ours: bool,
}

impl Hierarchy {
    fn find(state: &Path, control: Control) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let ours = |root: &Path| root.starts_with(state);
        let seen = hierarchies(&mounts).find(|(root, unified, options)| match (control, unified) {
            (Control::Freezer, unified) => *unified,
            (_, false) => options.split(',').any(|option| option == control.name()),
            (_, true) => has_controller(root, control),
        });
        if let Some((root, unified, _)) = seen {
            return Ok(Self {
                ours: ours(&root),
                root,
                unified,
            });
        }
        let version_1 = control != Control::Freezer && is_version_1(control)?;
        let (name, kind) = match version_1 {
            true => (control.name(), "cgroup"),
            false => ("unified", "cgroup2"),
        };
        let root = state.join("cgroup").join(name);
        fs::create_dir_all(&root)?;
        mount(
            Some("shakedown"),
            &root,
            Some(kind),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
            version_1.then_some(control.name()),
        )
        .map_err(|error| {
            let text = format!("mount {kind} at {}: {error}", root.display());
            io::Error::other(text)
        })?;
        let found = Self {
            root,
            unified: !version_1,
            ours: true,
        };
        if control != Control::Freezer && found.unified && !has_controller(&found.root, control) {
            umount2(&found.root, MntFlags::empty())?;
            return Err(io::Error::other("this kernel has no such controller"));
        }
        Ok(found)
    }

    fn is_enabled(&self, control: Control) -> bool {
        let enabled = fs::read_to_string(self.root.join("cgroup.subtree_control"));
        enabled.is_ok_and(|text| text.split_whitespace().any(|name| name == control.name()))
    }
}

/// Mounted hierarchies: where, whether of version 2, and their options; proc_pid_mountinfo(5).
fn hierarchies(mounts: &str) -> impl Iterator<Item = (PathBuf, bool, &str)> {
    mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let root = before.split(' ').nth(4)?;
        let mut fields = after.split(' ');
        let unified = match fields.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        Some((PathBuf::from(root), unified, fields.nth(1)?))
    })
}

fn has_controller(root: &Path, control: Control) -> bool {
    let controllers = fs::read_to_string(root.join("cgroup.controllers"));
    controllers.is_ok_and(|text| text.split_whitespace().any(|name| name == control.name()))
}

/// Whether the controller is bound to a hierarchy of version 1, somewhere on this machine; cgroups(7).
fn is_version_1(control: Control) -> io::Result<bool> {
    let table = fs::read_to_string("/proc/cgroups")?;
    let mut rows = table.lines().map(|line| line.split_whitespace());
    Ok(rows.any(|mut row| {
        row.next() == Some(control.name()) && row.next().is_some_and(|hierarchy| hierarchy != "0")
    }))
}

/// The group of a process in a hierarchy; proc_pid_cgroup(5).
fn path_of(pid: i32, control: Control, unified: bool) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_it = match unified {
            true => number == "0",
            false => controllers.split(',').any(|name| name == control.name()),
        };
        is_it.then(|| path.to_owned())
    })
}

/// The number after a key, or the only one.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        if !key.is_empty() && words.next() != Some(key) {
            return None;
        }
        words.next()?.parse().ok()
    })
}

/// Whether a hierarchy holds groups of this node's other faults.
fn others(root: &Path) -> bool {
    let Ok(namespace) = process_namespace() else {
        return true;
    };
    let ours =
        |name: &str| name.starts_with("shakedown_") && name.ends_with(&format!("_{namespace}"));
    fs::read_dir(root).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|e| e.file_name().to_str().is_some_and(ours)))
    })
}

/// The number of this process's process namespace.
fn process_namespace() -> io::Result<String> {
    let link = fs::read_link("/proc/self/ns/pid")?;
    let digits = |c: &char| c.is_ascii_digit();
    Ok(link.to_string_lossy().chars().filter(digits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_among_other_mounts() {
        let text = "30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                    31 30 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                    32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let found: Vec<_> = hierarchies(text).collect();
        let cpu = (PathBuf::from("/sys/fs/cgroup/cpu"), false, "rw,cpu,cpuacct");
        let unified = (
            PathBuf::from("/sys/fs/cgroup/unified"),
            true,
            "rw,nsdelegate",
        );
        assert_eq!(found, [cpu, unified]);
    }

    #[test]
    fn counts_are_read_with_and_without_a_key() {
        assert_eq!(
            value("nr_periods 9\nnr_throttled 4\n", "nr_throttled"),
            Some(4)
        );
        assert_eq!(value("7\n", ""), Some(7));
        assert_eq!(value("max 3\n", "oom"), None);
    }
}
