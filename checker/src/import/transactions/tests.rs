//! Transactions read from text, and what is said of text that is none.

use super::*;
use crate::isolation::Action;

fn lists(text: &str) -> Result<Imported, ImportError> {
    read(text, Workload::ListAppend, usize::MAX, Clock::default())
}

fn reason(text: &str) -> String {
    lists(text)
        .map(|_| String::new())
        .unwrap_or_else(|error| error.to_string())
}

#[test]
fn reads_transactions_in_any_of_jepsens_forms() {
    let text = r#"
        ; comment
        {:index 0, :type :invoke, :process 1, :value [[:append :x 1] [:r 5 nil]]}
        #jepsen.history.Op{:index 1, :type :ok, :process 1, :f :txn, :error [:a "]" \]], :value [[:append :x 1] [:r 5 [1 -2 "a"]]]}
        {:type :info, :process :nemesis, :value {:cut #{1 2}}}
        {:type :invoke, :process 2, :value ((:append 5 1))}
        {:type :info, :process 2, :value nil}
        {:type :invoke, :process 3, :value [[:append 5 "a"]]}
    "#;
    for text in [text.to_owned(), format!("[{text}]")] {
        let imported = lists(&text).unwrap();
        let txns = imported.history.txns();
        let outcomes: Vec<_> = txns.iter().map(|txn| txn.outcome).collect();
        assert_eq!(outcomes, [Outcome::Committed, Outcome::Open, Outcome::Open]);
        let Action::ReadList(read) = imported.history.ops(0)[1].action else {
            panic!("no read");
        };
        let key = imported.history.ops(0)[1].key;
        let elements = imported.history.elements(key, read);
        assert_eq!(imported.names.show_list(elements), "[1 -2 \"a\"]");
        assert_eq!(
            imported.history.ops(2)[0].action,
            Action::Write(elements[2])
        );
        assert_eq!(imported.cut_off, None);
    }
}

#[test]
fn completions_need_no_invocations() {
    let imported = lists("{:type :ok, :process 0, :value [[:append :x 1]]}").unwrap();
    assert_eq!(imported.history.txn(0).invoked, NONE);
    assert_eq!(imported.history.txn(0).completed, 0);
}

#[test]
fn a_process_that_did_not_wait_has_its_completions_paired_by_transaction() {
    let text = "{:type :invoke, :process 0, :value [[:append :x 1]]}
        {:type :invoke, :process 0, :value [[:append :x 2] [:r :y nil]]}
        {:type :invoke, :process 0, :value [[:append :x 3]]}
        {:type :ok, :process 0, :value [[:append :x 2] [:r :y [7]]]}
        {:type :ok, :process 0, :value [[:append :x 1]]}";
    let imported = lists(text).unwrap();
    let txns = imported.history.txns().iter();
    let spans: Vec<_> = txns.map(|txn| (txn.invoked, txn.completed)).collect();
    assert_eq!(spans, [(1, 3), (0, 4), (2, NONE)]);
}

#[test]
fn a_text_that_ends_too_early_is_read_up_to_there() {
    let whole = "{:type :ok, :process 0, :value [[:append :x 1]]}\n";
    for end in 1..whole.len() - 2 {
        let text = format!("{whole}{}", &whole[..end]);
        let imported = lists(&text).unwrap();
        let why = imported.cut_off.unwrap();
        assert!(why.starts_with("line 2: the file ends"), "{why}: {text}");
        assert_eq!(imported.history.txns().len(), 1);
    }
}

#[test]
fn says_where_it_fails_and_why() {
    let bad = "{:type :ok, :process 0,\n :value [[:w :x 1]]}";
    assert_eq!(
        reason(bad),
        "line 2: not a transaction over lists: [[:w :x 1]]"
    );
    let bad = "\n{:type :ok, :process 0, :value [[:r :x 1]]}";
    assert_eq!(reason(bad), "line 2: not a list: 1");
    let bad = "{:process 0, :value [[:r :x 1]]}";
    assert_eq!(reason(bad), "line 1: an operation without :type");
    let deep = format!("{{:type :ok, :process 0, :value {}", "[".repeat(1000));
    assert_eq!(reason(&deep), "line 1: values nested more than 128 deep");
    assert_eq!(reason("17"), "line 1: not an operation");
}

#[test]
fn the_first_write_shows_the_workload() {
    let of = |text| workload_of(text);
    assert_eq!(of("[[:r 1 nil] [:append 1 2]]"), Some(Workload::ListAppend));
    assert_eq!(of("[[:r 1 nil] [:w 1 2]]"), Some(Workload::RwRegister));
    assert_eq!(of("[[:r 1 nil]]"), None);
}
