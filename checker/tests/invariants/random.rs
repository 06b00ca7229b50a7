//! Small random histories: of each operation, when it was called and answered.

use proptest::prelude::*;

/// An operation. Events are counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) process: usize,
    pub(crate) called: usize,
    /// The event, and `ok`, `fail` or `info`; `None` if it was never answered.
    pub(crate) answered: Option<(usize, &'static str)>,
    pub(crate) does: Does,
}

#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Adds an element, or an amount.
    Add(i64),
    /// Reads, and sees these.
    Read(Vec<i64>),
}

impl Op {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.answered.is_some_and(|(_, its)| its == kind)
    }

    /// The event at which it was ok.
    pub(crate) fn ok(&self) -> Option<usize> {
        self.answered.filter(|_| self.is("ok")).map(|(at, _)| at)
    }
}

/// Histories per property: 3,000, or as `SHAKEDOWN_INVARIANT_HISTORIES` says.
pub(crate) fn cases() -> u32 {
    let asked = std::env::var("SHAKEDOWN_INVARIANT_HISTORIES");
    asked.map_or(3000, |count| count.parse().unwrap())
}

/// Up to 14 events of three processes; `see` says what a read sees, given the adds called so far.
pub(crate) fn history(
    add: fn(u32, usize) -> i64,
    see: fn(u32, &[i64]) -> Vec<i64>,
) -> impl Strategy<Value = Vec<Op>> {
    let steps = prop::collection::vec((0..3_usize, any::<u32>()), 2..14);
    steps.prop_map(move |steps| {
        let mut ops: Vec<Op> = Vec::new();
        let mut busy = [None; 3];
        let mut added = Vec::new();
        for (event, (process, draw)) in steps.into_iter().enumerate() {
            let Some(number) = busy[process].take() else {
                let does = if draw.is_multiple_of(2) {
                    let value = add(draw / 2, added.len());
                    added.push(value);
                    Does::Add(value)
                } else {
                    Does::Read(Vec::new())
                };
                busy[process] = Some(ops.len());
                ops.push(Op {
                    process,
                    called: event,
                    answered: None,
                    does,
                });
                continue;
            };
            let op: &mut Op = &mut ops[number];
            let kind = ["ok", "ok", "ok", "fail", "info"][draw as usize % 5];
            op.answered = Some((event, kind));
            if let Does::Read(seen) = &mut op.does {
                *seen = see(draw / 5, &added);
            }
        }
        ops
    })
}

/// As EDN.
pub(crate) fn edn(ops: &[Op], seen: fn(&[i64]) -> String) -> String {
    let mut events = Vec::new();
    for op in ops {
        let (f, call, answer) = match &op.does {
            Does::Add(value) => ("add", value.to_string(), value.to_string()),
            Does::Read(values) => ("read", "nil".to_owned(), seen(values)),
        };
        let process = op.process;
        events.push((
            op.called,
            format!("{{:type :invoke :f :{f} :value {call} :process {process}}}\n"),
        ));
        if let Some((at, kind)) = op.answered {
            events.push((
                at,
                format!("{{:type :{kind} :f :{f} :value {answer} :process {process}}}\n"),
            ));
        }
    }
    events.sort();
    events.into_iter().map(|(_, text)| text).collect()
}
