//! Published histories with known verdicts, where they are there.

use std::path::{Path, PathBuf};

use shakedown_checker::catalogue::{self, Options};
use shakedown_checker::clock::Clock;
use shakedown_checker::import::operations::{self, Dialect};
use shakedown_checker::import::{Names, Recorded, Source};
use shakedown_checker::linearizability::models::{
    AppendText, MultiRegister, Mutex, NIL, Register, Set, TextOp,
};
use shakedown_checker::linearizability::{
    History, Keyed, Limits, Model, Operation, Verdict, check, check_by_search, check_keyed, draw,
    explain, overall,
};

use crate::published::folder;

pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder can be listed")
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default();
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        (name.to_string_lossy().into_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

/// A text as a history; its format is found out.
fn source(text: String) -> Source {
    Source::of_text(text, None, usize::MAX).expect("the format is known")
}

/// The operations of a history without keys.
fn single<O>(recorded: Recorded<O>) -> History<O> {
    let single = recorded.history.into_single();
    single.map_or_else(|_| panic!("it has keys"), |(_, history)| history)
}

/// Checks the verdict, and that a violation can be told and drawn.
fn expect<M: Model>(model: &M, history: &History<M::Op>, names: &Names, good: bool, file: &str) {
    let limits = Limits::default();
    for checked in [
        check(model, history, &limits),
        check_by_search(model, history, &limits),
    ] {
        match (&checked.verdict, good) {
            (Verdict::Linearizable, true) => {}
            (Verdict::NotLinearizable(violation), false) => {
                assert!(violation.shortest, "{file}");
                let told = explain(model, history, violation, &|value| names.name(value));
                assert!(!told.operations.is_empty(), "{file}");
                assert!(!told.configurations.is_empty(), "{file}: {told}");
                assert!(draw(&told).ends_with("</svg>\n"), "{file}");
            }
            (verdict, _) => panic!("{file} by {}: {verdict:?}", checked.method),
        }
    }
}

#[test]
fn porcupines_etcd_logs() {
    let Some(folder) = folder("porcupine/etcd") else {
        return;
    };
    let good = [2, 5, 7, 18, 25, 31, 38, 45, 48, 49];
    for (number, (file, text)) in files(&folder).into_iter().enumerate() {
        assert_eq!(file, format!("etcd_{number:03}.log"));
        let mut names = Names::default();
        let source = source(text);
        let dialect = Dialect::of(source.format());
        let mut events = source.events(Clock::default()).unwrap();
        let history = single(operations::register(&mut events, &mut names, dialect).unwrap());
        let register = Register { initial: NIL };
        expect(&register, &history, &names, good.contains(&number), &file);
    }
}

#[test]
fn porcupines_key_value_histories() {
    let Some(folder) = folder("porcupine/kv") else {
        return;
    };
    for (file, text) in files(&folder) {
        let source = source(text);
        let mut events = source.events(Clock::default()).unwrap();
        let texts = operations::texts(&mut events, &mut Names::default());
        let history = texts.unwrap().history;
        for threads in [1, 4] {
            let limits = Limits {
                threads,
                ..Limits::default()
            };
            let keys = check_keyed(&AppendText, &history, &limits);
            assert!(keys.len() > 1, "{file}");
            let bad = overall(&keys).map(|key| key.checked.verdict.clone());
            match bad {
                None => assert!(file.ends_with("-ok.txt"), "{file}"),
                Some(Verdict::NotLinearizable(_)) => assert!(file.ends_with("-bad.txt"), "{file}"),
                Some(verdict) => panic!("{file}: {verdict:?}"),
            }
        }
    }
}

#[test]
fn a_stale_get_in_every_key_of_fifty_clients_is_decided() {
    let Some(folder) = folder("porcupine/kv") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("c50-ok.txt")).unwrap();
    let source = source(text);
    let texts = operations::texts(
        &mut source.events(Clock::default()).unwrap(),
        &mut Names::default(),
    );
    let history = texts.unwrap().history;
    let mut operations = history.operations().to_vec();
    // The last get of each key answers what the first had.
    let gets = |key: i64, operations: &[Operation<Keyed<TextOp>>]| -> Vec<usize> {
        let of_key = |at: &usize| {
            let one: &Operation<Keyed<TextOp>> = &operations[*at];
            one.op.key == key && matches!(one.op.op, TextOp::Get(_))
        };
        (0..operations.len()).filter(of_key).collect()
    };
    let mut keys: Vec<i64> = operations.iter().map(|one| one.op.key).collect();
    keys.sort_unstable();
    keys.dedup();
    for &key in &keys {
        let gets = gets(key, &operations);
        let [first, .., last] = gets[..] else {
            panic!("key {key} has no two gets");
        };
        operations[last].op = operations[first].op.clone();
    }
    let stale = History::new(operations).unwrap();
    let found = check_keyed(&AppendText, &stale, &Limits::default());
    assert_eq!(found.len(), keys.len());
    for key in found {
        let verdict = &key.checked.verdict;
        assert!(
            matches!(verdict, Verdict::NotLinearizable(_)),
            "key {}: {verdict:?}",
            key.key
        );
    }
}

