//! Texts that are replaced, extended and read as a whole, in time linear in what was read.
//!
//! If the texts put and appended are all different, none of them empty or the beginning of another, what
//! a read saw falls apart in one way into the put it goes back to and the appends since, in order. A put
//! with all the appends and reads known to come after it, before the next put, is a cluster with a fixed
//! order inside, and clusters relate to one another exactly like those of a register with distinct values
//! (see [`super::zones`]); a put or append that nobody saw is a cluster by itself, which must be outside of
//! the others.

use std::sync::Arc;

use super::history::{History, Operation};
use super::model::{Conflict, Shortcut};
use super::models::TextOp;
use super::zones::{self, Zone};

/// The texts written, sorted, and the operation that wrote each.
struct Pieces<'a>(Vec<(&'a str, usize)>);

impl<'a> Pieces<'a> {
    /// `None` if one is empty, or the beginning of another.
    fn new(operations: &'a [Operation<TextOp>]) -> Option<Self> {
        let written = operations.iter().enumerate();
        let mut pieces: Vec<(&str, usize)> = written
            .filter_map(|(position, operation)| match &operation.op {
                TextOp::Put(text) | TextOp::Append(text) => Some((&**text, position)),
                TextOp::Get(_) => None,
            })
            .collect();
        pieces.sort_unstable();
        let ambiguous = pieces
            .windows(2)
            .any(|pair| pair[1].0.starts_with(pair[0].0));
        let empty = pieces.first().is_some_and(|piece| piece.0.is_empty());
        (!ambiguous && !empty).then_some(Pieces(pieces))
    }

    /// The piece that a text begins with.
    fn first(&self, text: &str) -> Option<(usize, usize)> {
        let after = self.0.partition_point(|&(piece, _)| piece <= text);
        let &(piece, position) = self.0[..after].last()?;
        text.starts_with(piece).then_some((position, piece.len()))
    }
}

/// What goes back to one put, or to the beginning.
#[derive(Default)]
struct Block<'a> {
    longest: &'a str,
    reads: Vec<(&'a Arc<str>, usize)>,
}

/// Decides the history of one text, if what was written permits it.
pub(super) fn text(history: &History<TextOp>) -> Option<Shortcut> {
    let operations = history.operations();
    let pieces = Pieces::new(operations)?;
    Some(Shortcut {
        method: "clusters of appends",
        conflict: judge(operations, &pieces).unwrap_or_else(Some),
    })
}

fn judge(
    operations: &[Operation<TextOp>],
    pieces: &Pieces<'_>,
) -> Result<Option<Conflict>, Conflict> {
    // Block 0 goes back to the beginning, block p + 1 to the put at position p.
    let mut blocks: Vec<Block<'_>> = Vec::new();
    blocks.resize_with(operations.len() + 1, Block::default);
    for (position, operation) in operations.iter().enumerate() {
        let TextOp::Get(seen) = &operation.op else {
            continue;
        };
        if operation.is_open() {
            continue;
        }
        let base = match pieces.first(seen) {
            None if seen.is_empty() => 0,
            None => return Err(garbage(position)),
            Some((piece, _)) if matches!(operations[piece].op, TextOp::Put(_)) => piece + 1,
            Some(_) => 0,
        };
        let block = &mut blocks[base];
        if seen.len() > block.longest.len() {
            block.longest = seen;
        }
        block.reads.push((seen, position));
    }

    let mut seen_in: Vec<Option<usize>> = vec![None; operations.len()];
    let mut clusters = Vec::new();
    for (base, block) in blocks.iter_mut().enumerate() {
        if !block.reads.is_empty() {
            clusters.push(cluster(base, block, operations, pieces, &mut seen_in)?);
        }
    }
    for (position, operation) in operations.iter().enumerate() {
        let written = !matches!(operation.op, TextOp::Get(_));
        if written && seen_in[position].is_none() && !operation.is_open() {
            let mut alone = Zone::EMPTY;
            alone.add(position, operation.call, operation.ret);
            clusters.push(alone);
        }
    }
    Ok(zones::conflict(clusters.iter().copied()))
}

fn garbage(position: usize) -> Conflict {
    Conflict::new("a text was read that was not written so", [position])
}

/// The zone of a block, if its inner order is possible.
fn cluster<'a>(
    base: usize,
    block: &mut Block<'a>,
    operations: &[Operation<TextOp>],
    pieces: &Pieces<'_>,
    seen_in: &mut [Option<usize>],
) -> Result<Zone, Conflict> {
    block.reads.sort_by_key(|(seen, _)| seen.len());
    let reader = block.reads.last().map_or(0, |&(_, position)| position);
    let mut zone = if base == 0 {
        Zone::INITIAL
    } else {
        Zone::EMPTY
    };
    let mut order = Order {
        operations,
        latest_call: None,
    };
    let mut reads = block.reads.iter().peekable();
    let mut length = 0;
    loop {
        let mut group = Vec::new();
        while let Some((seen, position)) = reads.next_if(|(seen, _)| seen.len() <= length) {
            if seen.len() < length || !block.longest.starts_with(&***seen) {
                return Err(Conflict::new(
                    "two reads saw appends in different orders",
                    [*position, reader],
                ));
            }
            group.push(*position);
        }
        order.next(&group)?;
        for &position in &group {
            zone.add(
                position,
                operations[position].call,
                operations[position].ret,
            );
        }
        if length == block.longest.len() {
            return Ok(zone);
        }
        let Some((piece, bytes)) = pieces.first(&block.longest[length..]) else {
            return Err(garbage(reader));
        };
        let is_base = length == 0 && base == piece + 1;
        if matches!(operations[piece].op, TextOp::Put(_)) != is_base {
            return Err(garbage(reader));
        }
        if let Some(other) = seen_in[piece].replace(reader) {
            return Err(Conflict::new(
                "an append was seen twice",
                [piece, other, reader],
            ));
        }
        order.next(&[piece])?;
        zone.add(piece, operations[piece].call, operations[piece].ret);
        length += bytes;
    }
}

/// Follows a fixed order of groups of operations, whose moments must permit it.
struct Order<'a> {
    operations: &'a [Operation<TextOp>],
    latest_call: Option<usize>,
}

impl Order<'_> {
    fn next(&mut self, group: &[usize]) -> Result<(), Conflict> {
        let operations = self.operations;
        for &position in group {
            if let Some(latest) = self.latest_call
                && operations[position].ret < operations[latest].call
            {
                return Err(Conflict::new(
                    "what was seen says one order, time the other",
                    [position, latest],
                ));
            }
        }
        let all = group.iter().copied().chain(self.latest_call);
        self.latest_call = all.max_by_key(|&position| operations[position].call);
        Ok(())
    }
}
