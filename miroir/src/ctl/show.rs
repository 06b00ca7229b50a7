//! Answers as tables and sentences for humans, by what was asked.

use jiff::Timestamp;
use serde_json::Value;

use super::render::{self, scalar};
use super::table::table;
use super::words;

/// What an answer is about, and so how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Field by field.
    Fields,
    /// The router as a whole.
    Status,
    /// All nodes.
    Nodes,
    /// All groups.
    Groups,
    /// All shards.
    Shards,
    /// All migrations.
    Migrations,
    /// One migration, by itself or in the status.
    Migration,
    /// Writes under way.
    Writes,
    /// Anti-entropy as a whole.
    AntiEntropy,
    /// One pass.
    Pass,
    /// The last passes.
    Passes,
}

/// The answer in words.
pub(crate) fn text(view: View, answer: &Value) -> String {
    match view {
        View::Fields => render::text(answer),
        View::Status => status(answer),
        View::Nodes => nodes(&answer["nodes"]),
        View::Groups => groups(&answer["groups"]),
        View::Shards => shards(&answer["shards"]),
        View::Migrations => migrations(&answer["migrations"]),
        View::Migration if answer["shards"].is_object() => migration(answer),
        View::Migration => migration(&answer["migration"]),
        View::Writes => writes(&answer["writes"]),
        View::AntiEntropy => anti_entropy(answer),
        View::Pass => pass(answer),
        View::Passes => passes(&answer["passes"]),
    }
}

fn status(answer: &Value) -> String {
    let mut out = lines(answer, &["ready", "superseded", "phase"]);
    out += &format!(
        "epoch: {}, term: {}\n",
        scalar(&answer["epoch"]),
        scalar(&answer["term"])
    );
    let wait = &answer["write_wait"];
    out += &format!(
        "writes that waited for a cutover: {}, at most {}\n",
        scalar(&wait["count"]),
        words::duration(wait["max_ms"].as_f64().unwrap_or(0.0) as u64)
    );
    out += &lines(answer, &["replication_factor"]);
    out += &lines(&answer["config"], CONFIG);
    for warning in items(&answer["warnings"]) {
        out += &format!("warning: {}\n", scalar(warning));
    }
    out += &format!("\n{}", nodes(&answer["nodes"]));
    if answer["migration"].is_object() {
        out += &format!("\n{}", migration(&answer["migration"]));
    }
    if items(&answer["open_migrations"]).len() > 1 {
        out += &format!("\nopen:\n{}", migrations(&answer["open_migrations"]));
    }
    out
}

/// Settings in the status.
const CONFIG: &[&str] = &[
    "anti_entropy",
    "auto_repair",
    "skip_delta_pass",
    "stuck_writes",
    "unsafe_measurement_override",
];

fn nodes(nodes: &Value) -> String {
    rows(nodes, &["NAME", "GROUP", "KIND", "URL"], |n| {
        cells(n, &["name", "group", "kind", "url"])
    })
}

fn groups(groups: &Value) -> String {
    let headings = ["NAME", "COPIES PER SHARD", "SERVING", "NODES"];
    rows(groups, &headings, |g| {
        cells(g, &["name", "replication_factor", "serving", "nodes"])
    })
}

fn shards(shards: &Value) -> String {
    let headings = [
        "SHARD",
        "OWNERS",
        "MIGRATION",
        "PHASE",
        "LEAVING",
        "JOINING",
        "WRITES",
    ];
    let fields = [
        "shard",
        "owners",
        "moving",
        "phase",
        "leaving",
        "joining",
        "in_flight",
    ];
    rows(shards, &headings, |s| cells(s, &fields))
}

fn migrations(migrations: &Value) -> String {
    let headings = ["ID", "WHAT", "OF", "PHASE", "OPEN", "SHARDS"];
    rows(migrations, &headings, |m| {
        cells(m, &["id", "kind", "to", "phase", "open", "shards"])
    })
}

