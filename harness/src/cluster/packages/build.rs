//! Has a layer built by a process of its own, so that nothing stays when either of them is killed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::super::ClusterError;
use super::super::node_init::SUBCOMMAND;
use super::super::prerequisites::command;
use super::inside::BuildOrder;
use super::{Layer, Layers, load};

/// Room in an image; it takes on disk what is in it.
const SIZE: u64 = 4 << 30;

/// Longest time a build may take.
const PATIENCE: Duration = Duration::from_secs(900);

const POLL: Duration = Duration::from_millis(20);

/// Lines of the log that an error shows.
const SHOWN: usize = 15;

/// Builds the layer `image` with these packages. Call it under the lock. The image appears only complete.
pub(super) fn build(
    layers: &Layers,
    names: &[String],
    image: &Path,
    launcher: &Path,
) -> Result<(), ClusterError> {
    remove_partial(layers)?;
    eprintln!(
        "installing {} for the nodes of local clusters (once)",
        names.join(", ")
    );
    let partial = image.with_extension("partial");
    let log = image.with_extension("log");
    let made = make(names, &partial, &log, launcher);
    if made.is_err() {
        // The first error is the one to report; the next build removes what is left.
        let _ = fs::remove_file(&partial);
    }
    let packages = made?;
    let record = image.with_extension("json");
    let layer = Layer {
        packages,
        image: image.to_owned(),
    };
    let text = serde_json::to_vec(&layer).expect("a layer has only strings for keys");
    fs::write(&record, text).map_err(ClusterError::io("write", &record))?;
    let written = File::open(&partial).and_then(|file| file.sync_all());
    written.map_err(ClusterError::io("write", &partial))?;
    fs::rename(&partial, image).map_err(ClusterError::io("rename", &partial))?;
    remove_outdated(layers, &layer)
}

/// Makes an empty file system in `partial` and has the packages installed on it. Returns their versions.
fn make(
    names: &[String],
    partial: &Path,
    log: &Path,
    launcher: &Path,
) -> Result<BTreeMap<String, String>, ClusterError> {
    let file = File::create(partial).map_err(ClusterError::io("create", partial))?;
    file.set_len(SIZE)
        .map_err(ClusterError::io("write", partial))?;
    let made = command("mkfs.ext4")
        .args(["-q", "-F", "-m", "0", "-O", "^has_journal"])
        .args(["-E", "lazy_itable_init=1,nodiscard"])
        .arg(partial)
        .output();
    let made = match made {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(ClusterError::MissingProgram {
                program: "mkfs.ext4",
                package: "e2fsprogs",
            });
        }
        made => made.map_err(ClusterError::io("run", "mkfs.ext4"))?,
    };
    if !made.status.success() {
        return Err(ClusterError::Command {
            command: "mkfs.ext4".to_owned(),
            stderr: String::from_utf8_lossy(&made.stderr).trim().to_owned(),
        });
    }
    let order = BuildOrder {
        parent: std::process::id(),
        packages: names.to_vec(),
        image: partial.to_owned(),
    };
    let (mut child, order) = start(&order, log, launcher)?;
    let ended = wait(&mut child);
    let _ = fs::remove_file(order);
    let status = ended?;
    let said = fs::read_to_string(log).unwrap_or_default();
    let versions = super::versions(&said);
    if status.is_some_and(|status| status.success())
        && names.iter().all(|n| versions.contains_key(n))
    {
        let _ = fs::remove_file(log);
        return Ok(versions);
    }
    let lines: Vec<&str> = said.lines().collect();
    Err(ClusterError::Packages {
        packages: names.join(" "),
        what: diagnose(&said, status),
        log: lines[lines.len().saturating_sub(SHOWN)..].join("\n"),
    })
}

