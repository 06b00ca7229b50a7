//! Histories as JSON lines: one event per line, for people and for tools without Arrow.

use std::io::{BufRead, Write};
use std::path::Path;

use super::{Event, HistoryError, HistoryReader, HistoryWriter};

/// Writes every remaining event of `history` to `out`, one JSON object per line; returns how many.
pub fn export_json_lines(
    history: &mut HistoryReader,
    mut out: impl Write,
) -> Result<u64, HistoryError> {
    let path = Path::new("the JSON lines output");
    let mut events = 0;
    for event in history {
        let mut line =
            serde_json::to_vec(&event?).map_err(|e| HistoryError::io("write", path)(e.into()))?;
        line.push(b'\n');
        out.write_all(&line)
            .map_err(HistoryError::io("write", path))?;
        events += 1;
    }
    out.flush().map_err(HistoryError::io("write", path))?;
    Ok(events)
}

/// Appends the events in `input`, one JSON object per line (empty lines are skipped); returns how many.
pub fn import_json_lines(
    input: impl BufRead,
    history: &mut HistoryWriter,
) -> Result<u64, HistoryError> {
    let mut events = 0;
    for (line, text) in (1..).zip(input.lines()) {
        let text = text.map_err(HistoryError::io("read", Path::new("the JSON lines input")))?;
        if text.trim().is_empty() {
            continue;
        }
        let event: Event =
            serde_json::from_str(&text).map_err(|source| HistoryError::Json { line, source })?;
        history.append(&event)?;
        events += 1;
    }
    Ok(events)
}
