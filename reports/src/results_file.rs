//! `results.json`: results on disk, with a schema version.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;

use crate::ReportError;
use crate::results::{SCHEMA_VERSION, SuiteResults};

/// File name of the results within a run directory.
pub const FILE_NAME: &str = "results.json";

/// What is read first, whatever else the schema may have become.
#[derive(Deserialize)]
struct Header {
    schema_version: u32,
    #[serde(default)]
    shakedown_version: Option<String>,
}

/// Writes `results` to `path`, indented, fields in the order of the type, atomically: a reader
/// sees the old file or the whole new one.
///
/// # Errors
/// [`ReportError::Write`] if the file or its directory is not writable.
pub fn save(results: &SuiteResults, path: &Path) -> Result<(), ReportError> {
    let mut text = serde_json::to_string_pretty(results)?;
    text.push('\n');
    write_atomically(path, text.as_bytes())
}

/// Reads results of this schema version or an older one.
///
/// # Errors
/// [`ReportError::TooNew`] for a newer schema, [`ReportError::Malformed`] for anything that is not
/// a results file, [`ReportError::Read`] if the file cannot be read.
pub fn load(path: &Path) -> Result<SuiteResults, ReportError> {
    let text = fs::read(path).map_err(|source| ReportError::Read {
        path: path.into(),
        source,
    })?;
    let malformed = |source| ReportError::Malformed {
        path: path.into(),
        source,
    };
    let header: Header = serde_json::from_slice(&text).map_err(malformed)?;
    if header.schema_version > SCHEMA_VERSION {
        return Err(ReportError::TooNew {
            path: path.into(),
            found: header.schema_version,
            written_by: header.shakedown_version.unwrap_or_else(|| "unknown".into()),
            supported: SCHEMA_VERSION,
        });
    }
    serde_json::from_slice(&text).map_err(malformed)
}

/// Writes a file through a temporary one beside it, synced before it takes the name. Makes the
/// directory if need be.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write {
        path: path.into(),
        source,
    };
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    fs::create_dir_all(dir).map_err(failed)?;
    let mut file = tempfile::Builder::new()
        .prefix(".partial-")
        .permissions(readable_by_all())
        .tempfile_in(dir)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Temporary files are private unless told otherwise; reports are for everyone (umask permitting).
fn readable_by_all() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn results_read_back_equal_the_results_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some/run").join(FILE_NAME);
        let results = example::suite();
        save(&results, &path).unwrap();
        assert_eq!(load(&path).unwrap(), results);
    }

    #[test]
    fn saving_twice_writes_the_same_bytes_and_leaves_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        save(&example::suite(), &path).unwrap();
        let first = fs::read(&path).unwrap();
        save(&load(&path).unwrap(), &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_newer_schema_is_refused_with_both_versions_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(
            &path,
            r#"{"schema_version": 7, "shakedown_version": "9.1.0", "suites": {}}"#,
        )
        .unwrap();
        let message = load(&path).unwrap_err().to_string();
        assert!(
            message.contains("schema 7 (written by shakedown 9.1.0)"),
            "{message}"
        );
        assert!(message.contains("at most 1"), "{message}");
    }

    #[test]
    fn a_file_that_is_no_results_file_is_refused_with_line_and_column() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, "{\n  \"schema_version\": 1\n}").unwrap();
        let error = load(&path).unwrap_err();
        assert!(matches!(error, ReportError::Malformed { .. }));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("line 3"), "{cause}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = load(Path::new("no/such/results.json"))
            .unwrap_err()
            .to_string();
        assert_eq!(message, "cannot read no/such/results.json");
    }
}
