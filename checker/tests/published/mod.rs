//! Published histories. They are not part of the repository: they are looked for in the folder that
//! `SHAKEDOWN_HISTORIES` names, or beside the repository.

use std::path::{Path, PathBuf};

/// A folder of the data; `None`, said aloud, if it is not there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SHAKEDOWN_HISTORIES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories"),
        PathBuf::from,
    );
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {} (set SHAKEDOWN_HISTORIES)", folder.display());
    None
}
