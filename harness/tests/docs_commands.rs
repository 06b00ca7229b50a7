//! Command lines and exit codes in the documentation are those of the programs.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read what it checks should stop"
)]

mod docs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use docs::{commands, pages, read};

fn help(program: &Path, words: &[String]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

fn shakedown() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_shakedown"))
}

/// The program parses everything before `--help`, then prints its help and does nothing else.
fn assert_parses(page: &str, program: &Path, words: &[String]) {
    // What follows `--` belongs to another program.
    let mut words: Vec<String> = words
        .iter()
        .skip(1)
        .take_while(|word| *word != "--")
        .cloned()
        .collect();
    // Programs that a reader has beside this one: any file will do.
    for word in &mut words {
        if let Some(name) = word.strip_suffix("=miroir-planted") {
            *word = format!("{name}={}", program.display());
        }
    }
    words.push("--help".to_owned());
    let help = help(program, &words)
        .unwrap_or_else(|error| panic!("{page}: {}: {error}", words.join(" ")));
    let listed = flags(&help);
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        assert!(
            listed.contains(flag),
            "{page}: {}: no {flag} in\n{help}",
            words.join(" ")
        );
    }
}

#[test]
fn every_shakedown_command_in_the_docs_is_understood() {
    let mut found = 0;
    for page in pages() {
        for words in commands(&read(&page), "shakedown") {
            found += 1;
            assert_parses(&page, &shakedown(), &words);
        }
    }
    assert!(found >= 20, "{found} commands found");
}

#[test]
fn every_miroir_command_in_the_docs_is_understood() {
    let miroir = shakedown().with_file_name("miroir");
    assert!(
        miroir.is_file(),
        "{} is missing: build the workspace first",
        miroir.display()
    );
    let mut found = 0;
    for page in pages() {
        for words in commands(&read(&page), "miroir") {
            found += 1;
            if words[1] != "ctl" {
                assert_parses(&page, &miroir, &words);
                continue;
            }
            assert_eq!(words[2], "--url", "{page}: {}", words.join(" "));
            // Options of `ctl` are not in the help of the subcommand.
            let mut command = &words[4..];
            while let [option, rest @ ..] = command {
                command = match (option.as_str(), rest) {
                    ("--json", _) => rest,
                    ("--key", [_, rest @ ..]) => rest,
                    _ => break,
                };
            }
            let command: Vec<String> = ["miroir", "ctl"]
                .map(str::to_owned)
                .into_iter()
                .chain(command.to_vec())
                .collect();
            assert_parses(&page, &miroir, &command);
        }
    }
    assert!(found >= 8, "{found} commands found");
}

#[test]
fn a_command_with_a_flag_that_does_not_exist_would_be_noticed() {
    let words = ["shakedown", "run", "demo", "--sede", "1"].map(str::to_owned);
    assert!(std::panic::catch_unwind(|| assert_parses("this test", &shakedown(), &words)).is_err());
}

#[test]
fn the_exit_code_tables_say_what_the_help_says() {
    // Wrapping and punctuation aside.
    let plain = |text: &str| {
        let words: Vec<String> = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        words.join(" ")
    };
    let help = help(&shakedown(), &["--help".to_owned()]).unwrap();
    let (_, codes) = help
        .split_once("Exit codes:\n")
        .expect("the help lists exit codes");
    for page in ["README.md", "docs/exit_codes.md"] {
        let text = read(page);
        let (_, table) = text
            .split_once("| code | outcome | meaning |\n")
            .expect("there is a table of exit codes");
        let rows: Vec<&str> = table
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with('|'))
            .collect();
        assert_eq!(plain(&rows.join(" ")), plain(codes), "{page}");
    }
}

/// Every word of every help text that looks like a flag.
fn known_flags() -> BTreeSet<String> {
    let miroir = shakedown().with_file_name("miroir");
    let texts = [
        (shakedown(), "run"),
        (shakedown(), "torture"),
        (shakedown(), "track-record"),
        (shakedown(), "report"),
        (shakedown(), "check"),
        (shakedown(), "table loss"),
        (shakedown(), "cluster up"),
        (shakedown(), "cluster packages"),
        (shakedown(), "cluster ssh"),
        (shakedown(), "heal"),
        (shakedown(), "doctor"),
        (miroir.clone(), "node"),
        (miroir.clone(), "router"),
        (miroir.clone(), "ctl"),
        (miroir.clone(), "ctl wait"),
        (miroir.clone(), "ctl nodes add"),
        (miroir.clone(), "ctl changes"),
        (miroir.clone(), "ctl groups add"),
        (miroir.clone(), "ctl writes fail"),
        (miroir, "ctl migration start"),
    ]
    .map(|(program, command)| {
        let words: Vec<String> = command
            .split(' ')
            .chain(["--help"])
            .map(str::to_owned)
            .collect();
        help(&program, &words).unwrap()
    });
    texts.iter().flat_map(|text| flags(text)).collect()
}

fn flags(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let long = words.filter(|word| {
        word.strip_prefix("--")
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
    });
    long.map(str::to_owned).collect()
}

#[test]
fn every_flag_that_the_docs_mention_exists() {
    let known = known_flags();
    // Of cargo, of benchmarks, and of timeout(1).
    let others = [
        "--features",
        "--bench",
        "--release",
        "--nocapture",
        "--test",
        "--files",
        "--lib",
        "--foreground",
        "--run-ignored",
        "--nocapture",
    ];
    for page in pages() {
        let unknown: Vec<String> = flags(&read(&page))
            .into_iter()
            .filter(|f| !known.contains(f) && !others.contains(&f.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{page} mentions {unknown:?}");
    }
}
