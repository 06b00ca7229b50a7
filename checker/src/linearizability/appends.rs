//! Texts that are replaced, extended and read as a whole, in time linear in what was read.
//!
//! If none of the texts written is empty or the beginning of another, what a read saw falls apart in one
//! way into the put it goes back to and the appends since, in order. A put with all the appends and reads
//! known to come after it, before the next put, is a cluster with a fixed order inside, and clusters
//! relate to one another exactly like those of a register with distinct values (see [`super::zones`]); a
//! put or append that nobody saw is a cluster by itself, which must be outside of the others.
//!
//! Texts need not all be different: one may be put once and appended several times, if the appends come
//! one after the other. Then it may be open which of them was seen. A read that begins with a text both
//! put and appended is taken for the put's, and appends are taken to be seen in their order. If that
//! works out, the history is linearizable. If it does not and there was a choice, the case is left to the
//! search.

use std::ops::Range;
use std::sync::Arc;

use super::history::{History, Operation};
use super::model::{Conflict, Shortcut};
use super::models::TextOp;
use super::zones::{self, Zone};

/// A text written, and where.
struct Piece<'a> {
    text: &'a str,
    put: Option<usize>,
    /// In the order of their calls.
    appends: Vec<usize>,
}

/// The texts written, sorted.
struct Pieces<'a>(Vec<Piece<'a>>);

impl<'a> Pieces<'a> {
    /// `None` if one is empty, or the beginning of another, or put twice, or appended twice at the same
    /// time.
    fn new(operations: &'a [Operation<TextOp>]) -> Option<Self> {
        let mut written: Vec<(&str, usize)> = Vec::new();
        for (position, operation) in operations.iter().enumerate() {
            if let TextOp::Put(text) | TextOp::Append(text) = &operation.op {
                written.push((text, position));
            }
        }
        written.sort_unstable();
        let mut pieces: Vec<Piece<'_>> = Vec::with_capacity(written.len());
        for (text, position) in written {
            let last = pieces.last();
            if text.is_empty()
                || last.is_some_and(|last| last.text != text && text.starts_with(last.text))
            {
                return None;
            }
            if last.is_none_or(|last| last.text != text) {
                pieces.push(Piece {
                    text,
                    put: None,
                    appends: Vec::new(),
                });
            }
            let piece = pieces.last_mut()?;
            if matches!(operations[position].op, TextOp::Put(_)) {
                if piece.put.replace(position).is_some() {
                    return None;
                }
            } else {
                if let Some(&before) = piece.appends.last()
                    && operations[before].ret > operations[position].call
                {
                    return None;
                }
                piece.appends.push(position);
            }
        }
        Some(Pieces(pieces))
    }

    /// The piece that a text begins with.
    fn first(&self, text: &str) -> Option<usize> {
        let after = self.0.partition_point(|piece| piece.text <= text);
        let at = after.checked_sub(1)?;
        text.starts_with(self.0[at].text).then_some(at)
    }
}

/// What goes back to one put, or to the beginning.
struct Block<'a> {
    /// The piece of the put; `None` for the beginning.
    base: Option<usize>,
    /// What was seen, and by whom.
    reads: Vec<(&'a Arc<str>, usize)>,
    /// The pieces seen, in order, without the base.
    chain: Vec<usize>,
}

/// Decides the history of one text, if what was written permits it.
pub(super) fn text(history: &History<TextOp>) -> Option<Shortcut> {
    let operations = history.operations();
    let pieces = Pieces::new(operations)?;
    let mut reading = Reading {
        operations,
        pieces: &pieces,
        guessed: false,
    };
    let found = reading.blocks().and_then(|blocks| reading.judge(&blocks));
    let conflict = found.err();
    (conflict.is_none() || !reading.guessed).then_some(Shortcut {
        method: "clusters of appends",
        conflict,
    })
}

struct Reading<'a, 'p> {
    operations: &'a [Operation<TextOp>],
    pieces: &'p Pieces<'a>,
    /// There was a choice of how to take what was seen.
    guessed: bool,
}

