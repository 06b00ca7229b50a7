//! The rule that hands packets to a queue, added to a table that is loaded already.
//!
//! Some kernels lack nftables' own `queue` statement and have that of iptables, which nftables can use, too
//! (that is how `iptables-nft` works), but which `nft` can't write. So this one rule goes to the kernel
//! without it. Either way lets packets pass when
//! nobody reads the queue.

use std::io;

use super::netlink::{
    ACKNOWLEDGE, CREATE_LAST, Message, Netfilter, REQUEST, encoded, encoded_nested, text,
};

const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const INET: u8 = 1;

const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;

const BYPASS: u16 = 1;

/// How rules can fill a queue on this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filler {
    /// By nftables' own statement.
    Statement,
    /// By the target of iptables.
    Target,
}

impl Filler {
    /// Finds out, by a batch of changes that is never finished: the kernel checks each and makes none.
    pub(crate) fn of_this_kernel() -> io::Result<Self> {
        let mut outcome = Err(io::Error::other("no way was tried"));
        for filler in [Self::Statement, Self::Target] {
            let (table, chain) = (text("shakedown"), text("queue"));
            let new = |kind| Message::new(kind, REQUEST | CREATE_LAST, INET, 0);
            let messages = [
                Message::new(BATCH_BEGIN, REQUEST, 0, SUBSYSTEM).bytes(),
                new(NEW_TABLE).put(TABLE_NAME, &table).bytes(),
                new(NEW_CHAIN)
                    .put(CHAIN_TABLE, &table)
                    .put(CHAIN_NAME, &chain)
                    .bytes(),
                filler.rule("shakedown", "queue", "", 0).bytes(),
            ];
            outcome = Netfilter::connect()?.ask(&messages.concat());
            if outcome.is_ok() {
                return Ok(filler);
            }
        }
        let error = outcome.err().unwrap_or_else(|| io::Error::other("refused"));
        let needed = "nft_queue, or nft_compat with xt_NFQUEUE";
        Err(io::Error::other(format!(
            "this kernel's rules can't fill a queue ({error}); it needs {needed}"
        )))
    }

    /// Appends a rule to a chain of an `inet` table: count, and queue. Its comment is `comment`.
    pub(crate) fn append(
        self,
        table: &str,
        chain: &str,
        comment: &str,
        queue: u16,
    ) -> io::Result<()> {
        let messages = [
            Message::new(BATCH_BEGIN, REQUEST, 0, SUBSYSTEM),
            self.rule(table, chain, comment, queue),
            Message::new(BATCH_END, REQUEST, 0, SUBSYSTEM),
        ];
        Netfilter::connect()?.ask(&messages.map(Message::bytes).concat())
    }

    fn rule(self, table: &str, chain: &str, comment: &str, queue: u16) -> Message {
        let counter = expression("counter", &[]);
        let verdict = match self {
            Self::Statement => queue_statement(queue),
            Self::Target => iptables_target(queue),
        };
        // nft keeps comments as type, length and text in data that means nothing to the kernel.
        let comment = text(comment);
        let length = u8::try_from(comment.len()).expect("comments are short");
        let userdata = [&[0, length], comment.as_slice()].concat();
        Message::new(NEW_RULE, REQUEST | ACKNOWLEDGE | CREATE_LAST, INET, 0)
            .put(RULE_TABLE, &text(table))
            .put(RULE_CHAIN, &text(chain))
            .put_nested(RULE_EXPRESSIONS, &[counter, verdict])
            .put(RULE_USERDATA, &userdata)
    }
}

fn queue_statement(queue: u16) -> Vec<u8> {
    let total = 1_u16;
    expression(
        "queue",
        &[
            encoded(1, &queue.to_be_bytes()),
            encoded(2, &total.to_be_bytes()),
            encoded(3, &BYPASS.to_be_bytes()),
        ],
    )
}

/// `struct xt_NFQ_info_v3`, padded to eight bytes.
fn iptables_target(queue: u16) -> Vec<u8> {
    let (total, padding) = (1_u16, 0_u16);
    let info = [queue, total, BYPASS, padding]
        .map(u16::to_ne_bytes)
        .concat();
    let revision = 3_u32;
    expression(
        "target",
        &[
            encoded(1, &text("NFQUEUE")),
            encoded(2, &revision.to_be_bytes()),
            encoded(3, &info),
        ],
    )
}

fn expression(name: &str, data: &[Vec<u8>]) -> Vec<u8> {
    encoded_nested(
        LIST_ELEMENT,
        &[
            encoded(EXPRESSION_NAME, &text(name)),
            encoded_nested(EXPRESSION_DATA, data),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_counter_and_queue_with_its_comment() {
        let statement = Filler::Statement.rule("t", "c", "held", 7).bytes();
        let target = Filler::Target.rule("t", "c", "held", 7).bytes();
        let contains = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
        for (bytes, name) in [(&statement, "queue"), (&target, "target")] {
            for part in ["counter\0", "held\0", &format!("{name}\0")] {
                assert!(contains(bytes, part.as_bytes()), "{part}");
            }
            let length = u32::from_ne_bytes(*bytes.first_chunk().unwrap());
            assert_eq!(bytes.len(), length as usize);
        }
        assert!(contains(&target, b"NFQUEUE\0"));
    }
}
