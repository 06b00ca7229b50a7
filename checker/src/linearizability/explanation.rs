//! A violation in words.

use std::fmt;

use serde::Serialize;

use super::check::Violation;
use super::history::History;
use super::model::Model;

/// Characters of an operation or state that are kept.
const LONGEST: usize = 400;

/// A violation in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What moments are: `event` of the history, or what [`placed`](Self::placed) made of them.
    pub unit: &'static str,
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
    /// The configurations are those of the operations about the values in conflict alone.
    pub of_conflict: bool,
}

/// An operation concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
            text: clip(model.describe(&one.op, name)),
            stuck: at == violation.returning,
            conflicting: conflicting.contains(&at),
        }
    };
    let indices = |positions: &[usize]| positions.iter().map(|&at| operations[at].index).collect();
    let configuration = |found: &super::found::Final<M::State>| Configuration {
        state: clip(model.describe_state(&found.state, name)),
        done: indices(&found.done),
        waiting: indices(&found.waiting),
        used: indices(&found.used),
    };
    let what = format!(
        "no order of the operations explains \"{}\" of process {}",
        clip(model.describe(&returning.op, name)),
        returning.process,
    );
    Explanation {
        unit: "event",
        reason: match &violation.conflict {
            Some(conflict) => format!("{what}: {}", conflict.reason),
            None => what,
        },
        until,
        shortest: violation.shortest,
        operations: concerned.into_iter().map(operation).collect(),
        configurations: violation.finals.iter().map(configuration).collect(),
        of_conflict: violation.of_conflict,
    }
}

fn clip(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(at);
        text.push('…');
    }
    text
}

impl Explanation {
    /// With the places of moments in a file instead of the moments.
    #[must_use]
    pub fn placed(mut self, unit: &'static str, place: impl Fn(u32) -> u32) -> Self {
        self.unit = unit;
        self.until = place(self.until);
        for one in &mut self.operations {
            one.call = place(one.call);
            one.ret = one.ret.map(&place);
        }
        self
    }

    /// What speaks for it, line by line.
    pub fn evidence(&self) -> Vec<String> {
        let unit = self.unit;
        let mut lines = vec![match self.shortest {
            true => format!(
                "the shortest beginning that is not linearizable ends with {unit} {}",
                self.until
            ),
            false => format!("not linearizable by {unit} {}", self.until),
        }];
        for one in &self.operations {
            let when = match one.ret {
                Some(ret) => format!("{unit}s {} to {ret}", one.call),
                None => format!("from {unit} {} on", one.call),
            };
            let mark = match (one.stuck, one.conflicting) {
                (true, _) => "  <- cannot return",
                (_, true) => "  <- in conflict",
                _ => "",
            };
            lines.push(format!(
                "#{} process {}, {when}: {}{mark}",
                one.index, one.process, one.text
            ));
        }
        let of = match self.of_conflict {
            true => "of the values in conflict alone, ",
            false => "",
        };
        for one in &self.configurations {
            lines.push(format!(
                "{of}a way that leads nowhere: state {}; done {}; waiting {}; open and used {}",
                one.state,
                numbers(&one.done),
                numbers(&one.waiting),
                numbers(&one.used)
            ));
        }
        lines
    }
}

/// Operations by their numbers.
pub(super) fn numbers(indices: &[u32]) -> String {
    if indices.is_empty() {
        return "none".to_owned();
    }
    let numbers: Vec<_> = indices.iter().map(|index| format!("#{index}")).collect();
    numbers.join(" ")
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.reason)?;
        self.evidence()
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}
