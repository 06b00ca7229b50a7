//! What a fault does to a port, to TCP connections, and to the resolution of names.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The longest pause or wait of a connection, milliseconds.
pub const LONGEST_PAUSE_MS: u32 = 60_000;

/// How much later the end of a connection may be told, milliseconds.
pub const LATE_MS: RangeInclusive<u32> = 1..=LONGEST_PAUSE_MS;

/// Ports that can be listened on.
pub const PORTS: RangeInclusive<u16> = 1..=u16::MAX;

/// How many bytes may pass at a time.
pub const PIECES: RangeInclusive<u32> = 1..=u32::MAX;

/// How a port is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockMode {
    /// All TCP and UDP packets for it vanish.
    Drop,
    /// What would open a TCP connection vanishes; connections that are open go on.
    DropNew,
    /// As if nothing listened: what would open a TCP connection is answered by a reset, a UDP packet by
    /// an ICMP error.
    Refuse,
}

/// What happens to TCP connections that are opened while the fault is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum StreamMode {
    /// They are accepted, and nobody ever says a word.
    Hang,
    /// They end after so many bytes.
    Cut {
        /// How many; 0 ends them at once.
        after_bytes: u64,
        /// Which way bytes are counted.
        of: Side,
    },
    /// Bytes pass in small pieces.
    Slice {
        /// Of this many at most, at least 1.
        bytes: u32,
        /// With a pause after each, milliseconds, at most [`LONGEST_PAUSE_MS`].
        pause_ms: u32,
    },
    /// When one side ends a connection, the other hears of it only later.
    SlowClose {
        /// How much, milliseconds, 1 to [`LONGEST_PAUSE_MS`].
        hold_ms: u32,
    },
}

/// Which bytes of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Those the service sends.
    #[default]
    Answers,
    /// Those it is sent.
    Requests,
}

/// How a node's questions for names fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsMode {
    /// No answer ever comes.
    Drop,
    /// The answer is that the server failed.
    Servfail,
    /// The answer is that the server refuses.
    Refused,
    /// The answer is that there is no such name.
    Nxdomain,
}

impl StreamMode {
    /// What happens, in words.
    pub fn words(self) -> String {
        match self {
            Self::Hang => "accepted and never answered".to_owned(),
            Self::Cut { after_bytes, of } => {
                let of = match of {
                    Side::Answers => "answer",
                    Side::Requests => "request",
                };
                format!("cut after {after_bytes} bytes of {of}")
            }
            Self::Slice { bytes, pause_ms } => {
                format!("passed on in pieces of {bytes} bytes, with {pause_ms} ms after each")
            }
            Self::SlowClose { hold_ms } => format!("closed {hold_ms} ms late"),
        }
    }

    /// What is wrong with it, if anything.
    pub fn problem(self) -> Option<String> {
        let range = |what: &str, got: u32, bounds: RangeInclusive<u32>| {
            let (least, most) = (bounds.start(), bounds.end());
            (!bounds.contains(&got))
                .then(|| format!("{what} of {got} ms is not within {least} to {most} ms"))
        };
        match self {
            Self::Hang | Self::Cut { .. } => None,
            Self::Slice { bytes, .. } if !PIECES.contains(&bytes) => {
                Some(format!("pieces of {bytes} bytes never arrive"))
            }
            Self::Slice { pause_ms, .. } => range("a pause", pause_ms, 0..=LONGEST_PAUSE_MS),
            Self::SlowClose { hold_ms } => range("a late close", hold_ms, LATE_MS),
        }
    }
}
