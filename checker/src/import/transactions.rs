//! Histories of transactions as Jepsen and Elle write them: operations whose value is a transaction,
//! `[[:append :x 1] [:r :y [2 3]]]` over lists or `[[:w :x 1] [:r :y 2]]` over registers.
//!
//! Linear time. Needs little more memory than the text and the transactions: values of invocations are
//! looked at only if there is no completion that has one.

use hashbrown::HashMap;

use crate::clock::{Clock, Progress};
use crate::history::EventKind;
use crate::isolation::{Builder, Dictionary, NIL, NONE, Outcome, Transactions, Workload};

use super::error::ImportError;
use super::event::kind_of;
use super::scan::{Cursor, Stop};

/// To check a history takes so many times the memory that the history takes.
const TIMES: usize = 4;

/// Events between two looks at memory and clock.
const STRIDE: u32 = 1024;

/// A history of transactions that was read.
#[derive(Debug)]
pub struct Imported {
    /// The transactions.
    pub history: Transactions,
    /// The names of keys and values.
    pub names: Dictionary,
    /// Why the end is missing, if it is; the history goes up to there.
    pub cut_off: Option<String>,
}

/// What the transactions in a text work on, by the first operation that says so.
pub fn workload_of(text: &str) -> Option<Workload> {
    let at = |word: &str| text.find(word).unwrap_or(usize::MAX);
    let (append, write) = (at(":append "), at("[:w "));
    match append.cmp(&write) {
        std::cmp::Ordering::Less => Some(Workload::ListAppend),
        std::cmp::Ordering::Greater => Some(Workload::RwRegister),
        std::cmp::Ordering::Equal => None,
    }
}

/// Reads a text. Completions need no invocations; operations of anything but numbered processes are
/// left out.
///
/// A history that would take more than `limit_bytes` to read and to check is an error. When the clock stops,
/// the rest is left out.
pub fn read(
    text: &str,
    workload: Workload,
    limit_bytes: usize,
    clock: Clock,
) -> Result<Imported, ImportError> {
    let mut reader = Reader {
        workload,
        limit_bytes,
        builder: Builder::default(),
        names: Dictionary::default(),
        elements: Vec::new(),
        pending: HashMap::new(),
        events: 0,
        clock,
        stopped: None,
    };
    let mut cursor = Cursor::new(text, 1);
    let cut_off = match reader.operations(&mut cursor) {
        Ok(()) => reader.stopped.take(),
        Err(Stop::End) => Some(format!(
            "line {}: the file ends in the middle of an operation",
            cursor.line()
        )),
        Err(Stop::Malformed(error)) => return Err(error),
    };
    reader.never_completed()?;
    Ok(Imported {
        history: reader.builder.finish(),
        names: reader.names,
        cut_off,
    })
}

/// An operation as far as it concerns us.
#[derive(Debug, Clone, Copy)]
struct Operation<'a> {
    kind: EventKind,
    process: Option<i64>,
    index: Option<i64>,
    value: Option<(&'a str, u64)>,
}

/// An invocation that waits for its completion.
#[derive(Debug, Clone, Copy)]
struct Invoked<'a> {
    at: u32,
    index: Option<i64>,
    value: Option<(&'a str, u64)>,
}

struct Reader<'a> {
    workload: Workload,
    limit_bytes: usize,
    builder: Builder,
    names: Dictionary,
    elements: Vec<i64>,
    pending: HashMap<i64, Vec<Invoked<'a>>>,
    events: u32,
    clock: Clock,
    /// Why the clock stopped, if it did.
    stopped: Option<String>,
}

