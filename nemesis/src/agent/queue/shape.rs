//! The work of a bad link: packets are taken from the queue, have effects, and go when their time has come.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use super::copies::Copies;
use super::damage::damage;
use super::headers::stated_length;
use super::ongoing::Ongoing;
use super::packets::{Copy, Packet, Packets};
use super::shaper::Shaper;
use crate::agent::attendant::{ACCOUNT_EVERY, Listener, News, say_ready};
use crate::effects::Effects;

/// A packet on its way, and what is different about it.
#[derive(Debug)]
struct Passing {
    packet: Packet,
    /// Its content, if that was changed.
    changed: Option<Vec<u8>>,
    /// What else is to arrive.
    copy: Option<Vec<u8>>,
}

/// A link with effects: the packets on it, and how they are let go.
struct Link {
    effects: Effects,
    shaper: Shaper<Passing>,
    copies: Option<Copies>,
    /// Taken from the queue and to be forgotten.
    dropped: Vec<Packet>,
}

/// Has effects on packets until the end, then lets go what it holds. `totals` is where account is kept.
pub(super) fn shape(
    effects: Effects,
    seed: u64,
    totals: &Path,
    listener: &Listener,
) -> io::Result<()> {
    let copy = if effects.corrupt_percent > 0.0 || effects.duplicate_percent > 0.0 {
        Copy::Everything
    } else if effects.rate > 0 {
        Copy::Head
    } else {
        Copy::Nothing
    };
    let mut packets = Packets::open(copy, effects.only_delay())?;
    let copies = match effects.duplicate_percent > 0.0 {
        true => Some(Copies::open()?),
        false => None,
    };
    let mut link = Link {
        effects,
        shaper: Shaper::new(effects, seed),
        copies,
        dropped: Vec::new(),
    };
    say_ready(packets.number)?;
    let mut ongoing = Ongoing::new(totals);
    loop {
        let wait = link.shaper.next_due().map_or(ACCOUNT_EVERY, |due| {
            due.saturating_duration_since(Instant::now())
                .min(ACCOUNT_EVERY)
        });
        let news = listener.wait(Some(packets.as_fd()), wait)?;
        // Those that are due go in between: where packets come without a pause, there is no other time.
        while packets.take(|packet, bytes| link.take(packet, bytes, Instant::now()))? {
            link.let_go(&packets, false)?;
        }
        link.let_go(&packets, news == News::End)?;
        ongoing.keep(news, || {
            link.shaper.totals.unread = packets.unread()?;
            Ok(link.shaper.totals)
        })?;
        if news == News::End {
            return Ok(());
        }
    }
}

impl Link {
    fn take(&mut self, packet: Packet, bytes: &[u8], now: Instant) {
        let shaper = &mut self.shaper;
        if shaper.loses() {
            self.dropped.push(packet);
            return;
        }
        let changed = if shaper.damages() {
            let mut bytes = bytes.to_vec();
            let unnoticed = self.effects.corrupt_unnoticed;
            damage(&mut bytes, unnoticed, |end| shaper.below(end)).then_some(bytes)
        } else {
            None
        };
        shaper.totals.damaged += u64::from(changed.is_some());
        let doubled = shaper.doubles();
        let passing = Passing {
            packet,
            copy: doubled.then(|| changed.as_deref().unwrap_or(bytes).to_vec()),
            changed,
        };
        let length = stated_length(bytes).unwrap_or(bytes.len());
        if let Err(passing) = shaper.hold(passing, length, now) {
            self.dropped.push(passing.packet);
        }
    }

    fn let_go(&mut self, packets: &Packets, all: bool) -> io::Result<()> {
        for packet in self.dropped.drain(..) {
            packets.drop(packet)?;
        }
        while let Some(passing) = self.shaper.release(Instant::now()) {
            accept(packets, &passing)?;
            if let (Some(copies), Some(copy)) = (&self.copies, &passing.copy) {
                // A copy that the kernel doesn't take is one that didn't happen.
                let sent = copies.send(copy).is_ok();
                self.shaper.totals.doubled += u64::from(sent);
            }
        }
        if all {
            for passing in self.shaper.drain() {
                accept(packets, &passing)?;
            }
        }
        Ok(())
    }
}

fn accept(packets: &Packets, passing: &Passing) -> io::Result<()> {
    match &passing.changed {
        Some(bytes) => packets.accept_as(passing.packet, bytes),
        None => packets.accept(passing.packet),
    }
}
