//! The log: one JSON object a line on stdout, with keys in a fixed order, flushed at once.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Writes one line: time, event, then the fields in the given order.
pub(crate) fn event(name: &str, fields: &[(&str, Value)]) {
    let line = line(wall_ms(), name, fields);
    let mut out = std::io::stdout().lock();
    // Nobody reads the log any more: nothing sensible can be done about that.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// A warning.
pub(crate) fn warn(message: &str) {
    event("warning", &[("message", json!(message))]);
}

fn line(ts_ms: u64, name: &str, fields: &[(&str, Value)]) -> String {
    let mut line = format!(r#"{{"ts_ms":{ts_ms},"event":{}"#, json!(name));
    for (key, value) in fields {
        line.push_str(&format!(",{}:{value}", json!(key)));
    }
    line.push_str("}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_follows_the_event_in_a_line() {
        let line = line(
            5,
            "phase",
            &[("phase", json!("cutover_begin")), ("migration", json!(1))],
        );
        assert_eq!(
            line,
            "{\"ts_ms\":5,\"event\":\"phase\",\"phase\":\"cutover_begin\",\"migration\":1}\n"
        );
    }
}
