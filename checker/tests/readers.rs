//! Readers take any input: no panic, no memory beyond the limit, an error or a verdict. `checker/fuzz` goes
//! further.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use shakedown_checker::catalogue::{MODELS, Options};
use shakedown_checker::clock::Clock;
use shakedown_checker::import::{Format, Source, SourceError};
use shakedown_checker::verdict::Verdict;

const EDN: &str = "[{:type :invoke, :f :write, :value 1, :process 0, :time 12 :index 0}
 ; a comment
 {:type :ok, :f :write, :value 1, :process 0} {:type :invoke, :f :read, :value nil, :process 1}
 #jepsen.history.Op{:type :ok, :f :read, :value #{1 \"a\\u00e9\" \\a}, :process 1}
 {:type :info, :f :start, :process :nemesis, :value [\"n1\" 2.5 -3N]}]";
const ETCD: &str =
    "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0 :fail :cas [1 2]\n";
const JSON: &str = r#"{"op":1,"process":0,"kind":"invoke","f":"put","time_ns":1,"intended_ns":null,"key":0,"value":1,"detail":null}
{"op":1,"process":0,"kind":"ok","f":"put","time_ns":2,"intended_ns":null,"key":0,"value":1,"detail":"{\"value\":[1,\"x\"]}"}
"#;
const LINES: &str = "# lin-gen v1 init=nil\ni 0 w 0 1\no 0 w 0 1\ni 1 c 0 1 2\nf 1 c 0 1 2\ni 1 r 0 -\nn 1 r 0 nil\n";

const TEXTS: [(Format, &str); 4] = [
    (Format::Edn, EDN),
    (Format::EtcdLog, ETCD),
    (Format::JsonLines, JSON),
    (Format::Lines, LINES),
];

/// Every model over a text as one format: whatever comes of it, it ends.
fn check(text: &str, format: Format) {
    let options = Options {
        memory_bytes: 1 << 20,
        time: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    for model in MODELS {
        let source = Source::of_text(text.to_owned(), Some(format), options.memory_bytes);
        match model.check(&source.unwrap(), &options) {
            Ok(outcome) => assert!(!outcome.reason.is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    Cut(usize),
    Replace(usize, u8),
    Double(usize, usize),
    Remove(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..400usize;
    prop_oneof![
        at.clone().prop_map(Change::Cut),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (at.clone(), 1..80usize).prop_map(|(at, length)| Change::Double(at, length)),
        (at, 1..80usize).prop_map(|(at, length)| Change::Remove(at, length)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let clamp = |at: usize| at.min(bytes.len());
    match *change {
        Change::Cut(at) => bytes.truncate(at),
        Change::Replace(at, byte) => {
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
        Change::Double(at, length) => {
            let part = bytes[clamp(at)..clamp(at + length)].to_vec();
            let at = clamp(at);
            bytes.splice(at..at, part);
        }
        Change::Remove(at, length) => {
            bytes.drain(clamp(at)..clamp(at + length));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_end_in_a_verdict_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        for (format, _) in TEXTS {
            check(&text, format);
        }
    }

    #[test]
    fn characters_of_the_formats_in_any_order_do_too(text in r#"[\[\]{}()"\\#:;,_ \na-f0-9.+-]{0,120}"#) {
        for (format, _) in TEXTS {
            check(&text, format);
        }
    }

    #[test]
    fn valid_histories_with_a_few_changes_do_too(
        which in 0..TEXTS.len(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let (format, text) = TEXTS[which];
        let mut bytes = text.as_bytes().to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        check(&String::from_utf8_lossy(&bytes), format);
    }

    #[test]
    fn changed_files_are_opened_or_refused(
        changes in prop::collection::vec(change(), 0..4),
        compressed in any::<bool>(),
    ) {
        let mut bytes = LINES.as_bytes().to_vec();
        if compressed {
            bytes = gzip(&bytes);
        }
        changes.iter().for_each(|change| apply(&mut bytes, change));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let _ = MODELS[0].check_file(file.path(), None, &Options::default());
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_text_cut_off_anywhere_is_not_valid() {
    let edn = "[{:type :invoke, :f :write, :value 1, :process 0} {:type :ok, :f :write, :value 1, :process 0}]";
    let whole = Source::of_text(edn.to_owned(), None, 1 << 20).unwrap();
    let verdict = |source: &Source| {
        MODELS[0]
            .check(source, &Options::default())
            .unwrap()
            .verdict
    };
    assert_eq!(verdict(&whole), Verdict::Valid);
    for end in 1..edn.len() {
        let source = Source::of_text(edn[..end].to_owned(), None, 1 << 20).unwrap();
        assert_eq!(verdict(&source), Verdict::Unknown, "{}", &edn[..end]);
    }
}

#[test]
fn a_small_file_that_grows_past_the_limit_is_refused_and_unknown() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&gzip(&vec![b' '; 50 << 20])).unwrap();
    let opened = Source::open(file.path(), None, 1 << 20, Clock::default());
    assert!(
        matches!(opened, Err(SourceError::Memory { limit_bytes, .. }) if limit_bytes == 1 << 20),
        "{opened:?}"
    );
    let options = Options {
        memory_bytes: 1 << 20,
        ..Options::default()
    };
    let outcome = MODELS[0].check_file(file.path(), None, &options).unwrap();
    assert_eq!(outcome.verdict, Verdict::Unknown);
    assert!(
        outcome.reason.contains("memory limit of 1048576 bytes"),
        "{}",
        outcome.reason
    );
}

#[test]
fn a_value_that_takes_more_than_the_text_is_refused() {
    let text = format!(
        "{{:type :invoke, :f :write, :process 0, :value [{}]}}",
        "1 ".repeat(100_000)
    );
    let source = Source::of_text(text, None, 1 << 20).unwrap();
    let found = MODELS[0].check(&source, &Options::default());
    assert!(
        matches!(found, Err(SourceError::Memory { .. })),
        "{found:?}"
    );
}
