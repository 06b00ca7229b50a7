//! Layers: Debian packages for the nodes of local clusters, installed once, never into the machine itself.
//!
//! A layer is an ext4 image of its own (an overlay refuses a second lower directory on the machine's own file
//! system). It is kept below `PACKAGES_ROOT` under a hash of the packages' names and of what they were installed
//! on: release, architecture, and the machine's own packages, which a layer's package database repeats.

mod build;
pub(crate) mod inside;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::ClusterError;
use super::prerequisites::command;

/// Holds the layers of this machine.
pub(crate) const PACKAGES_ROOT: &str = "/var/lib/shakedown/packages";

/// Part of every hash: raised when layers are made differently.
const FORMAT: &str = "1";

/// Installed packages that nodes of local clusters can share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Layer {
    /// What was asked for, with the version that was installed.
    pub packages: BTreeMap<String, String>,
    /// The image; its name is the hash.
    #[serde(skip)]
    pub(crate) image: PathBuf,
}

impl Layer {
    /// The first digits of its hash.
    pub fn id(&self) -> String {
        let name = self.image.file_stem().unwrap_or_default().to_string_lossy();
        name.chars().take(12).collect()
    }

    /// Bytes it takes on disk.
    pub fn bytes(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(&self.image).map_or(0, |image| image.blocks() * 512)
    }

    /// Packages and versions on one line.
    pub fn contents(&self) -> String {
        let packages = self.packages.iter();
        let words: Vec<String> = packages.map(|(name, v)| format!("{name} {v}")).collect();
        words.join(", ")
    }
}

/// Where layers are kept.
#[derive(Debug, Clone)]
pub struct Layers {
    root: PathBuf,
}

impl Default for Layers {
    /// Those of this machine.
    fn default() -> Layers {
        Layers::at(PACKAGES_ROOT)
    }
}

impl Layers {
    /// Those in a directory of their own.
    pub fn at(root: impl Into<PathBuf>) -> Layers {
        Layers { root: root.into() }
    }

    /// The layer with these packages, made now if there is none yet. `None` if the machine itself has them all.
    ///
    /// # Errors
    /// A name is none, or they cannot be installed; what to do is said.
    pub(crate) fn with(
        &self,
        names: &[String],
        launcher: &Path,
    ) -> Result<Option<Layer>, ClusterError> {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        if let Some(bad) = names.iter().find(|name| !is_package_name(name)) {
            return Err(ClusterError::BadPackage(bad.clone()));
        }
        if names.is_empty() || installed_here(&names)?.len() == names.len() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        let image = self.root.join(format!("{:032x}.img", key(&names)?));
        if let Some(layer) = load(&image)? {
            return Ok(Some(layer));
        }
        build::build(self, &names, &image, launcher)?;
        load(&image)?.map(Some).ok_or_else(|| {
            ClusterError::io("read", &image)(std::io::Error::other("the layer just made is gone"))
        })
    }

    /// All of them, by hash.
    ///
    /// # Errors
    /// Their directory cannot be read.
    pub fn list(&self) -> Result<Vec<Layer>, ClusterError> {
        let mut layers = Vec::new();
        for path in self.images()? {
            layers.extend(load(&path)?);
        }
        Ok(layers)
    }

    /// Removes every layer, and what killed builds left. Clusters that are up keep theirs until they go.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn remove_all(&self) -> Result<Vec<Layer>, ClusterError> {
        let _lock = self.lock()?;
        let layers = self.list()?;
        for path in self.files()? {
            // The lock stays: another process may be waiting for it.
            if path.extension().is_some_and(|e| e != "lock") {
                fs::remove_file(&path).map_err(ClusterError::io("remove", &path))?;
            }
        }
        Ok(layers)
    }

    fn images(&self) -> Result<Vec<PathBuf>, ClusterError> {
        let mut images = self.files()?;
        images.retain(|path| path.extension().is_some_and(|e| e == "img"));
        Ok(images)
    }

    fn files(&self) -> Result<Vec<PathBuf>, ClusterError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(ClusterError::io("read", &self.root)(e)),
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        files.sort();
        Ok(files)
    }

    /// Held while a layer is looked for, made or removed; released when dropped, or by the kernel.
    fn lock(&self) -> Result<File, ClusterError> {
        fs::create_dir_all(&self.root).map_err(ClusterError::io("create", &self.root))?;
        let path = self.root.join("packages.lock");
        let file = File::create(&path).map_err(ClusterError::io("create", &path))?;
        file.lock().map_err(ClusterError::io("lock", &path))?;
        Ok(file)
    }
}

/// Those packages among `names` that the machine itself has, with their versions.
fn installed_here(names: &[String]) -> Result<BTreeMap<String, String>, ClusterError> {
    let mut query = command("dpkg-query");
    query.arg("-W").arg(QUERY).args(names);
    let output = match query.output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(ClusterError::NoPackageManager(names.join(" ")));
        }
        Err(e) => return Err(ClusterError::io("run", "dpkg-query")(e)),
    };
    // It fails if one is unknown, and still prints the others.
    Ok(versions(&String::from_utf8_lossy(&output.stdout)))
}

/// What `dpkg-query` is to print for each package.
const QUERY: &str = "-f=${Package}\\t${Version}\\t${db:Status-Status}\\n";

/// Installed packages and their versions, as [`QUERY`] prints them.
fn versions(printed: &str) -> BTreeMap<String, String> {
    let lines = printed.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (name, version) = (fields.next()?, fields.next()?);
        (fields.next()? == "installed").then(|| (name.to_owned(), version.to_owned()))
    });
    lines.collect()
}

/// Policy manual, section 5.6.1: at least two of `a-z0-9+-.`, a letter or digit first.
pub(crate) fn is_package_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || "+-.".contains(c))
}

/// Everything that a layer with these packages depends on.
fn key(names: &[String]) -> Result<u128, ClusterError> {
    let read = |path: &str| fs::read(path).map_err(ClusterError::io("read", path));
    let mut text = [FORMAT, std::env::consts::ARCH, &names.join(" "), ""].join("\n");
    text += &String::from_utf8_lossy(&read("/etc/os-release")?);
    text += &String::from_utf8_lossy(&read("/var/lib/dpkg/status")?);
    Ok(xxh3_128(text.as_bytes()))
}

/// The complete layer in this image; `None` if there is none.
fn load(image: &Path) -> Result<Option<Layer>, ClusterError> {
    let record = image.with_extension("json");
    let text = match fs::read(&record) {
        Ok(text) if image.exists() => text,
        Ok(_) => return Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ClusterError::io("read", record)(e)),
    };
    // A record cut short by a power failure is none; the layer is then made again.
    let layer = serde_json::from_slice::<Layer>(&text).ok();
    Ok(layer.map(|layer| Layer {
        image: image.to_owned(),
        ..layer
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_apt_would_take_for_options_or_files_are_refused() {
        for bad in ["", "a", "-y", "./x.deb", "a b", "Etcd", "x=1", "a/b"] {
            assert!(!is_package_name(bad), "{bad}");
        }
        for good in ["etcd-server", "g++", "libstdc++6", "python3.11"] {
            assert!(is_package_name(good), "{good}");
        }
    }

    #[test]
    fn only_packages_that_are_installed_count() {
        let printed = "etcd-server\t3.4.23-4+b4\tinstalled\nredis-server\t5:7.0\tconfig-files\n";
        let expected = [("etcd-server".to_owned(), "3.4.23-4+b4".to_owned())];
        assert_eq!(versions(printed), expected.into());
    }
}