fn migration(answer: &Value) -> String {
    let mut out = format!(
        "migration {}: {} {}\n",
        scalar(&answer["id"]),
        scalar(&answer["kind"]),
        scalar(&answer["to"])
    );
    out += &lines(answer, &["phase"]);
    for field in ["sub_state", "rolled_back_by"] {
        if !answer[field].is_null() {
            out += &lines(answer, &[field]);
        }
    }
    if answer["drain"].is_object() {
        out += &format!(
            "drain: {} writes pending\n",
            scalar(&answer["drain"]["pending"])
        );
    }
    let (by_itself, requested) = (&answer["auto_cutover"], &answer["cutover_requested"]);
    let cutover = match (by_itself.as_bool(), requested.as_bool()) {
        (_, Some(true)) => "asked for",
        (Some(true), _) => "by itself",
        _ => "when told",
    };
    out += &format!("cutover: {cutover}\n");
    if answer["skip_delta_pass"] == true {
        out += &lines(answer, &["skip_delta_pass", "unsafe_override"]);
    }
    if answer["given_up"].is_object() {
        out += &format!(
            "given up in {}: {}\n",
            scalar(&answer["given_up"]["phase"]),
            scalar(&answer["given_up"]["reason"])
        );
        out += &lines(answer, &["discard_pending"]);
    }
    out + &moving(&answer["shards"])
}

fn moving(shards: &Value) -> String {
    let headings = [
        "SHARD",
        "FROM",
        "TO",
        "STATE",
        "FOR",
        "COPIED",
        "PAGES LEFT",
        "DELTA",
        "WRITES",
    ];
    let mut rows: Vec<(u64, Vec<String>)> = Vec::new();
    for (shard, s) in shards.as_object().into_iter().flatten() {
        let mut row = vec![shard.clone()];
        row.extend(cells(s, &["from", "to", "state"]));
        row.push(milliseconds(&s["in_state_ms"]));
        row.extend(cells(s, &["copied", "pages_left", "delta", "in_flight"]));
        rows.push((shard.parse().unwrap_or(0), row));
    }
    rows.sort();
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    table(&headings, &rows)
}

fn writes(writes: &Value) -> String {
    if items(writes).is_empty() {
        return "no writes\n".to_owned();
    }
    let headings = [
        "ID",
        "AGE",
        "KIND",
        "DOCUMENTS",
        "FIRST",
        "ANSWERED",
        "SHARDS",
    ];
    rows(writes, &headings, |w| {
        let mut row = vec![scalar(&w["id"]), milliseconds(&w["age_ms"])];
        row.extend(cells(w, &["kind", "documents", "first", "answered"]));
        row.push(some_of(&w["shards"]));
        row
    })
}

/// The first of many.
fn some_of(values: &Value) -> String {
    const SHOWN: usize = 8;
    let shown = items(values).iter().take(SHOWN).map(scalar);
    let mut line = shown.collect::<Vec<_>>().join(", ");
    let left = items(values).len().saturating_sub(SHOWN);
    if left > 0 {
        line += &format!(" and {left} more");
    }
    line
}

fn anti_entropy(answer: &Value) -> String {
    let mut out = lines(answer, &["enabled", "auto_repair", "schedule"]);
    if let Some(next) = answer["next"].as_str() {
        out += &format!("next: {}\n", words::relative(next, Timestamp::now()));
    }
    out += &lines(answer, &["running"]);
    if answer["running"] == true {
        let done = scalar(&answer["shards_done"]);
        out += &format!("shards: {done} of {}\n", scalar(&answer["shards"]));
        out += &lines(answer, &["divergent_keys", "repaired"]);
    }
    if answer["last"].is_object() {
        out += &format!("\nlast pass:\n{}", pass(&answer["last"]));
    }
    out
}

