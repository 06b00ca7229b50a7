//! Session guarantees on a set that is only added to.

use hashbrown::{HashMap, HashSet};

use super::{Guarantee, Seen};
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::invariants::{Moment, Numbering, unknown, wrong};

#[derive(Debug)]
pub(super) struct Set {
    guarantee: Guarantee,
    names: Numbering,
    /// Of each element, who added it and the event of the call.
    added: HashMap<u32, (i64, u32)>,
    /// By process, what it added, with the events of the `ok`s.
    written: HashMap<i64, Log>,
    /// By process, what it has read, with the events of the answers.
    read: HashMap<i64, Log>,
    seen: Seen,
}

/// Elements by when they came, each once.
#[derive(Debug, Default)]
struct Log {
    items: Vec<(u32, u32)>,
    known: HashSet<u32>,
}

impl Log {
    fn push(&mut self, at: u32, element: u32) {
        if self.known.insert(element) {
            self.items.push((at, element));
        }
    }

    /// The first that came before a moment and is not in the set.
    fn missing(&self, before: u32, set: &HashSet<u32>) -> Option<u32> {
        let came = self.items.iter().take_while(|(at, _)| *at < before);
        came.map(|(_, element)| *element)
            .find(|element| !set.contains(element))
    }
}

impl Set {
    pub(super) fn new(guarantee: Guarantee) -> Self {
        Set {
            guarantee,
            names: Numbering::default(),
            added: HashMap::new(),
            written: HashMap::new(),
            read: HashMap::new(),
            seen: Seen::default(),
        }
    }

    pub(super) fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        match &*call.event.f {
            "add" => {
                let element = self.names.number(&call.event.value);
                let process = call.event.process.unwrap_or_default();
                self.added.entry(element).or_insert((process, call.at));
                Ok(())
            }
            "read" => Ok(()),
            _ => unknown(call),
        }
    }

    pub(super) fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        let process = call.event.process.unwrap_or_default();
        if answer.event.kind != EventKind::Ok || answer.event.value == Value::Nil {
            return Ok(());
        }
        if &*call.event.f == "add" {
            let element = self.names.number(&call.event.value);
            self.written
                .entry(process)
                .or_default()
                .push(answer.at, element);
            return Ok(());
        }
        let Some(items) = answer.event.value.items() else {
            return wrong(answer, "not a set");
        };
        let set: HashSet<u32> = items.iter().map(|item| self.names.number(item)).collect();
        self.seen.reads += 1;
        if let Some((element, because)) = self.missing(process, call.at, &set) {
            let element = self.names.value(element);
            let line = answer.event.line;
            self.seen.cases.push(format!(
                "line {line}, process {process}: {element} is missing: {because}"
            ));
        }
        let log = self.read.entry(process).or_default();
        for element in set {
            log.push(answer.at, element);
        }
        Ok(())
    }

    /// What a read lacks, and why it ought to be there.
    fn missing(&self, process: i64, called: u32, set: &HashSet<u32>) -> Option<(u32, String)> {
        let of = |logs: &HashMap<i64, Log>, whose: i64, before: u32| {
            logs.get(&whose).and_then(|log| log.missing(before, set))
        };
        match self.guarantee {
            Guarantee::MonotonicReads => {
                let missing = of(&self.read, process, called)?;
                Some((missing, "the process had read it before".to_owned()))
            }
            Guarantee::ReadYourWrites => {
                let missing = of(&self.written, process, called)?;
                Some((missing, "the process had added it before".to_owned()))
            }
            Guarantee::MonotonicWrites | Guarantee::WritesFollowReads => {
                // Of each process, the last add that is seen says most.
                let mut last: HashMap<i64, (u32, u32)> = HashMap::new();
                for element in set {
                    if let Some(&(adder, at)) = self.added.get(element) {
                        let latest = last.entry(adder).or_insert((at, *element));
                        *latest = (*latest).max((at, *element));
                    }
                }
                let (logs, did) = match self.guarantee {
                    Guarantee::MonotonicWrites => (&self.written, "added"),
                    _ => (&self.read, "read"),
                };
                last.into_iter().filter_map(|(adder, (at, element))| {
                    let missing = of(logs, adder, at)?;
                    let element = self.names.value(element);
                    Some((missing, format!("process {adder} had {did} it before it added {element}, which is there")))
                }).min()
            }
        }
    }

    pub(super) fn seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }
}
