//! Histories written in a few words.

use shakedown_checker::catalogue::{Invariants, Options, Outcome, check, find};
use shakedown_checker::import::Source;

/// `0 add 1` is an operation of process 0 that is ok at once; `0 read -> [1]` one with a result; with `!` at
/// the end it failed, with `?` its outcome is not known; `(` at the beginning only calls, `)` only answers.
pub(crate) fn edn(lines: &[&str]) -> String {
    let mut text = String::new();
    let mut time = 0;
    let mut event = |text: &mut String, kind: &str, f: &str, value: &str, process: &str| {
        time += 1_000_000;
        *text +=
            &format!("{{:type :{kind} :f :{f} :value {value} :process {process} :time {time}}}\n");
    };
    for line in lines {
        let (line, calls, answers) = match (line.strip_prefix('('), line.strip_prefix(')')) {
            (Some(line), _) => (line, true, false),
            (_, Some(line)) => (line, false, true),
            _ => (*line, true, true),
        };
        let (line, kind) = match (line.strip_suffix('!'), line.strip_suffix('?')) {
            (Some(line), _) => (line, "fail"),
            (_, Some(line)) => (line, "info"),
            _ => (line, "ok"),
        };
        let (words, result) = line.split_once(" -> ").unwrap_or((line, ""));
        let mut words = words.trim().splitn(3, ' ');
        let (process, f) = (words.next().unwrap(), words.next().unwrap());
        let value = words.next().unwrap_or("nil");
        if calls {
            event(&mut text, "invoke", f, value, process);
        }
        if answers {
            let result = if result.is_empty() { value } else { result };
            event(&mut text, kind, f, result, process);
        }
    }
    text
}

pub(crate) fn judge(models: &str, text: &str, invariants: Invariants) -> Outcome {
    let options = Options {
        invariants,
        ..Options::default()
    };
    let source = Source::of_text(text.to_owned(), None, 1 << 30).unwrap();
    let models: Vec<_> = models.split(',').map(|name| find(name).unwrap()).collect();
    check(&models, &source, &options).unwrap()
}

pub(crate) fn outcome(models: &str, lines: &[&str]) -> Outcome {
    judge(models, &edn(lines), Invariants::default())
}

/// The verdict, and the classes that were found.
pub(crate) fn told(models: &str, lines: &[&str]) -> String {
    let outcome = outcome(models, lines);
    let classes = outcome.findings.iter().map(|finding| &*finding.about);
    let all: Vec<&str> = std::iter::once(outcome.verdict.word())
        .chain(classes)
        .collect();
    all.join(" ")
}