#[test]
fn knossos_cas_registers() {
    for (name, good) in [("good", true), ("bad", false)] {
        let Some(folder) = folder(&format!("knossos/cas-register/{name}")) else {
            return;
        };
        for (file, text) in files(&folder) {
            let mut names = Names::default();
            let source = source(text);
            let dialect = Dialect::of(source.format());
            let mut events = source.events(Clock::default()).unwrap();
            let history = single(operations::register(&mut events, &mut names, dialect).unwrap());
            expect(&Register { initial: 0 }, &history, &names, good, &file);
        }
    }
}

#[test]
fn knossos_multi_register() {
    let Some(folder) = folder("knossos/multi-register/good") else {
        return;
    };
    for (file, text) in files(&folder) {
        let mut names = Names::default();
        let source = source(text);
        let dialect = Dialect::of(source.format());
        let mut events = source.events(Clock::default()).unwrap();
        let history = single(operations::multi_register(&mut events, &mut names, dialect).unwrap());
        let key = |name: &str| shakedown_checker::import::Value::Keyword(name.into());
        let mut initial = vec![(names.number(&key("x")), 0), (names.number(&key("y")), 0)];
        initial.sort_unstable();
        expect(&MultiRegister { initial }, &history, &names, true, &file);
    }
}

#[test]
fn knossos_mutex() {
    let Some(folder) = folder("knossos/mutex/bad") else {
        return;
    };
    for (file, text) in files(&folder) {
        let source = source(text);
        let mut names = Names::default();
        let history = single(
            operations::mutex(&mut source.events(Clock::default()).unwrap(), &mut names).unwrap(),
        );
        expect(&Mutex, &history, &names, false, &file);
    }
}

#[test]
fn jepsens_set_is_linearizable_too() {
    let Some(folder) = folder("jepsen") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("set.edn")).unwrap();
    let mut names = Names::default();
    let source = source(text);
    let history =
        single(operations::set(&mut source.events(Clock::default()).unwrap(), &mut names).unwrap());
    expect(&Set, &history, &names, true, "set.edn");
}

/// Every published history by the table of models, as the command line checks it.
#[test]
fn every_published_history_by_name() {
    let Some(root) = folder("") else {
        return;
    };
    let mut found = 0;
    let mut agree = |folder: &str, model: &str, good: &dyn Fn(&str) -> bool| {
        let model = catalogue::find(model).unwrap();
        for (file, _) in files(&root.join(folder)) {
            let path = root.join(folder).join(&file);
            let outcome = model.check_file(&path, None, &Options::default()).unwrap();
            let expected = if good(&file) { "valid" } else { "invalid" };
            assert_eq!(
                outcome.verdict.word(),
                expected,
                "{file}: {}",
                outcome.reason
            );
            assert_eq!(outcome.findings.is_empty(), good(&file), "{file}");
            found += 1;
        }
    };
    let etcd = [2, 5, 7, 18, 25, 31, 38, 45, 48, 49].map(|n| format!("etcd_{n:03}.log"));
    agree("porcupine/etcd", "cas-register", &|file| {
        etcd.iter().any(|good| good == file)
    });
    agree("porcupine/kv", "append-text", &|file| {
        file.ends_with("-ok.txt")
    });
    agree("knossos/cas-register/good", "cas-register", &|_| true);
    agree("knossos/cas-register/bad", "cas-register", &|_| false);
    agree("knossos/multi-register/good", "multi-register", &|_| true);
    agree("knossos/mutex/bad", "mutex", &|_| false);
    assert!(found > 100, "{found}");
}