fn pass(report: &Value) -> String {
    let mut out = format!(
        "pass {}: {}, by {}, {}, took {}\n",
        scalar(&report["id"]),
        scalar(&report["mode"]),
        scalar(&report["trigger"]),
        began(report),
        milliseconds(&report["duration_ms"])
    );
    out += &lines(report, &["complete"]);
    let done = scalar(&report["shards_done"]);
    out += &format!("shards: {done} of {}\n", scalar(&report["shards"]));
    let counts = ["divergent_keys", "repaired", "expired", "purged", "alerts"];
    out += &lines(report, &counts);
    for error in items(&report["errors"]) {
        out += &format!("error: {}\n", scalar(error));
    }
    out
}

fn passes(passes: &Value) -> String {
    let headings = [
        "ID",
        "BEGAN",
        "TOOK",
        "BY",
        "MODE",
        "COMPLETE",
        "SHARDS",
        "DIVERGENT",
        "REPAIRED",
    ];
    rows(passes, &headings, |p| {
        let mut row = vec![scalar(&p["id"]), began(p), milliseconds(&p["duration_ms"])];
        let fields = [
            "trigger",
            "mode",
            "complete",
            "shards_done",
            "divergent_keys",
            "repaired",
        ];
        row.extend(cells(p, &fields));
        row
    })
}

fn began(pass: &Value) -> String {
    let at = pass["started_at"].as_str().unwrap_or_default();
    words::relative(at, Timestamp::now())
}

fn milliseconds(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| "-".to_owned(), words::duration)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn rows(values: &Value, headings: &[&str], row: impl Fn(&Value) -> Vec<String>) -> String {
    let rows: Vec<Vec<String>> = items(values).iter().map(row).collect();
    table(headings, &rows)
}

fn cells(value: &Value, fields: &[&str]) -> Vec<String> {
    let cell = |field: &&str| match &value[*field] {
        Value::Array(values) => values.iter().map(scalar).collect::<Vec<_>>().join(", "),
        other => scalar(other),
    };
    fields.iter().map(cell).collect()
}

fn lines(value: &Value, fields: &[&str]) -> String {
    let line = |field: &&str| format!("{field}: {}\n", scalar(&value[*field]));
    fields.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_migration_is_a_headline_and_a_table_in_the_order_of_the_shards() {
        let shard = |state: &str| {
            json!({
                "from": "a", "to": "c", "state": state, "in_state_ms": 3400, "copied": 5,
                "pages_left": 0, "delta": 1, "in_flight": 0,
            })
        };
        let answer = json!({
            "id": 1, "kind": "join", "to": "c", "phase": "failed", "auto_cutover": true,
            "cutover_requested": false, "discard_pending": false,
            "given_up": {"phase": "cutover_delta_pass", "reason": "no answer"},
            "shards": {"10": shard("failed"), "9": shard("failed")},
        });
        let expected = "migration 1: join c\nphase: failed\ncutover: by itself\n\
             given up in cutover_delta_pass: no answer\ndiscard_pending: false\n\
             SHARD  FROM  TO  STATE   FOR    COPIED  PAGES LEFT  DELTA  WRITES\n\
             9      a     c   failed  3.4 s  5       0           1      0\n\
             10     a     c   failed  3.4 s  5       0           1      0\n";
        assert_eq!(text(View::Migration, &answer), expected);
    }

    #[test]
    fn writes_have_an_age_in_words_and_not_all_their_shards() {
        let write = json!({
            "id": 7, "age_ms": 65000, "kind": "merge", "documents": 12, "first": "k", "answered": false,
            "shards": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        });
        let shown = text(View::Writes, &json!({"writes": [write]}));
        assert!(shown.contains("7   1 min 5 s  merge  12         k      false     0, 1, "));
        assert!(shown.ends_with("7 and 2 more\n"), "{shown}");
        assert_eq!(text(View::Writes, &json!({"writes": []})), "no writes\n");
    }
}
