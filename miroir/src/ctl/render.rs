//! Answers as indented text for humans.

use serde_json::Value;

/// `key: value` lines; objects and lists of objects are indented, short lists stay on a line.
pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    render(value, 0, &mut out);
    out
}

fn render(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match inline(value) {
                    Some(line) => out.push_str(&format!("{indent}{key}: {line}\n")),
                    None => {
                        out.push_str(&format!("{indent}{key}:\n"));
                        render(value, depth + 1, out);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match row(item) {
                    Some(line) => out.push_str(&format!("{indent}- {line}\n")),
                    None => render(item, depth + 1, out),
                }
            }
        }
        other => out.push_str(&format!("{indent}{}\n", scalar(other))),
    }
}

/// A value that fits on its key's line.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Object(_) => row(value),
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            Some(items.iter().map(scalar).collect::<Vec<_>>().join(", "))
        }
        Value::Array(_) => None,
        other => Some(scalar(other)),
    }
}

/// A flat object on one line.
fn row(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    let flat = |v: &Value| match v {
        Value::Object(_) => None,
        other => inline(other),
    };
    let cells: Option<Vec<String>> = fields
        .iter()
        .map(|(k, v)| Some(format!("{k}={}", flat(v)?)))
        .collect();
    cells.map(|c| c.join(" "))
}

/// One value: text as it is, nothing as a dash.
pub(crate) fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_readable() {
        let value = json!({"phase": null, "nodes": [{"name": "a", "url": "u"}], "shards": {"1": {"state": "active"}}, "ids": [1, 2]});
        let expected =
            "ids: 1, 2\nnodes:\n  - name=a url=u\nphase: -\nshards:\n  1: state=active\n";
        assert_eq!(text(&value), expected);
    }
}