fn start(
    order: &BuildOrder,
    log: &Path,
    launcher: &Path,
) -> Result<(Child, PathBuf), ClusterError> {
    let path = order.image.with_extension("order");
    let text = serde_json::to_vec(order).expect("an order is plain data");
    fs::write(&path, text).map_err(ClusterError::io("write", &path))?;
    File::create(log).map_err(ClusterError::io("create", log))?;
    let open = || {
        let file = OpenOptions::new().append(true).open(log);
        file.map_err(ClusterError::io("open", log))
    };
    let child = command(&launcher.to_string_lossy())
        .args([SUBCOMMAND, "packages"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?)
        .spawn()
        .map_err(ClusterError::io("run", launcher))?;
    Ok((child, path))
}

/// Waits for the end of the build; `None` if it took too long and was killed.
fn wait(child: &mut Child) -> Result<Option<ExitStatus>, ClusterError> {
    let deadline = Instant::now() + PATIENCE;
    let failed = ClusterError::io("wait for", "the build of a layer");
    let status = loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            Ok(None) => {
                // The kernel kills everything it started with it.
                let killed = child.kill().and_then(|()| child.wait());
                break killed.map(|_| None);
            }
            Ok(ended) => break Ok(ended),
            Err(e) => break Err(e),
        }
    };
    status.map_err(failed)
}

/// What apt's own words come to, and what to do.
fn diagnose(log: &str, status: Option<ExitStatus>) -> String {
    let says = |words: &[&str]| words.iter().any(|word| log.contains(word));
    let Some(status) = status else {
        return format!("it took longer than {} s", PATIENCE.as_secs());
    };
    if says(&["Unable to locate package", "has no installation candidate"]) {
        if says(UNREACHABLE) {
            return NO_NETWORK.to_owned();
        }
        return "no mirror that /etc/apt names has a package of this name: check its spelling, or add its mirror"
            .to_owned();
    }
    if says(UNREACHABLE) {
        return NO_NETWORK.to_owned();
    }
    if says(&["No space left on device"]) {
        return format!("no space left; make room below {}", super::PACKAGES_ROOT);
    }
    format!("it ended with {status}")
}

/// How apt says that it reaches no mirror.
const UNREACHABLE: &[&str] = &[
    "Temporary failure resolving",
    "Could not resolve",
    "Could not connect",
    "Cannot initiate the connection",
    "Network is unreachable",
    "Connection timed out",
    "connection timed out",
    "Connection refused",
];

const NO_NETWORK: &str = "no network: the mirrors that /etc/apt names are not reached. Connect the machine for this \
     one time, or copy the contents of /var/lib/shakedown/packages from a machine with the same packages, or install \
     the packages on the machine itself";

/// What killed builds left.
fn remove_partial(layers: &Layers) -> Result<(), ClusterError> {
    for path in layers.files()? {
        let left = ["partial", "order"].map(Some);
        if left.contains(&path.extension().and_then(|e| e.to_str())) {
            fs::remove_file(&path).map_err(ClusterError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Removes layers of the same packages that were made for what the machine was before.
fn remove_outdated(layers: &Layers, new: &Layer) -> Result<(), ClusterError> {
    for image in layers.images()? {
        let same = |old: Layer| old.packages.keys().eq(new.packages.keys());
        if image != new.image && load(&image)?.is_some_and(same) {
            for path in [image.with_extension("json"), image] {
                fs::remove_file(&path).map_err(ClusterError::io("remove", &path))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_apt_says_becomes_what_to_do() {
        let failed = Some(ExitStatus::from_raw(100 << 8));
        for (log, expected) in [
            (
                "Err:1 http://mirror bookworm InRelease\n  Temporary failure resolving 'mirror'\nE: Unable to locate package etcd-server\n",
                "no network",
            ),
            (
                "E: Unable to locate package etcd-sever\n",
                "check its spelling",
            ),
            ("dpkg: error: No space left on device\n", "no space left"),
            ("dpkg: error processing\n", "exit status: 100"),
        ] {
            assert!(diagnose(log, failed).contains(expected), "{log}");
        }
        assert!(diagnose("", None).contains("longer than"));
    }
}
