//! Session guarantees on registers. Where one has one writing process, its order of writes is the register's;
//! where it has several, see [`contended`](super::contended).

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::contended::Order;
use super::rising::Rising;
use super::{Guarantee, Seen, is_read};
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::invariants::{Moment, Numbering, unknown};

#[derive(Debug)]
pub(super) struct Registers {
    guarantee: Guarantee,
    keys: Numbering,
    registers: Vec<Register>,
    /// By reader and register: the latest version read, as of the events of the answers.
    read: HashMap<(i64, u32), Rising>,
    /// By reader and writer: the call of the writer's latest write that was read.
    observed: HashMap<i64, BTreeMap<i64, Rising>>,
    /// By process and register: what its next read must not be older than, whoever wrote it, and the event of the
    /// answer that says so; for writes that follow reads, what it read last.
    latest: HashMap<(i64, u32), (u32, u32)>,
    /// By process and register: the latest version of its own that was `ok`, as of the events of the answers.
    written: HashMap<(i64, u32), Rising>,
    /// By process and register: the set of the versions that it has read, as of the events of the answers.
    seen: HashMap<(i64, u32), Rising>,
    reads: usize,
    cases: Vec<(u32, String)>,
    /// Reads that saw what nobody wrote.
    unwritten: usize,
}

/// A register. Its versions are counted from 1 in the order of calls; 0 is nothing, before any write.
#[derive(Debug, Default)]
struct Register {
    writer: Option<i64>,
    /// Written by more than one process.
    contended: bool,
    /// The event of each version's call, from version 1 on.
    calls: Vec<u32>,
    /// The process that wrote each version, from version 1 on.
    writers: Vec<i64>,
    /// What is known of the order of versions without taking it for that of calls.
    order: Order,
    /// Reads of which it is not known which version they saw, or which came before.
    unplaced: usize,
    /// Versions by value.
    versions: HashMap<Value, Vec<u32>>,
    /// The latest version that was `ok`, as of the events of the answers.
    acknowledged: Rising,
}

impl Registers {
    pub(super) fn new(guarantee: Guarantee) -> Self {
        Registers {
            guarantee,
            keys: Numbering::default(),
            registers: Vec::new(),
            read: HashMap::new(),
            observed: HashMap::new(),
            latest: HashMap::new(),
            written: HashMap::new(),
            seen: HashMap::new(),
            reads: 0,
            cases: Vec::new(),
            unwritten: 0,
        }
    }

    fn register(&mut self, moment: &Moment) -> u32 {
        let key = moment.event.key.as_ref().unwrap_or(&Value::Nil);
        let number = self.keys.number(key);
        if self.registers.len() == number as usize {
            self.registers.push(Register::default());
        }
        number
    }