impl<'a> Reader<'a> {
    fn operations(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Stop> {
        let mut inside = None;
        while self.stopped.is_none() && self.step(cursor, &mut inside)? {}
        Ok(())
    }

    /// Reads what comes next; `false` at the end. `inside`: what ends the vector we are in.
    fn step(&mut self, cursor: &mut Cursor<'a>, inside: &mut Option<u8>) -> Result<bool, Stop> {
        let Some(byte) = cursor.peek()? else {
            return if inside.is_some() {
                Err(Stop::End)
            } else {
                Ok(false)
            };
        };
        match (byte, *inside) {
            (byte, Some(close)) if byte == close => {
                cursor.pass();
                *inside = None;
            }
            (b'[' | b'(', None) => *inside = cursor.enter()?,
            (b'#', _) => {
                // The tag of a record: #jepsen.history.Op{...}.
                cursor.pass();
                let at = cursor.line();
                while cursor.next()? != b'{' {
                    if cursor.atom()?.is_empty() || cursor.line() != at {
                        return Err(cursor.malformed("a tag without an operation"));
                    }
                }
            }
            (b'{', _) => {
                let operation = operation(cursor)?;
                if let Some(operation) = operation {
                    self.event(operation, cursor)?;
                }
            }
            _ => {
                return Err(cursor.malformed("not an operation"));
            }
        }
        Ok(true)
    }

    fn event(&mut self, operation: Operation<'a>, cursor: &Cursor<'a>) -> Result<(), Stop> {
        let Some(process) = operation.process else {
            return Ok(());
        };
        let at = self.events;
        if at == NONE - 1 {
            return Err(cursor.malformed("more operations than can be numbered"));
        }
        self.events += 1;
        if at.is_multiple_of(STRIDE) {
            if self.builder.bytes() > self.limit_bytes / TIMES {
                return Err(Stop::Malformed(ImportError::too_large(cursor.line())));
            }
            self.stopped = self.clock.stop(Progress::Events(at));
            if self.stopped.is_some() {
                return Ok(());
            }
        }
        let outcome = match operation.kind {
            EventKind::Invoke => {
                let invoked = Invoked {
                    at,
                    index: operation.index,
                    value: operation.value,
                };
                self.pending.entry(process).or_default().push(invoked);
                return Ok(());
            }
            EventKind::Ok => Outcome::Committed,
            EventKind::Fail => Outcome::Aborted,
            EventKind::Info => Outcome::Open,
        };
        let invoked = self.invocation_of(process, operation.value);
        let label = operation.index.or(Some(i64::from(at)));
        let value = operation.value.or(invoked.value);
        let invoked = Invoked { value, ..invoked };
        self.transaction(process, outcome, label, invoked, Some(at))
    }

    /// Takes the invocation that a completion belongs to: where a process did not wait, the first of
    /// the same transaction.
    fn invocation_of(&mut self, process: i64, value: Option<(&'a str, u64)>) -> Invoked<'a> {
        let unknown = Invoked {
            at: NONE,
            index: None,
            value: None,
        };
        let Some(waiting) = self.pending.get_mut(&process) else {
            return unknown;
        };
        let mut found = waiting.len().saturating_sub(1);
        if waiting.len() > 1
            && let Some((completed, _)) = value
        {
            for (at, invoked) in waiting.iter().enumerate() {
                if invoked
                    .value
                    .is_some_and(|(text, _)| same_transaction(text, completed))
                {
                    found = at;
                    break;
                }
            }
        }
        if waiting.is_empty() {
            unknown
        } else {
            waiting.remove(found)
        }
    }

    fn never_completed(&mut self) -> Result<(), ImportError> {
        let left = self.pending.drain().flat_map(|(process, waiting)| {
            waiting.into_iter().map(move |invoked| (process, invoked))
        });
        let mut left: Vec<_> = left.collect();
        left.sort_unstable_by_key(|(_, invoked)| invoked.at);
        for (process, invoked) in left {
            match self.transaction(process, Outcome::Open, invoked.index, invoked, None) {
                Ok(()) | Err(Stop::End) => {}
                Err(Stop::Malformed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn transaction(
        &mut self,
        process: i64,
        outcome: Outcome,
        label: Option<i64>,
        invoked: Invoked<'a>,
        completed: Option<u32>,
    ) -> Result<(), Stop> {
        let label = label.unwrap_or_else(|| i64::from(invoked.at));
        let completed = completed.unwrap_or(NONE);
        self.builder
            .begin(label, process, outcome, invoked.at, completed);
        let Some((text, line)) = invoked.value else {
            return Ok(());
        };
        let mut cursor = Cursor::new(text, line);
        let Some(close) = cursor.enter()? else {
            return Err(cursor.malformed(format!("not a transaction: {}", cut(text))));
        };
        while cursor.more(close)? {
            self.micro_op(&mut cursor, text)?;
        }
        Ok(())
    }

    fn micro_op(&mut self, cursor: &mut Cursor<'a>, whole: &str) -> Result<(), Stop> {
        let wrong = |cursor: &Cursor<'_>| {
            cursor.malformed(format!(
                "not a transaction over {}: {}",
                match self.workload {
                    Workload::ListAppend => "lists",
                    Workload::RwRegister => "registers",
                },
                cut(whole)
            ))
        };
        let Some(close) = cursor.enter()? else {
            return Err(wrong(cursor));
        };
        let f = cursor.atom()?;
        let write = match (f, self.workload) {
            (":r", _) => false,
            (":append", Workload::ListAppend) | (":w", Workload::RwRegister) => true,
            _ => return Err(wrong(cursor)),
        };
        let key = match cursor.integer()? {
            Some(key) => self.names.integer_key(key),
            None => self.names.key(cursor.skip()?),
        };
        let absent = !cursor.more(close)?;
        if absent && write {
            return Err(wrong(cursor));
        }
        if write {
            let value = self.value(cursor)?;
            self.builder.write(key, value);
        } else if self.workload == Workload::RwRegister {
            let value = if absent { NIL } else { self.value(cursor)? };
            self.builder.read_register(key, value);
        } else {
            self.elements.clear();
            if !absent {
                self.list(cursor)?;
            }
            self.builder.read_list(key, &self.elements);
        }
        if !absent && cursor.more(close)? {
            return Err(
                cursor.malformed(format!("an operation with too many parts: {}", cut(whole)))
            );
        }
        Ok(())
    }

    fn value(&mut self, cursor: &mut Cursor<'a>) -> Result<i64, Stop> {
        if let Some(value) = cursor
            .integer()?
            .and_then(|value| self.names.integer(value))
        {
            return Ok(value);
        }
        Ok(match cursor.skip()? {
            "nil" => NIL,
            text => self.names.value(text),
        })
    }

    fn list(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Stop> {
        let Some(close) = cursor.enter()? else {
            return match cursor.skip()? {
                "nil" => Ok(()),
                text => Err(cursor.malformed(format!("not a list: {}", cut(text)))),
            };
        };
        while cursor.more(close)? {
            let value = self.value(cursor)?;
            self.elements.push(value);
        }
        Ok(())
    }
}

/// Whether two texts are the same transaction but for what its reads saw.
fn same_transaction(a: &str, b: &str) -> bool {
    let asked = |text: &str| -> Result<Vec<String>, Stop> {
        let mut cursor = Cursor::new(text, 1);
        let mut asked = Vec::new();
        let Some(close) = cursor.enter()? else {
            return Ok(asked);
        };
        while cursor.more(close)? {
            let Some(close) = cursor.enter()? else {
                return Ok(asked);
            };
            while cursor.more(close)? {
                asked.push(cursor.skip()?.to_owned());
            }
            asked.push(String::new());
        }
        Ok(asked)
    };
    let (Ok(a), Ok(b)) = (asked(a), asked(b)) else {
        return false;
    };
    let ops = |asked: &[String]| -> Vec<Vec<String>> {
        let ops = asked.split(|part| part.is_empty());
        ops.map(|op| {
            let parts = if op.first().is_some_and(|f| f == ":r") {
                2
            } else {
                op.len()
            };
            op[..parts.min(op.len())].to_vec()
        })
        .collect()
    };
    ops(&a) == ops(&b)
}

/// Reads an operation; `None` if it is none by a client.
fn operation<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Operation<'a>>, Stop> {
    cursor.pass();
    let mut kind = None;
    let mut operation = Operation {
        kind: EventKind::Info,
        process: None,
        index: None,
        value: None,
    };
    while cursor.more(b'}')? {
        let name = cursor.atom()?;
        match name {
            ":type" => {
                let word = cursor.atom()?;
                kind = word.strip_prefix(':').and_then(kind_of);
                if kind.is_none() {
                    return Err(cursor.malformed(format!("{word} is no type of operation")));
                }
            }
            ":process" => {
                operation.process = cursor.integer()?;
                if operation.process.is_none() {
                    cursor.skip()?;
                }
            }
            ":index" => {
                operation.index = cursor.integer()?;
                if operation.index.is_none() {
                    cursor.skip()?;
                }
            }
            ":value" => {
                cursor.next()?;
                let line = cursor.line();
                let text = cursor.skip()?;
                operation.value = (text != "nil").then_some((text, line));
            }
            "" => {
                cursor.skip()?;
                cursor.skip()?;
            }
            _ => {
                cursor.skip()?;
            }
        }
    }
    match kind {
        Some(kind) => Ok(Some(Operation { kind, ..operation })),
        None => Err(cursor.malformed("an operation without :type")),
    }
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
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
}