impl<'a> Reading<'a, '_> {
    /// Takes what was seen apart: the beginning's block first, then those of puts.
    fn blocks(&mut self) -> Result<Vec<Block<'a>>, Conflict> {
        let pieces = &self.pieces.0;
        let mut blocks: Vec<Block<'a>> = Vec::new();
        let bases = std::iter::once(None).chain((0..pieces.len()).map(Some));
        blocks.extend(bases.map(|base| Block {
            base,
            reads: Vec::new(),
            chain: Vec::new(),
        }));
        let mut beginning_known = false;
        for (position, operation) in self.operations.iter().enumerate() {
            let TextOp::Get(seen) = &operation.op else {
                continue;
            };
            if operation.is_open() {
                continue;
            }
            let at = match self.pieces.first(seen) {
                None if seen.is_empty() => 0,
                None => return Err(garbage(position)),
                Some(first) if pieces[first].put.is_some() => {
                    self.guessed |= !pieces[first].appends.is_empty();
                    first + 1
                }
                Some(_) => {
                    beginning_known = true;
                    0
                }
            };
            blocks[at].reads.push((seen, position));
        }
        // Only one append can be the first to the empty text.
        self.guessed &= !beginning_known;
        blocks.retain(|block| !block.reads.is_empty());
        for block in &mut blocks {
            self.decode(block)?;
        }
        // In the order of puts: which of equal appends was seen is more often guessed right.
        blocks.sort_by_key(|block| block.base.and_then(|base| pieces[base].put));
        Ok(blocks)
    }

    /// Finds the chain of a block: what its longest read saw, of which all others saw a beginning.
    fn decode(&self, block: &mut Block<'a>) -> Result<(), Conflict> {
        block.reads.sort_by_key(|(seen, _)| seen.len());
        let Some(&(longest, reader)) = block.reads.last() else {
            return Ok(());
        };
        let mut length = block.base.map_or(0, |base| self.pieces.0[base].text.len());
        let mut reads = block.reads.iter().peekable();
        loop {
            while let Some((seen, position)) = reads.next_if(|(seen, _)| seen.len() <= length) {
                if seen.len() < length || !longest.starts_with(&***seen) {
                    return Err(Conflict::new(
                        "two reads saw appends in different orders",
                        [*position, reader],
                    ));
                }
            }
            if length == longest.len() {
                return Ok(());
            }
            let first = self.pieces.first(&longest[length..]);
            let first = first.ok_or_else(|| garbage(reader))?;
            block.chain.push(first);
            length += self.pieces.0[first].text.len();
        }
    }

    fn judge(&mut self, blocks: &[Block<'a>]) -> Result<(), Conflict> {
        let (assigned, seen) = self.assign(blocks)?;
        let mut clusters = Vec::with_capacity(blocks.len());
        for (block, range) in blocks.iter().zip(assigned) {
            clusters.push(self.cluster(block, &seen[range])?);
        }
        let mut is_seen = vec![false; self.operations.len()];
        let bases = blocks
            .iter()
            .filter_map(|block| self.pieces.0[block.base?].put);
        for position in seen.iter().copied().chain(bases) {
            is_seen[position] = true;
        }
        for (position, operation) in self.operations.iter().enumerate() {
            let written = !matches!(operation.op, TextOp::Get(_));
            if written && !is_seen[position] && !operation.is_open() {
                let mut alone = Zone::EMPTY;
                alone.add(position, operation.call, operation.ret);
                clusters.push(alone);
            }
        }
        match zones::conflict(clusters.iter().copied()) {
            None => Ok(()),
            Some(conflict) => Err(conflict),
        }
    }

    /// Which append each piece of each chain is: of equal ones, the next not yet seen. Per block, where
    /// its appends are in the list.
    fn assign(
        &mut self,
        blocks: &[Block<'a>],
    ) -> Result<(Vec<Range<usize>>, Vec<usize>), Conflict> {
        let pieces = &self.pieces.0;
        let mut used = vec![0; pieces.len()];
        let mut first_block = vec![None; pieces.len()];
        let (mut ranges, mut seen) = (Vec::new(), Vec::new());
        let mut choice = false;
        for (number, block) in blocks.iter().enumerate() {
            let from = seen.len();
            for &piece in &block.chain {
                let reader = block.reads.last().map(|&(_, position)| position);
                let Some(&append) = pieces[piece].appends.get(used[piece]) else {
                    return Err(Conflict::new(
                        "an append was seen more often than it was called",
                        pieces[piece].appends.iter().copied().chain(reader),
                    ));
                };
                used[piece] += 1;
                let appeared_in = *first_block[piece].get_or_insert(number);
                choice |= appeared_in != number;
                seen.push(append);
            }
            ranges.push(from..seen.len());
        }
        for (piece, &used) in pieces.iter().zip(&used) {
            choice |= used > 0 && used < piece.appends.len();
        }
        self.guessed |= choice;
        Ok((ranges, seen))
    }

    /// The zone of a block, if time permits its inner order.
    fn cluster(&self, block: &Block<'a>, appends: &[usize]) -> Result<Zone, Conflict> {
        let base = block.base.map(|base| &self.pieces.0[base]);
        let mut zone = if base.is_some() {
            Zone::EMPTY
        } else {
            Zone::INITIAL
        };
        let mut latest_call: Option<usize> = None;
        let mut next = |group: &[usize]| {
            for &position in group {
                let operation = &self.operations[position];
                if let Some(latest) = latest_call
                    && operation.ret < self.operations[latest].call
                {
                    return Err(Conflict::new(
                        "what was seen says one order, time the other",
                        [position, latest],
                    ));
                }
                zone.add(position, operation.call, operation.ret);
            }
            let all = group.iter().copied().chain(latest_call);
            latest_call = all.max_by_key(|&position| self.operations[position].call);
            Ok(())
        };
        let mut length = 0;
        if let Some(base) = base {
            length = base.text.len();
            next(base.put.as_slice())?;
        }
        let mut reads = block.reads.iter().peekable();
        let mut group = Vec::new();
        let mut chain = block.chain.iter().zip(appends);
        loop {
            group.clear();
            while let Some((_, position)) = reads.next_if(|(seen, _)| seen.len() == length) {
                group.push(*position);
            }
            next(&group)?;
            let Some((&piece, &append)) = chain.next() else {
                return Ok(zone);
            };
            next(&[append])?;
            length += self.pieces.0[piece].text.len();
        }
    }
}

fn garbage(position: usize) -> Conflict {
    Conflict::new("a text was read that was not written so", [position])
}
