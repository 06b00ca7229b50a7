//! Named spans of a run: which of them a moment belongs to.

use std::collections::HashMap;

use crate::history::{EventRow, WindowMark};

/// A named span of time. One whose name recurs is one window with gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// `phase`, `fault` or `load`.
    pub lane: String,
    /// Its name, unique within the lane.
    pub name: String,
    /// Start, nanoseconds since the start of the run (the earliest, if the name recurs).
    pub start_ns: u64,
    /// End, likewise (the latest; the end of the history, if it was never closed).
    pub end_ns: u64,
}

/// A window mark that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// `detail` is not a [`WindowMark`].
    #[error("the window mark at {time_ns} ns cannot be read: {source}")]
    Unreadable {
        /// When it was recorded.
        time_ns: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A window ends that is not open.
    #[error("the {lane} window {name} ends at {time_ns} ns, but is not open")]
    NotOpen {
        /// Its lane.
        lane: String,
        /// Its name.
        name: String,
        /// When its end was recorded.
        time_ns: u64,
    },
}

/// The windows of a history, for many look-ups.
///
/// The run is cut at every start and end; each piece knows its windows. A look-up is a binary search.
#[derive(Debug)]
pub struct Windows {
    windows: Vec<Window>,
    /// Where each piece begins; the first begins at 0.
    piece_starts: Vec<u64>,
    /// Indices into `windows`, by piece.
    members: Vec<Vec<usize>>,
}

/// Collects window marks in the order they were recorded.
#[derive(Debug, Default)]
pub struct WindowCollector {
    index: HashMap<WindowMark, usize>,
    marks: Vec<Spans>,
}

#[derive(Debug)]
struct Spans {
    mark: WindowMark,
    closed: Vec<(u64, u64)>,
    open_since: u64,
    /// Starts without an end so far.
    depth: u32,
}

impl WindowCollector {
    /// Takes one event; those that are not window marks are ignored.
    pub fn event(&mut self, event: &EventRow<'_>) -> Result<(), WindowError> {
        if event.f != WindowMark::START && event.f != WindowMark::END {
            return Ok(());
        }
        let time_ns = event.time_ns;
        let mark: WindowMark = serde_json::from_str(event.detail.unwrap_or_default())
            .map_err(|source| WindowError::Unreadable { time_ns, source })?;
        let index = *self.index.entry(mark.clone()).or_insert_with(|| {
            self.marks.push(Spans {
                mark,
                closed: Vec::new(),
                open_since: 0,
                depth: 0,
            });
            self.marks.len() - 1
        });
        let spans = &mut self.marks[index];
        if event.f == WindowMark::START {
            if spans.depth == 0 {
                spans.open_since = time_ns;
            }
            spans.depth += 1;
        } else {
            spans.depth = spans
                .depth
                .checked_sub(1)
                .ok_or_else(|| WindowError::NotOpen {
                    lane: spans.mark.lane.to_string(),
                    name: spans.mark.name.clone(),
                    time_ns,
                })?;
            if spans.depth == 0 {
                spans.closed.push((spans.open_since, time_ns));
            }
        }
        Ok(())
    }

    /// The windows, by lane and start. Those still open have no end; `end_ns`, the time of the last
    /// event, is shown as theirs.
    pub fn finish(self, end_ns: u64) -> Windows {
        let mut named: Vec<(Window, Vec<(u64, u64)>)> = self
            .marks
            .into_iter()
            .map(
                |Spans {
                     mark,
                     closed: mut spans,
                     open_since,
                     depth,
                 }| {
                    if depth > 0 {
                        spans.push((open_since, u64::MAX));
                    }
                    let start_ns = spans.iter().map(|span| span.0).min().unwrap_or_default();
                    let latest = spans.iter().map(|span| span.1).max().unwrap_or_default();
                    let window = Window {
                        lane: mark.lane.into_owned(),
                        name: mark.name,
                        start_ns,
                        end_ns: if latest == u64::MAX {
                            end_ns.max(start_ns)
                        } else {
                            latest
                        },
                    };
                    (window, spans)
                },
            )
            .collect();
        named.sort_by(|(a, _), (b, _)| {
            (&a.lane, a.start_ns, &a.name).cmp(&(&b.lane, b.start_ns, &b.name))
        });
        let (windows, spans): (Vec<_>, Vec<_>) = named.into_iter().unzip();

        let mut piece_starts: Vec<u64> = spans
            .iter()
            .flatten()
            .flat_map(|span| [span.0, span.1])
            .collect();
        piece_starts.push(0);
        piece_starts.sort_unstable();
        piece_starts.dedup();
        let mut members = vec![Vec::new(); piece_starts.len()];
        for (window, spans) in spans.iter().enumerate() {
            for (start, end) in spans {
                let first = piece_starts.partition_point(|piece| piece < start);
                let behind = piece_starts.partition_point(|piece| piece < end);
                for piece in &mut members[first..behind] {
                    // Spans of one name cannot overlap, so no piece gets a window twice.
                    piece.push(window);
                }
            }
        }
        Windows {
            windows,
            piece_starts,
            members,
        }
    }
}

impl Windows {
    /// All windows, by lane and start.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Pieces the run is cut into.
    pub fn pieces(&self) -> usize {
        self.piece_starts.len()
    }

    /// The piece a moment falls into; a window's start belongs to it, its end does not.
    pub fn piece(&self, time_ns: u64) -> usize {
        self.piece_starts.partition_point(|start| *start <= time_ns) - 1
    }

    /// Indices of the windows that contain a piece.
    pub fn members(&self, piece: usize) -> &[usize] {
        &self.members[piece]
    }
}
