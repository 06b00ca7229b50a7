//! A violation in words.

use std::fmt;

use super::check::Violation;
use super::history::History;
use super::model::Model;

/// A violation in words. Moments are those of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What is wrong, in one sentence.
    pub reason: String,
    /// Until when the history is not linearizable.
    pub until: u32,
    /// Whether no shorter beginning of it is.
    pub shortest: bool,
    /// Operations concerned, in the order of their calls.
    pub operations: Vec<Concerned>,
    /// Ways to explain all but the last return.
    pub configurations: Vec<Configuration>,
}

/// An operation concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerned {
    /// Which operation of the source.
    pub index: u32,
    /// Its client.
    pub process: i64,
    /// Moment of the call.
    pub call: u32,
    /// Moment of the return, if it returned in time.
    pub ret: Option<u32>,
    /// What it was.
    pub text: String,
    /// It is the one that cannot return so.
    pub stuck: bool,
    /// It is among those that exclude one another.
    pub conflicting: bool,
}

/// A way to explain all but the last return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The state then.
    pub state: String,
    /// Source indices of the operations in flight that have taken effect, or left no trace.
    pub done: Vec<u32>,
    /// Source indices of those that have not.
    pub waiting: Vec<u32>,
    /// Source indices of the operations without return that have taken effect.
    pub used: Vec<u32>,
}

/// Says in words what a violation is about; `name` spells out values.
pub fn explain<M: Model>(
    model: &M,
    history: &History<M::Op>,
    violation: &Violation<M::State>,
    name: &dyn Fn(i64) -> String,
) -> Explanation {
    let operations = history.operations();
    let returning = &operations[violation.returning];
    let until = returning.ret;
    let conflicting = violation
        .conflict
        .as_ref()
        .map_or(&[][..], |conflict| &conflict.operations);
    let used = violation.finals.iter().flat_map(|found| &found.used);
    let mut concerned: Vec<usize> = (0..operations.len())
        .filter(|&at| {
            operations[at].call < until
                && operations[at].ret > returning.call
                && !operations[at].is_open()
        })
        .chain(conflicting.iter().copied())
        .chain(used.copied())
        .collect();
    concerned.sort_unstable();
    concerned.dedup();
    let operation = |at: usize| {
        let one = &operations[at];
        Concerned {
            index: one.index,
            process: one.process,
            call: one.call,
            ret: (one.ret <= until).then_some(one.ret),
            text: model.describe(&one.op, name),
            stuck: at == violation.returning,
            conflicting: conflicting.contains(&at),
        }
    };
    let indices = |positions: &[usize]| positions.iter().map(|&at| operations[at].index).collect();
    let configuration = |found: &super::search::Final<M::State>| Configuration {
        state: model.describe_state(&found.state, name),
        done: indices(&found.done),
        waiting: indices(&found.waiting),
        used: indices(&found.used),
    };
    let what = format!(
        "no order of the operations explains \"{}\" of process {}",
        model.describe(&returning.op, name),
        returning.process,
    );
    Explanation {
        reason: match &violation.conflict {
            Some(conflict) => format!("{what}: {}", conflict.reason),
            None => what,
        },
        until,
        shortest: violation.shortest,
        operations: concerned.into_iter().map(operation).collect(),
        configurations: violation.finals.iter().map(configuration).collect(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.reason)?;
        let shortest = if self.shortest {
            "the shortest beginning that is not linearizable ends"
        } else {
            "not linearizable by"
        };
        writeln!(f, "{shortest} at event {}", self.until)?;
        for one in &self.operations {
            let ret = one.ret.map_or("open".to_owned(), |ret| ret.to_string());
            let mark = match (one.stuck, one.conflicting) {
                (true, _) => " <- cannot return",
                (_, true) => " <- in conflict",
                _ => "",
            };
            writeln!(
                f,
                "  #{} process {} [{}, {ret}] {}{mark}",
                one.index, one.process, one.call, one.text
            )?;
        }
        for one in &self.configurations {
            writeln!(
                f,
                "  state {}: done {:?}, waiting {:?}, open and used {:?}",
                one.state, one.done, one.waiting, one.used
            )?;
        }
        Ok(())
    }
}