    pub(super) fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        let process = call.event.process.unwrap_or_default();
        let value = match &*call.event.f {
            "write" | "put" | "w" => call.event.value.clone(),
            "delete" => Value::Nil,
            "read" | "get" | "r" => return Ok(()),
            _ => return unknown(call),
        };
        let number = self.register(call);
        let register = &mut self.registers[number as usize];
        register.contended |= *register.writer.get_or_insert(process) != process;
        register.calls.push(call.at);
        register.writers.push(process);
        let version = register.calls.len() as u32;
        register.versions.entry(value).or_default().push(version);
        Ok(())
    }

    pub(super) fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        if answer.event.kind != EventKind::Ok {
            return Ok(());
        }
        let number = self.register(call);
        if is_read(call) {
            self.judge(number, call, answer);
            return Ok(());
        }
        let register = &mut self.registers[number as usize];
        let version = register.calls.partition_point(|at| *at <= call.at) as u32;
        register.acknowledged.note(answer.at, version);
        let writer = (call.event.process.unwrap_or_default(), number);
        match self.guarantee {
            Guarantee::ReadYourWrites => {
                self.latest.insert(writer, (version, answer.at));
            }
            Guarantee::MonotonicWrites => {
                let written = self.written.entry(writer).or_default();
                written.note(answer.at, version);
            }
            Guarantee::MonotonicReads | Guarantee::WritesFollowReads => {}
        }
        Ok(())
    }

    fn judge(&mut self, number: u32, call: &Moment, answer: &Moment) {
        let process = call.event.process.unwrap_or_default();
        self.reads += 1;
        let register = &self.registers[number as usize];
        let (writer, value) = (register.writer, &answer.event.value);
        let initially = [0];
        let written = register.versions.get(value).map_or(&[][..], Vec::as_slice);
        let nothing = if *value == Value::Nil {
            &initially[..]
        } else {
            &[]
        };
        if written.is_empty() && nothing.is_empty() {
            self.unwritten += 1;
            return;
        }
        if nothing.is_empty()
            && let [version] = *written
        {
            self.observe(number, version, process, answer.at);
        }
        self.place(number, call, answer);
        let floor = self.floor(number, process, writer, call.at);
        let register = &self.registers[number as usize];
        let written = register.versions.get(value).map_or(&[][..], Vec::as_slice);
        // Of several versions with this value, the earliest that is permitted: it demands least of what
        // comes.
        let versions = nothing.iter().chain(written).copied();
        let least = floor.as_ref().map_or(0, |(version, _)| *version);
        let Some(version) = versions.clone().find(|version| *version >= least) else {
            let because = floor.map_or(String::new(), |(_, because)| because);
            let key = match self.keys.value(number) {
                Value::Nil => String::new(),
                key => format!(" of {key}"),
            };
            let line = answer.event.line;
            let case = format!(
                "line {line}, process {process}: read {value}{key}, older than what {because}"
            );
            self.cases.push((number, case));
            return;
        };
        self.read
            .entry((process, number))
            .or_default()
            .note(answer.at, version);
    }

    /// Notes whose write a process has read. Where the value was written more than once, that is not known.
    fn observe(&mut self, number: u32, version: u32, process: i64, at: u32) {
        let register = &self.registers[number as usize];
        let write = version as usize - 1;
        let observed = self.observed.entry(process).or_default();
        let calls = observed.entry(register.writers[write]).or_default();
        calls.note(at, register.calls[write]);
    }

    /// Notes what a read says about the order of versions.
    fn place(&mut self, number: u32, call: &Moment, answer: &Moment) {
        let process = call.event.process.unwrap_or_default();
        let register = &mut self.registers[number as usize];
        let value = &answer.event.value;
        let written = register.versions.get(value).map_or(&[][..], Vec::as_slice);
        let version = match (written, value) {
            ([], Value::Nil) => 0,
            ([only], value) if *value != Value::Nil => *only,
            _ => {
                register.unplaced += 1;
                return;
            }
        };
        let (reader, line) = ((process, number), answer.event.line);
        let latest = self.latest.get(&reader).copied();
        // Of each process of which the reader has read a write, the call of the latest.
        let observed = self.observed.get(&process).into_iter().flatten();
        let observed = observed.filter_map(|(who, calls)| Some((*who, calls.before(call.at)?)));
        match self.guarantee {
            Guarantee::MonotonicReads | Guarantee::ReadYourWrites => match latest {
                Some((earlier, at)) if at < call.at => register.order.note(earlier, version, line),
                Some(_) => register.unplaced += 1,
                None => {}
            },
            Guarantee::MonotonicWrites => {
                for (who, called) in observed {
                    let written = self.written.get(&(who, number));
                    if let Some(earlier) = written.and_then(|written| written.before(called)) {
                        register.order.note(earlier, version, line);
                    }
                }
            }
            Guarantee::WritesFollowReads => {
                for (who, called) in observed {
                    let seen = self.seen.get(&(who, number));
                    if let Some(set) = seen.and_then(|seen| seen.before(called)) {
                        register.order.note_all(set, version, line);
                    }
                }
                if latest.is_none_or(|(before, _)| before != version) {
                    let seen = self.seen.entry(reader).or_default();
                    let set = register.order.set(seen.last(), version, line);
                    seen.note(answer.at, set);
                }
            }
        }
        if matches!(
            self.guarantee,
            Guarantee::MonotonicReads | Guarantee::WritesFollowReads
        ) {
            self.latest.insert(reader, (version, answer.at));
        }
    }

    /// The version that a read must have at least, and why.
    fn floor(
        &self,
        number: u32,
        process: i64,
        writer: Option<i64>,
        called: u32,
    ) -> Option<(u32, String)> {
        let register = &self.registers[number as usize];
        let read_before = |who: i64, at: u32| self.read.get(&(who, number))?.before(at);
        let observed_of = |who: i64| self.observed.get(&process)?.get(&who)?.before(called);
        match self.guarantee {
            Guarantee::MonotonicReads => {
                let version = read_before(process, called)?;
                Some((version, "the process had read before".to_owned()))
            }
            Guarantee::ReadYourWrites => {
                let version = register.acknowledged.before(called);
                let version = version.filter(|_| writer == Some(process))?;
                Some((version, "the process had written before".to_owned()))
            }
            Guarantee::MonotonicWrites => {
                let writer = writer?;
                let version = register.acknowledged.before(observed_of(writer)?)?;
                let because = format!(
                    "process {writer} had written before a write of its that the process had read"
                );
                Some((version, because))
            }
            Guarantee::WritesFollowReads => {
                let observed = self.observed.get(&process)?;
                let writers = observed.iter().filter_map(|(other, calls)| {
                    let version = read_before(*other, calls.before(called)?)?;
                    let because = format!(
                        "process {other} had read before a write of its that the process had read"
                    );
                    Some((version, because))
                });
                writers.max()
            }
        }
    }

    pub(super) fn seen(&mut self) -> Seen {
        let contended = |number: &u32| self.registers[*number as usize].contended;
        let cases = self.cases.iter().filter(|(number, _)| !contended(number));
        let mut seen = Seen {
            reads: self.reads,
            undecided: self.unwritten,
            cases: cases.map(|(_, case)| case.clone()).collect(),
        };
        for (number, register) in (0..).zip(&self.registers).filter(|(_, one)| one.contended) {
            match register.order.circle(&register.writers) {
                Some(circle) => seen.cases.push(self.circle(number, &circle)),
                None => seen.undecided += register.unplaced,
            }
        }
        seen
    }

    /// A circle of a register's versions in words.
    fn circle(&self, number: u32, circle: &[(u32, u64)]) -> String {
        let register = &self.registers[number as usize];
        let value = |version: u32| {
            let of = register.versions.iter();
            let mut of = of.filter(|(_, versions)| versions.contains(&version));
            of.next()
                .map_or("nothing".to_owned(), |(value, _)| value.to_string())
        };
        let steps = circle.iter().enumerate().map(|(at, (version, line))| {
            let next = value(circle[(at + 1) % circle.len()].0);
            let why = match (line, version) {
                (0, 0) => "nothing was there at first".to_owned(),
                (0, _) => "one process wrote both".to_owned(),
                (line, _) => format!("line {line}"),
            };
            format!("{} before {next} ({why})", value(*version))
        });
        let steps: Vec<String> = steps.collect();
        let key = match self.keys.value(number) {
            Value::Nil => String::new(),
            key => format!(" of {key}"),
        };
        format!("no order of the writes{key} is left: {}", steps.join(", "))
    }
}
