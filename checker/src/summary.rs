//! Throughput and latency of a history: by second, by window and by function.

use std::collections::BTreeMap;
use std::path::Path;

use hashbrown::HashMap;
use hdrhistogram::Histogram;

use crate::error::CheckError;
use crate::history::{EventKind, EventRow, HistoryReader};
use crate::windows::{Window, WindowCollector, Windows};

/// How the operations of one group ended.
///
/// An operation without completion is indeterminate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Completed ok.
    pub ok: u64,
    /// Certainly failed.
    pub failed: u64,
    /// May have happened.
    pub indeterminate: u64,
}

/// Latency of the operations of a group that completed ok, microseconds, from when their schedule
/// wanted them sent (or from invocation, for those without schedule) to completion. 0 without such.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// One second of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Second {
    /// Seconds since the start of the run.
    pub second: u64,
    /// Operations completed in it; one never completed counts in the second of its invocation.
    pub outcomes: Outcomes,
    /// Accurate to 1 %.
    pub latency: Latency,
}

/// The operations invoked within one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSummary {
    /// Lane, name and span.
    pub window: Window,
    /// How they ended.
    pub outcomes: Outcomes,
    /// Accurate to 0.1 %.
    pub latency: Latency,
}

/// Throughput and latency of a run, clients only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Every second from 0 to the last in which something ended, idle ones included.
    pub timeline: Vec<Second>,
    /// By phase, fault and load stage.
    pub windows: Vec<WindowSummary>,
    /// By function (`put`, `read`, ...).
    pub functions: BTreeMap<String, Outcomes>,
    /// Whether the history lacks its end; what was in flight then is indeterminate.
    pub truncated: bool,
}

/// Sums up the history in `dir`.
///
/// Reads it twice, first for the windows. O(log windows) per operation; memory for the operations in
/// flight and some kilobytes per second of the run.
pub fn summarize(dir: &Path) -> Result<Summary, CheckError> {
    let windows = read_windows(dir)?;
    let mut groups = Groups::new(&windows);
    let mut open: HashMap<u64, Open> = HashMap::new();
    let mut history = HistoryReader::open(dir)?;
    while let Some(batch) = history.next_batch()? {
        let functions: Vec<_> = batch
            .functions()
            .map(|name| groups.function(name))
            .collect();
        for row in 0..batch.len() {
            let event = batch.row(row);
            if !event.process.is_client() {
                continue;
            }
            if event.kind == EventKind::Invoke {
                open.insert(event.op, Open::new(&event, functions[batch.function(row)]));
                continue;
            }
            let operation = open
                .remove(&event.op)
                .ok_or_else(|| CheckError::not_open(event.op, event.f))?;
            groups.add(&operation, event.kind, event.time_ns);
        }
    }
    for operation in open.values() {
        groups.add(operation, EventKind::Info, operation.invoked_ns);
    }
    Ok(groups.into_summary(history.truncated()))
}

/// The windows of the history in `dir`. One pass.
pub(crate) fn read_windows(dir: &Path) -> Result<Windows, CheckError> {
    let mut collector = WindowCollector::default();
    let mut end_ns = 0;
    let mut history = HistoryReader::open(dir)?;
    while let Some(batch) = history.next_batch()? {
        for event in batch.rows() {
            end_ns = end_ns.max(event.time_ns);
            collector.event(&event)?;
        }
    }
    Ok(collector.finish(end_ns))
}

/// An operation in flight.
struct Open {
    invoked_ns: u64,
    /// When its latency begins.
    due_ns: u64,
    /// Index of its function's name.
    function: usize,
}

impl Open {
    fn new(invocation: &EventRow<'_>, function: usize) -> Self {
        Open {
            invoked_ns: invocation.time_ns,
            due_ns: invocation.intended_ns.unwrap_or(invocation.time_ns),
            function,
        }
    }
}

/// Operations that are summed up together.
struct Group {
    outcomes: Outcomes,
    /// Of operations that completed ok, microseconds.
    latency: Histogram<u32>,
    max_us: u64,
}

impl Group {
    fn new(significant_digits: u8) -> Self {
        Group {
            outcomes: Outcomes::default(),
            latency: Histogram::new(significant_digits).expect("1 to 5 digits are allowed"),
            max_us: 0,
        }
    }

    fn add(&mut self, kind: EventKind, latency_us: u64) {
        self.outcomes.add(kind);
        if kind == EventKind::Ok {
            let recorded = self.latency.record(latency_us);
            recorded.expect("a histogram without upper bound grows as needed");
            self.max_us = self.max_us.max(latency_us);
        }
    }

    fn latency(&self) -> Latency {
        // The histogram answers with the upper end of a bucket.
        let quantile = |q| self.latency.value_at_quantile(q).min(self.max_us);
        Latency {
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            max_us: self.max_us,
        }
    }
}

impl Outcomes {
    fn add(&mut self, kind: EventKind) {
        match kind {
            EventKind::Ok => self.ok += 1,
            EventKind::Fail => self.failed += 1,
            EventKind::Info | EventKind::Invoke => self.indeterminate += 1,
        }
    }
}

/// Everything summed up so far.
struct Groups<'a> {
    windows: &'a Windows,
    by_second: BTreeMap<u64, Group>,
    by_window: Vec<Group>,
    by_function: Vec<(String, Outcomes)>,
}

impl<'a> Groups<'a> {
    fn new(windows: &'a Windows) -> Self {
        Groups {
            windows,
            by_second: BTreeMap::new(),
            by_window: windows.windows().iter().map(|_| Group::new(3)).collect(),
            by_function: Vec::new(),
        }
    }

    /// Index of a function's name.
    fn function(&mut self, name: &str) -> usize {
        let known = self.by_function.iter().position(|(known, _)| known == name);
        known.unwrap_or_else(|| {
            self.by_function
                .push((name.to_owned(), Outcomes::default()));
            self.by_function.len() - 1
        })
    }

    fn add(&mut self, operation: &Open, kind: EventKind, completed_ns: u64) {
        let latency_us = completed_ns.saturating_sub(operation.due_ns) / 1_000;
        let second = self.by_second.entry(completed_ns / 1_000_000_000);
        second
            .or_insert_with(|| Group::new(2))
            .add(kind, latency_us);
        for window in self
            .windows
            .members(self.windows.piece(operation.invoked_ns))
        {
            self.by_window[*window].add(kind, latency_us);
        }
        self.by_function[operation.function].1.add(kind);
    }

    fn into_summary(self, truncated: bool) -> Summary {
        let seconds = self
            .by_second
            .last_key_value()
            .map_or(0, |(last, _)| last + 1);
        let second = |second| {
            let group = self.by_second.get(&second);
            Second {
                second,
                outcomes: group.map(|group| group.outcomes).unwrap_or_default(),
                latency: group.map(Group::latency).unwrap_or_default(),
            }
        };
        let windows = self.windows.windows().iter().zip(&self.by_window);
        let window = |(window, group): (&Window, &Group)| WindowSummary {
            window: window.clone(),
            outcomes: group.outcomes,
            latency: group.latency(),
        };
        // Names that only marks of the harness use stay out.
        let used = |(_, outcomes): &(String, Outcomes)| *outcomes != Outcomes::default();
        Summary {
            timeline: (0..seconds).map(second).collect(),
            windows: windows.map(window).collect(),
            functions: self
                .by_function
                .iter()
                .filter(|f| used(f))
                .cloned()
                .collect(),
            truncated,
        }
    }
}

#[cfg(test)]
mod tests;
