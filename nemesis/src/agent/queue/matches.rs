//! The work of looking for what a payload holds: packets that match are marked and sent through the rules again.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use regex::bytes::RegexSet;
use serde::{Deserialize, Serialize};

use super::headers::tcp_payload;
use super::ongoing::Ongoing;
use super::packets::{Copy, Packet, Packets};
use crate::agent::attendant::{ACCOUNT_EVERY, Listener, News, say_ready};
use crate::agent::evidence::evidence;
use crate::agent::rules::{LOT_BIT, MATCH_BIT};
use crate::outcome::Evidence;

/// What was looked at so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// Packets that were.
    at: u64,
    /// Packets lost because they came faster than they were read.
    unread: u64,
}

impl Looked {
    /// What it says of the fault.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        let seen = format!(
            "{} packets, beside {} that were looked at: they came faster than this host can read them",
            self.unread, self.at
        );
        (self.unread > 0).then(|| evidence("lost beyond what was asked", seen))
    }
}

/// Marks until the end. `lot` is drawn for each packet that matches; `account` is where account is kept.
pub(super) fn mark_matches(
    patterns: &RegexSet,
    mut lot: impl FnMut() -> bool,
    account: &Path,
    listener: &Listener,
) -> io::Result<()> {
    let mut packets = Packets::open(Copy::Everything, true)?;
    say_ready(packets.number)?;
    let mut judged: Vec<(Packet, bool)> = Vec::new();
    let (mut looked, mut ongoing) = (Looked::default(), Ongoing::new(account));
    loop {
        let news = listener.wait(Some(packets.as_fd()), ACCOUNT_EVERY)?;
        while packets.take(|packet, bytes| {
            let matches = tcp_payload(bytes).is_some_and(|payload| patterns.is_match(payload));
            judged.push((packet, matches));
        })? {
            for (packet, matches) in judged.drain(..) {
                looked.at += 1;
                if matches {
                    let bits = if lot() {
                        MATCH_BIT | LOT_BIT
                    } else {
                        MATCH_BIT
                    };
                    packets.mark(packet, bits)?;
                } else {
                    packets.accept(packet)?;
                }
            }
        }
        ongoing.keep(news, || {
            looked.unread = packets.unread()?;
            Ok(looked)
        })?;
        if news == News::End {
            return Ok(());
        }
    }
}
