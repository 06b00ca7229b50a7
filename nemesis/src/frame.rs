//! Frames: a 4-byte big-endian length, then that many bytes of JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::protocol::MAX_FRAME_BYTES;

/// Why a frame could not be read or written. None of these can be recovered from on the same channel.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The channel itself failed, or ended within a frame.
    #[error("channel: {0}")]
    Io(#[from] io::Error),
    /// A length that can't be a frame's: most likely the other end isn't an agent (a shell's greeting?).
    #[error("frame of {0} bytes; at most {MAX_FRAME_BYTES} are accepted")]
    TooLong(u64),
    /// The body isn't what was expected.
    #[error("frame body: {0}")]
    Json(#[from] serde_json::Error),
}

/// One message as a frame.
///
/// # Errors
/// When it can't be written as JSON or is longer than [`MAX_FRAME_BYTES`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() as u64 - 4;
    let short = u32::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_FRAME_BYTES)
        .ok_or(FrameError::TooLong(length))?;
    frame[..4].copy_from_slice(&short.to_be_bytes());
    Ok(frame)
}

/// Writes one message and flushes.
///
/// # Errors
/// As [`encode`], and when the channel fails.
pub fn write_frame<T: Serialize>(output: &mut impl Write, message: &T) -> Result<(), FrameError> {
    output.write_all(&encode(message)?)?;
    output.flush()?;
    Ok(())
}

/// Reads one message; `None` if the channel ended between frames.
///
/// # Errors
/// When the channel fails or ends within a frame, or the frame is too long or not as expected.
pub fn read_frame<T: DeserializeOwned>(input: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < length.len() {
        match input.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut body = vec![0; body_length(length)?];
    input.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Takes bytes as a non-blocking channel hands them out and gives back the messages they complete.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    pending: Vec<u8>,
}

impl FrameDecoder {
    /// Adds bytes; returns the messages now complete, in order. Linear in the bytes.
    ///
    /// # Errors
    /// When a frame is too long or not as expected; the channel is of no more use then.
    pub fn push<T: DeserializeOwned>(&mut self, bytes: &[u8]) -> Result<Vec<T>, FrameError> {
        self.pending.extend_from_slice(bytes);
        let mut messages = Vec::new();
        let mut at = 0;
        while let Some((length, rest)) = self.pending[at..].split_first_chunk::<4>() {
            let Some(body) = rest.get(..body_length(*length)?) else {
                break;
            };
            messages.push(serde_json::from_slice(body)?);
            at += 4 + body.len();
        }
        self.pending.drain(..at);
        Ok(messages)
    }

    /// True if the bytes so far end between frames.
    pub fn is_at_boundary(&self) -> bool {
        self.pending.is_empty()
    }
}

fn body_length(length: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(length);
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(length.into()));
    }
    Ok(length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Evidence, NodeOutcome, Outcome};
    use crate::protocol::{Message, Notice, Reply, ServiceState};

    fn samples() -> Vec<Message> {
        let outcome = NodeOutcome {
            outcome: Outcome::Installed,
            evidence: vec![Evidence {
                what: "state of pid 412".into(),
                seen: "T".into(),
            }],
        };
        let results = [
            Ok(Reply::Done),
            Ok(Reply::Service(ServiceState::Running {
                pid: 412,
                kernel_state: 'S',
                rss_kib: 9000,
            })),
            Ok(Reply::Fault(outcome)),
            Ok(Reply::Count {
                packets: u64::MAX,
                from: Vec::new(),
            }),
            Err("no fault `cut`".into()),
        ];
        let mut messages: Vec<Message> = (0..)
            .zip(results)
            .map(|(id, result)| Message::Reply { id, result })
            .collect();
        messages.push(Message::Notice(Notice::Line {
            watch: 7,
            line: "phase=drain é".into(),
        }));
        messages
    }

    #[test]
    fn every_kind_of_message_survives_a_round_trip() {
        let mut bytes = Vec::new();
        for message in samples() {
            write_frame(&mut bytes, &message).unwrap();
        }
        let mut input = bytes.as_slice();
        let mut read = Vec::new();
        while let Some(message) = read_frame::<Message>(&mut input).unwrap() {
            read.push(message);
        }
        assert_eq!(read, samples());
    }

    #[test]
    fn the_decoder_finds_the_same_messages_however_the_bytes_are_cut() {
        let bytes: Vec<u8> = samples().iter().flat_map(|m| encode(m).unwrap()).collect();
        for step in [1, 2, 3, 5, 64, bytes.len()] {
            let mut decoder = FrameDecoder::default();
            let read: Vec<Message> = bytes
                .chunks(step)
                .flat_map(|chunk| decoder.push(chunk).unwrap())
                .collect();
            assert_eq!(read, samples(), "in steps of {step}");
            assert!(decoder.is_at_boundary());
        }
    }

    #[test]
    fn a_channel_that_ends_within_a_frame_is_an_error_and_between_frames_is_not() {
        let frame = encode(&samples()[0]).unwrap();
        assert!(read_frame::<Message>(&mut [].as_slice()).unwrap().is_none());
        for cut in [1, 3, 5, frame.len() - 1] {
            assert!(read_frame::<Message>(&mut &frame[..cut]).is_err());
        }
    }

    #[test]
    fn text_in_place_of_frames_is_refused_before_anything_is_allocated() {
        let greeting = b"Welcome to Debian";
        assert!(matches!(
            FrameDecoder::default().push::<Message>(greeting),
            Err(FrameError::TooLong(_))
        ));
        assert!(matches!(
            read_frame::<Message>(&mut greeting.as_slice()),
            Err(FrameError::TooLong(_))
        ));
    }
}
