//! A queue of packets: the kernel hands them over, and does with each what it is told.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::netlink::{ACKNOWLEDGE, Message, Netfilter, REQUEST, Received, attribute};

const SUBSYSTEM: u16 = 3;
const PACKET: u16 = SUBSYSTEM << 8;
const VERDICT: u16 = SUBSYSTEM << 8 | 1;
const CONFIGURE: u16 = SUBSYSTEM << 8 | 2;

const CONFIGURE_COMMAND: u16 = 1;
const CONFIGURE_COPY: u16 = 2;
const CONFIGURE_LENGTH: u16 = 3;
const CONFIGURE_MASK: u16 = 4;
const CONFIGURE_FLAGS: u16 = 5;
/// Hand over packets as they are which the kernel has put together from several.
const WHOLE: u32 = 4;

const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const MARK: u16 = 3;
const PAYLOAD: u16 = 10;

const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const REPEAT: u32 = 4;

/// Packets that the kernel keeps for this process at a time: held ones, and those not read yet.
const LONGEST_QUEUE: u32 = 65_536;

/// Packets that may be held at a time. As many more find room in the kernel until they are read.
pub(crate) const MOST_HELD: usize = 32_768;

/// Enough for the headers that state lengths.
const HEAD_BYTES: u8 = 64;

/// Numbers that are tried.
const NUMBERS: std::ops::Range<u16> = 53_100..53_200;

/// How much of each packet is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Its number only.
    Nothing,
    /// Its headers.
    Head,
    /// All of it.
    Everything,
}

/// A packet that waits for its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    id: u32,
    mark: u32,
}

/// A queue that this process reads.
#[derive(Debug)]
pub(crate) struct Packets {
    netfilter: Netfilter,
    /// Its number in this network namespace.
    pub(crate) number: u16,
}

impl Packets {
    /// Takes a number that nobody reads yet. The kernel puts packets of a TCP connection together and hands
    /// them over `whole`, or else each as it was (and the checksum of each is computed).
    pub(crate) fn open(copy: Copy, whole: bool) -> io::Result<Self> {
        let mut netfilter = Netfilter::connect()?;
        let mut refusal = io::Error::other("no number was tried");
        for number in NUMBERS {
            let request = || Message::new(CONFIGURE, REQUEST | ACKNOWLEDGE, 0, number);
            // Command 1 is to bind; then a byte of padding and a family that is not looked at.
            match netfilter.ask(&request().put(CONFIGURE_COMMAND, &[1, 0, 0, 0]).bytes()) {
                Ok(()) => {}
                // Someone else's queue gives the same error as a lack of rights.
                Err(error) => {
                    refusal = error;
                    continue;
                }
            }
            // Range, big-endian, and mode.
            let copied = match copy {
                Copy::Nothing => [0, 0, 0, 0, 1],
                Copy::Head => [0, 0, 0, HEAD_BYTES, 2],
                Copy::Everything => [0, 0, 0xff, 0xff, 2],
            };
            netfilter.ask(&request().put(CONFIGURE_COPY, &copied).bytes())?;
            let length = LONGEST_QUEUE.to_be_bytes();
            netfilter.ask(&request().put(CONFIGURE_LENGTH, &length).bytes())?;
            let wanted = if whole { WHOLE } else { 0 };
            let flags = request()
                .put(CONFIGURE_FLAGS, &wanted.to_be_bytes())
                .put(CONFIGURE_MASK, &WHOLE.to_be_bytes());
            netfilter.ask(&flags.bytes())?;
            return Ok(Self { netfilter, number });
        }
        Err(refusal)
    }

    /// Packets that came faster than they were read. The kernel forgets them, as an overloaded link does: none passes without
    /// what it came here for, and senders that notice slow down.
    pub(crate) fn unread(&self) -> io::Result<u64> {
        unread(&fs::read_to_string(QUEUES)?, self.number)
            .ok_or_else(|| io::Error::other(format!("no queue {} in {QUEUES}", self.number)))
    }

    /// Takes the packets that have come, each with what was copied of it; false if none has.
    pub(crate) fn take(&mut self, mut each: impl FnMut(Packet, &[u8])) -> io::Result<bool> {
        self.netfilter.take(|received| {
            let Received::Message(PACKET, attributes) = received else {
                return;
            };
            let number = |kind| {
                let bytes = attribute(attributes, kind)?.first_chunk()?;
                Some(u32::from_be_bytes(*bytes))
            };
            if let Some(id) = number(PACKET_HEADER) {
                let mark = number(MARK).unwrap_or(0);
                let payload = attribute(attributes, PAYLOAD).unwrap_or_default();
                each(Packet { id, mark }, payload);
            }
        })
    }

    /// Lets a packet go on its way.
    pub(crate) fn accept(&self, packet: Packet) -> io::Result<()> {
        self.netfilter.send(&self.verdict(packet, ACCEPT).bytes())
    }

    /// Lets a packet go on its way with another content.
    pub(crate) fn accept_as(&self, packet: Packet, bytes: &[u8]) -> io::Result<()> {
        let verdict = self.verdict(packet, ACCEPT).put(PAYLOAD, bytes);
        self.netfilter.send(&verdict.bytes())
    }

    /// Forgets a packet.
    pub(crate) fn drop(&self, packet: Packet) -> io::Result<()> {
        self.netfilter.send(&self.verdict(packet, DROP).bytes())
    }

    /// Sends a packet through the rules again, with these bits added to its mark.
    pub(crate) fn mark(&self, packet: Packet, bits: u32) -> io::Result<()> {
        let mark = (packet.mark | bits).to_be_bytes();
        let verdict = self.verdict(packet, REPEAT).put(MARK, &mark);
        self.netfilter.send(&verdict.bytes())
    }

    fn verdict(&self, packet: Packet, verdict: u32) -> Message {
        let header = [verdict.to_be_bytes(), packet.id.to_be_bytes()].concat();
        Message::new(VERDICT, REQUEST, 0, self.number).put(VERDICT_HEADER, &header)
    }
}

/// What the kernel says of its queues, a line each: number, reader, packets in it, mode, range, those for which the queue had no
/// place, those for which the reader's socket had none, those that came, and 1.
const QUEUES: &str = "/proc/self/net/netfilter/nfnetlink_queue";

fn unread(queues: &str, number: u16) -> Option<u64> {
    let mut lines = queues.lines().map(str::split_whitespace);
    lines.find_map(|mut fields| {
        let is_it = fields.next()?.parse() == Ok(number);
        let counts = [fields.nth(4)?, fields.next()?].map(str::parse::<u64>);
        match counts {
            [Ok(no_place), Ok(no_room)] if is_it => Some(no_place + no_room),
            _ => None,
        }
    })
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netfilter.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_packets_that_were_not_read_count_and_those_of_other_queues_do_not() {
        let queues = "    0    700    12 2 65531    90    91     700  1
53100     12     0 1     0     3 59936    80100  1\n";
        assert_eq!(unread(queues, 53_100), Some(59_939));
        assert_eq!(unread(queues, 0), Some(181));
        assert_eq!(unread(queues, 53_101), None);
        assert_eq!(unread("53100 12 0", 53_100), None, "cut short");
    }
}
