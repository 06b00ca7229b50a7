//! What is mounted in this mount namespace, who uses it, and unmounting it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, umount2};

use crate::agent::error::AgentError;
use crate::agent::service::wait_until;

/// How long whoever has files open on a disk that is down may take to notice and close them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether something is mounted at exactly this path.
pub(crate) fn is_mounted(path: &Path) -> Result<bool, AgentError> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(AgentError::file("read", table))?;
    Ok(mount_points(&text).any(|point| point == path))
}

/// Unmounts what is mounted at a path, if anything is.
pub(crate) fn unmount(path: &Path) -> Result<(), AgentError> {
    let mut outcome = Ok(());
    let unmounted = wait_until(PATIENCE, || {
        is_mounted(path).is_ok_and(|mounted| !mounted) || {
            umount2(path, MntFlags::UMOUNT_NOFOLLOW) != Err(nix::Error::EBUSY)
        }
    });
    if !unmounted || is_mounted(path)? {
        let users: Vec<String> = users(path).iter().map(i32::to_string).collect();
        outcome = Err(AgentError::StillThere(format!(
            "{} stays mounted; used by pids [{}]",
            path.display(),
            users.join(", ")
        )));
    }
    outcome
}

/// Other processes that have a file, their program or their working directory below a path.
pub(crate) fn users(path: &Path) -> Vec<i32> {
    let me = std::process::id().cast_signed();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != me && uses(*pid, path))
        .collect()
}

fn uses(pid: i32, path: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let open = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    ["cwd", "root", "exe"]
        .map(|link| process.join(link))
        .into_iter()
        .chain(open)
        .filter_map(|link| fs::read_link(link).ok())
        .any(|target| target.starts_with(path))
}

/// The fifth field of each line, its escapes undone; proc_pid_mountinfo(5).
fn mount_points(text: &str) -> impl Iterator<Item = PathBuf> {
    text.lines()
        .filter_map(|line| Some(PathBuf::from(unescape(line.split(' ').nth(4)?))))
}

fn unescape(field: &str) -> String {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_escapes_undone() {
        let text = "36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/root rw\n\
                    37 35 0:5 / /proc rw - proc proc rw\n";
        let points: Vec<PathBuf> = mount_points(text).collect();
        assert_eq!(points, [Path::new("/mnt/a b"), Path::new("/proc")]);
    }

    #[test]
    fn the_root_is_mounted_and_a_file_is_not() {
        assert!(is_mounted(Path::new("/")).unwrap());
        assert!(!is_mounted(Path::new("/proc/self/mountinfo")).unwrap());
    }
}
