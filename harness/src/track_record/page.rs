//! The track record as a page of the documentation.

use std::fmt::Write;

use super::catalogue::PlantedBugs;
use super::tally::{Tally, TrackRecord};

/// The page. `command` is the line that makes it anew; `scenarios` are those the unplanted system must pass.
pub fn render(
    bugs: &PlantedBugs,
    scenarios: &[String],
    record: &TrackRecord,
    command: &str,
) -> String {
    let mut page = String::new();
    write(&mut page, bugs, scenarios, record, command).expect("writing to a string cannot fail");
    page
}

fn write(
    page: &mut String,
    bugs: &PlantedBugs,
    scenarios: &[String],
    record: &TrackRecord,
    command: &str,
) -> std::fmt::Result {
    writeln!(
        page,
        "# Track record\n\n\
         A run that passes proves nothing until the same run fails with a bug in the system. This page lists bugs \
         planted in `{}`, one at a time, the scenarios that must catch each, and in how many runs they did. It is \
         generated; do not edit it:\n\n```sh\n{command}\n```\n\n\
         A bug is caught when the verdict is `invalid`. `unknown` is not counted as caught.\n",
        bugs.program
    )?;
    writeln!(page, "## Planted bugs\n")?;
    writeln!(
        page,
        "| bug | what it does | scenario | caught | by |\n|---|---|---|---:|---|"
    )?;
    for bug in &bugs.bug {
        for scenario in &bug.scenarios {
            let tally = record.tally(&bug.name, scenario);
            writeln!(
                page,
                "| `{}` | {} | `{scenario}` | {} | {} |",
                bug.name,
                bug.what,
                share(tally, |t| t.invalid),
                tally.map(failed_checks).unwrap_or_default(),
            )?;
        }
    }
    writeln!(
        page,
        "\n## Without a bug\n\nThe same scenarios on the system as it is.\n\n\
         | scenario | valid | invalid | unknown | seconds a run |\n|---|---:|---:|---:|---:|"
    )?;
    for scenario in scenarios {
        let tally = record.tally("", scenario);
        let count = |f: fn(&Tally) -> u32| tally.map_or(0, f);
        let seconds = tally
            .filter(|t| t.runs > 0)
            .map_or(0.0, |t| t.duration_ms as f64 / 1000.0 / f64::from(t.runs));
        writeln!(
            page,
            "| `{scenario}` | {} | {} | {} | {seconds:.1} |",
            share(tally, |t| t.valid),
            count(|t| t.invalid),
            count(|t| t.unknown),
        )?;
    }
    writeln!(
        page,
        "\n## Commands\n\nEach line above, by itself:\n\n```sh"
    )?;
    for (bug, scenario) in bugs
        .bug
        .iter()
        .flat_map(|b| b.scenarios.iter().map(|s| (b.name.as_str(), s)))
        .chain(scenarios.iter().map(|s| ("", s)))
    {
        if let Some(tally) = record.tally(bug, scenario) {
            writeln!(page, "{}", tally.command)?;
        }
    }
    writeln!(page, "```")
}

fn share(tally: Option<&Tally>, count: fn(&Tally) -> u32) -> String {
    tally.map_or_else(
        || "not run".to_owned(),
        |t| format!("{} of {}", count(t), t.runs),
    )
}

/// The checks that failed, most frequent first.
fn failed_checks(tally: &Tally) -> String {
    let mut checks: Vec<(&String, &u32)> = tally.failed_checks.iter().collect();
    checks.sort_by_key(|(name, times)| (std::cmp::Reverse(**times), (*name).clone()));
    let words: Vec<String> = checks
        .iter()
        .take(3)
        .map(|(name, times)| format!("{} ({times})", name.replace('|', "\\|")))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track_record::PlantedBug;

    fn bugs() -> PlantedBugs {
        PlantedBugs {
            system: "store".to_owned(),
            program: "store".to_owned(),
            planted: "store-planted".to_owned(),
            variable: "BUG".to_owned(),
            bug: vec![PlantedBug {
                name: "no_fsync".to_owned(),
                what: "acknowledges early".to_owned(),
                scenarios: vec!["power_loss".to_owned()],
            }],
        }
    }

    #[test]
    fn what_was_not_run_is_not_passed_off_as_caught() {
        let page = render(
            &bugs(),
            &["power_loss".to_owned()],
            &TrackRecord::default(),
            "cmd",
        );
        assert!(
            page.contains("| `no_fsync` | acknowledges early | `power_loss` | not run |  |"),
            "{page}"
        );
        assert!(page.contains("| `power_loss` | not run | 0 | 0 | 0.0 |"));
    }

    #[test]
    fn a_caught_bug_has_its_counts_its_checks_and_its_command() {
        let mut record = TrackRecord::default();
        let tally = Tally {
            runs: 10,
            invalid: 9,
            unknown: 1,
            failed_checks: [("loss at `final`".to_owned(), 9)].into(),
            command: "shakedown run power_loss".to_owned(),
            ..Tally::default()
        };
        record.set("no_fsync", "power_loss", tally);
        let page = render(&bugs(), &[], &record, "cmd");
        assert!(page.contains("| 9 of 10 | loss at `final` (9) |"), "{page}");
        assert!(page.contains("\nshakedown run power_loss\n"));
    }
}
