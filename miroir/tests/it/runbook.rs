//! The runbook for operators is played, command by command, against processes of its own.

mod page;
mod stage;

use std::collections::BTreeSet;
use std::path::Path;

use page::{Play, steps};
use stage::Stage;

fn runbook() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migration_runbook.md");
    std::fs::read_to_string(path).unwrap()
}

/// Plays a page to its end, or to the first thing that is not as it says.
fn play(text: &str) -> Result<Stage, String> {
    let stage = Stage::new();
    for step in steps(text)? {
        let at = format!("line {}", step.line);
        match &step.play {
            Play::File(name) => stage.write(name, &step.text),
            Play::Elsewhere => {}
            Play::Runs | Play::Fails(_) => {
                let done = stage.run(&step.text);
                let code = match &step.play {
                    Play::Fails(code) => Some(code),
                    _ => None,
                };
                if done.success != code.is_none() {
                    return Err(format!("{at}: {}\n{}", step.text, done.output));
                }
                if code.is_some_and(|code| !done.output.contains(code.as_str())) {
                    return Err(format!("{at}: not {code:?}: {}", done.output));
                }
                if let Some(missing) = step.first_not_in(&done.output) {
                    return Err(format!("{at}: no `{missing}` in\n{}", done.output));
                }
            }
        }
    }
    Ok(stage)
}

/// What a scrape exports, as the names of its metrics are written in queries.
fn exported(scrape: &str) -> BTreeSet<String> {
    let families = scrape.lines().filter_map(|l| l.strip_prefix("# TYPE "));
    families
        .map(|family| match family.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect()
}

/// Names of metrics in a page.
fn mentioned(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|w| w.starts_with("miroir_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_runbook_works_from_a_fresh_cluster_to_a_replaced_router() {
    let text = runbook();
    let stage = play(&text).unwrap();
    let mut metrics = exported(&stage.read("router.metrics"));
    metrics.append(&mut exported(&stage.read("node.metrics")));
    assert_eq!(mentioned(&text), metrics);
}

#[test]
fn a_command_that_does_not_exist_would_be_noticed() {
    let bogus = "```sh run\nmiroir ctl --url http://127.0.0.1:17700 nodes lst\n```\n";
    let error = play(&format!("{bogus}{}", runbook())).err().unwrap();
    assert!(error.contains("unrecognized subcommand 'lst'"), "{error}");
}

#[test]
fn an_output_that_is_not_printed_would_be_noticed() {
    let page = "```sh run\nmiroir --version\n```\n\n```output\nmiroir is fine\n```\n";
    let error = play(page).err().unwrap();
    assert!(error.contains("no `miroir is fine`"), "{error}");
}

#[test]
fn a_refusal_that_does_not_come_or_is_another_would_be_noticed() {
    assert!(play("```sh fails=too_late\nmiroir --version\n```\n").is_err());
    assert!(play("```sh fails=too_late\nmiroir --versoin\n```\n").is_err());
    assert!(play("```sh fails=--versoin\nmiroir --versoin\n```\n").is_ok());
}

#[test]
fn a_command_that_nobody_runs_would_be_noticed() {
    let url = "http://127.0.0.1:17700";
    for hidden in [
        format!("```sh\nmiroir ctl --url {url} health\n```\n"),
        format!("```console\n$ miroir ctl --url {url} health\n```\n"),
        format!("Ask `miroir ctl --url {url} health`.\n"),
        "| `miroir ctl health` | x |\n".to_owned(),
    ] {
        let error = steps(&format!("{}\n{hidden}", runbook())).err().unwrap();
        assert!(error.contains("outside"), "{hidden}: {error}");
    }
    assert!(steps(&runbook()).is_ok());
}

#[test]
fn every_code_in_the_table_of_troubles_is_one_of_the_programs() {
    let mut source = String::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut source,
    );
    let text = runbook();
    let (_, table) = text.split_once("| code | cause | do |\n").unwrap();
    let mut found = 0;
    for row in table.lines().skip(1).take_while(|l| l.starts_with('|')) {
        let codes = row.split('|').nth(1).unwrap();
        for code in codes.split('`').skip(1).step_by(2) {
            found += 1;
            assert!(source.contains(&format!("\"{code}\"")), "{code}");
        }
    }
    assert!(found > 20, "{found}");
    assert!(!source.contains("\"too_early\""));
}

fn collect(directory: &Path, source: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, source);
        } else {
            source.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
