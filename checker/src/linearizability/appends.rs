//! Texts that are replaced, extended and read as a whole, in time linear in what was read.
//!
//! If the texts put are all different, the texts appended too, none of them empty or the beginning of
//! another, what a read saw falls apart in one way into the put it goes back to and the appends since, in order. A put
//! with all the appends and reads known to come after it, before the next put, is a cluster with a fixed
//! order inside, and clusters relate to one another exactly like those of a register with distinct values
//! (see [`super::zones`]); a put or append that nobody saw is a cluster by itself, which must be outside of
//! the others. Where the same text was put once and appended once, a read that begins with it could go back
//! to either; it is taken for the put's. If that works, the history is linearizable; if not, and the first
//! append to the empty text is not known otherwise, the case is left to the search.

use std::sync::Arc;

use super::history::{History, Operation};
use super::model::{Conflict, Shortcut};
use super::models::TextOp;
use super::zones::{self, Zone};

/// A text written, and where: by an append, by a put, or one of each.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    append: Option<usize>,
    put: Option<usize>,
}

/// The texts written, sorted.
struct Pieces<'a>(Vec<Piece<'a>>);

impl<'a> Pieces<'a> {
    /// `None` if one is empty, or the beginning of another, or put or appended twice.
    fn new(operations: &'a [Operation<TextOp>]) -> Option<Self> {
        let written = operations.iter().enumerate();
        let mut all: Vec<Piece<'_>> = written
            .filter_map(|(position, operation)| match &operation.op {
                TextOp::Put(text) => Some(Piece {
                    text,
                    append: None,
                    put: Some(position),
                }),
                TextOp::Append(text) => Some(Piece {
                    text,
                    append: Some(position),
                    put: None,
                }),
                TextOp::Get(_) => None,
            })
            .collect();
        all.sort_unstable_by_key(|piece| piece.text);
        let mut pieces: Vec<Piece<'_>> = Vec::with_capacity(all.len());
        for piece in all {
            if piece.text.is_empty() {
                return None;
            }
            match pieces.last_mut() {
                Some(last) if last.text == piece.text => {
                    let again = (last.put.is_some() && piece.put.is_some())
                        || (last.append.is_some() && piece.append.is_some());
                    if again {
                        return None;
                    }
                    last.put = last.put.or(piece.put);
                    last.append = last.append.or(piece.append);
                }
                Some(last) if piece.text.starts_with(last.text) => return None,
                _ => pieces.push(piece),
            }
        }
        Some(Pieces(pieces))
    }

    /// The piece that a text begins with.
    fn first(&self, text: &str) -> Option<Piece<'a>> {
        let after = self.0.partition_point(|piece| piece.text <= text);
        let piece = *self.0[..after].last()?;
        text.starts_with(piece.text).then_some(piece)
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
    let (found, certain) = judge(operations, &pieces);
    let conflict = found.unwrap_or_else(Some);
    (certain || conflict.is_none()).then_some(Shortcut {
        method: "clusters of appends",
        conflict,
    })
}

/// Whether something is wrong, and whether there was no other way to read what was seen.
fn judge(
    operations: &[Operation<TextOp>],
    pieces: &Pieces<'_>,
) -> (Result<Option<Conflict>, Conflict>, bool) {
    // Block 0 goes back to the beginning, block p + 1 to the put at position p.
    let mut blocks: Vec<Block<'_>> = Vec::new();
    blocks.resize_with(operations.len() + 1, Block::default);
    let (mut guessed, mut beginning_known) = (false, false);
    let mut garbled = None;
    for (position, operation) in operations.iter().enumerate() {
        let TextOp::Get(seen) = &operation.op else {
            continue;
        };
        if operation.is_open() {
            continue;
        }
        let base = match pieces.first(seen) {
            None if seen.is_empty() => 0,
            None => {
                garbled.get_or_insert(position);
                continue;
            }
            Some(piece) => {
                // What both a put and an append wrote is taken for the put's, which is certain
                // if another append is known to be the first to the empty text.
                guessed |= piece.put.is_some() && piece.append.is_some();
                beginning_known |= piece.put.is_none();
                piece.put.map_or(0, |put| put + 1)
            }
        };
        let block = &mut blocks[base];
        if seen.len() > block.longest.len() {
            block.longest = seen;
        }
        block.reads.push((seen, position));
    }
    if let Some(position) = garbled {
        return (Err(garbage(position)), true);
    }
    let certain = !guessed || beginning_known;
    (order(operations, pieces, &mut blocks), certain)
}

fn order<'a>(
    operations: &'a [Operation<TextOp>],
    pieces: &Pieces<'_>,
    blocks: &mut [Block<'a>],
) -> Result<Option<Conflict>, Conflict> {
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
        let rest = &block.longest[length..];
        let piece = pieces.first(rest).ok_or_else(|| garbage(reader))?;
        let bytes = piece.text.len();
        let of_kind = if length == 0 && base > 0 {
            piece.put
        } else {
            piece.append
        };
        let piece = of_kind.ok_or_else(|| garbage(reader))?;
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
