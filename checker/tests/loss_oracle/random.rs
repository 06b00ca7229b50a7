//! Random histories with one writer per key, and random observations.

use std::borrow::Cow;

use proptest::prelude::*;
use shakedown_checker::history::{
    Event, EventKind, Observation, Placement, Process, Seen, WindowMark,
};

/// Sources of observations: 0 and 1 are front doors, 2 and 3 nodes.
pub(crate) const SOURCES: usize = 4;

/// One write: whether it deletes, how it ends, and after how many further events of its key an
/// indeterminate answer comes.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    delete: bool,
    end: Option<EventKind>,
    delay: usize,
}

pub(crate) fn scripts() -> impl Strategy<Value = Vec<Script>> {
    use EventKind::{Fail, Info, Ok};
    let end = prop::sample::select(vec![
        Some(Ok),
        Some(Ok),
        Some(Ok),
        Some(Fail),
        Some(Info),
        None,
    ]);
    let script = (prop::bool::weighted(0.3), end, 0..5usize)
        .prop_map(|(delete, end, delay)| Script { delete, end, delay });
    prop::collection::vec(script, 0..6)
}

/// The events of one key in order, by one process.
pub(crate) fn events_of(key: i64, process: i32, scripts: &[Script]) -> Vec<Event> {
    let mut events = Vec::new();
    for (version, script) in (1..).zip(scripts) {
        let event = |kind| Event {
            op: (process as u64) << 32 | version as u64,
            process: Process(process),
            kind,
            f: Cow::Borrowed(if script.delete { "delete" } else { "put" }),
            time_ns: 0,
            intended_ns: None,
            key: Some(key),
            value: Some(version),
            detail: None,
        };
        events.push((event(EventKind::Invoke), 0));
        if let Some(kind) = script.end {
            let delay = if kind == EventKind::Info {
                script.delay
            } else {
                0
            };
            events.push((event(kind), delay));
        }
    }
    let mut late = Vec::new();
    for (position, (event, delay)) in events.into_iter().enumerate() {
        late.push((position + delay * 2, delay > 0, event));
    }
    // Stable, and at the same position what is not delayed comes first.
    late.sort_by_key(|(position, delayed, _)| (*position, *delayed));
    late.into_iter().map(|(_, _, event)| event).collect()
}

fn window_event(f: &'static str, name: u8) -> Event {
    let mark = WindowMark {
        lane: "fault".into(),
        name: format!("w{name}"),
    };
    Event {
        op: 0,
        process: Process::NEMESIS,
        kind: EventKind::Info,
        f: Cow::Borrowed(f),
        time_ns: 0,
        intended_ns: None,
        key: None,
        value: None,
        detail: Some(serde_json::to_string(&mark).unwrap().into()),
    }
}

/// Interleaves the keys' events and the window marks; `picks` says whose turn it is.
pub(crate) fn history(keys: &[Vec<Event>], marks: &[(u8, bool)], picks: &[usize]) -> Vec<Event> {
    let mut open = [0; 3];
    let marks = marks.iter().filter_map(|(name, start)| {
        let depth = &mut open[usize::from(*name)];
        if *start {
            *depth += 1;
        } else if *depth > 0 {
            *depth -= 1;
        } else {
            return None;
        }
        Some(window_event(
            if *start {
                WindowMark::START
            } else {
                WindowMark::END
            },
            *name,
        ))
    });
    let mut queues: Vec<std::collections::VecDeque<Event>> = keys
        .iter()
        .map(|events| events.clone().into())
        .chain([marks.collect()])
        .collect();
    let mut merged = Vec::new();
    let mut picks = picks.iter().cycle();
    while queues.iter().any(|queue| !queue.is_empty()) {
        let turn = picks.next().unwrap() % queues.len();
        let queue = (0..queues.len())
            .map(|offset| (turn + offset) % queues.len())
            .find(|queue| !queues[*queue].is_empty())
            .unwrap();
        let mut event = queues[queue].pop_front().unwrap();
        event.time_ns = merged.len() as u64 * 10;
        merged.push(event);
    }
    merged
}

/// Front doors are sources 0 and 1; nodes 2 and 3.
pub(crate) fn observation(keys: [i64; 4]) -> impl Strategy<Value = Observation> {
    use Placement::{FormerOwner, Owner, Stranger};
    let place = prop::sample::select(vec![Owner, Owner, FormerOwner, Stranger]);
    (0..SOURCES as u16, place, 0..4usize, 0..8, 0..7i64).prop_map(
        move |(source, place, key, what, version)| {
            let key = keys[key];
            Observation {
                source,
                placement: if source < 2 { Placement::Routed } else { place },
                seen: match what {
                    0 => Seen::Absent { key },
                    1 => Seen::Corrupt {
                        key,
                        detail: "damaged".into(),
                    },
                    _ => Seen::Version { key, version },
                },
            }
        },
    )
}

/// How each source ends: 0 and 1 read to the end, 2 failed, 3 cut off, 4 failed although read to the end.
pub(crate) fn ends(ends: &[u8]) -> Vec<Observation> {
    let mut rows = Vec::new();
    for (source, end) in (0..).zip(ends) {
        let placement = if source < 2 {
            Placement::Routed
        } else {
            Placement::Owner
        };
        let failed = Seen::Failed {
            error: "refused".into(),
        };
        let seen = match end {
            0 | 1 => vec![Seen::End],
            2 => vec![failed],
            3 => vec![],
            _ => vec![Seen::End, failed],
        };
        rows.extend(seen.into_iter().map(|seen| Observation {
            source,
            placement,
            seen,
        }));
    }
    rows
}
