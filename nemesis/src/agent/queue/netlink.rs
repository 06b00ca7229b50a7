//! Messages to and from netfilter in the kernel; netlink(7), nfnetlink.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

/// Room for a packet of the greatest length and what the kernel tells about it.
const LARGEST_MESSAGE: usize = 128 << 10;

/// Room for packets that came while this process had no processor, bytes.
const RECEIVE_BUFFER: usize = 8 << 20;

const HEADER_BYTES: usize = 20;
const ERROR: u16 = 2;
const NESTED: u16 = 0x8000;

/// The message is a request.
pub(crate) const REQUEST: u16 = 1;
/// It is to be answered, if only by a zero.
pub(crate) const ACKNOWLEDGE: u16 = 4;
/// It makes something new, at the end of a list.
pub(crate) const CREATE_LAST: u16 = 0x400 | 0x800;

/// A connection to netfilter.
#[derive(Debug)]
pub(crate) struct Netfilter {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// A message from the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    /// The answer to a request; an error number, 0 if it was done.
    Answer(i32),
    /// Something else: type and attributes.
    Message(u16, &'a [u8]),
}

impl Netfilter {
    /// Connects. Needs CAP_NET_ADMIN for most of what can be asked.
    pub(crate) fn connect() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        // Without the right to, the usual size has to do.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER);
        Ok(Self {
            socket,
            buffer: vec![0; LARGEST_MESSAGE],
        })
    }

    /// Sends a message.
    pub(crate) fn send(&self, messages: &[u8]) -> io::Result<()> {
        send(self.socket.as_raw_fd(), messages, MsgFlags::empty())?;
        Ok(())
    }

    /// Sends messages of which one asks for an answer, and waits for that.
    pub(crate) fn ask(&mut self, messages: &[u8]) -> io::Result<()> {
        self.send(messages)?;
        loop {
            let mut answer = None;
            self.receive(MsgFlags::empty(), |received| {
                if let Received::Answer(error) = received {
                    answer.get_or_insert(error);
                }
            })?;
            match answer {
                None => {}
                Some(0) => return Ok(()),
                Some(error) => return Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    /// Takes what has come, without waiting; false if nothing has.
    pub(crate) fn take(&mut self, each: impl FnMut(Received<'_>)) -> io::Result<bool> {
        match self.receive(MsgFlags::MSG_DONTWAIT, each) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            // Messages were lost for want of room. Of packets the kernel says how many.
            Err(error) if error.raw_os_error() == Some(nix::Error::ENOBUFS as i32) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn receive(&mut self, flags: MsgFlags, mut each: impl FnMut(Received<'_>)) -> io::Result<()> {
        let length = recv(self.socket.as_raw_fd(), &mut self.buffer, flags)?;
        parse(&self.buffer[..length], &mut each);
        Ok(())
    }
}

impl AsFd for Netfilter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn parse(mut bytes: &[u8], each: &mut impl FnMut(Received<'_>)) {
    while let Some(length) = bytes
        .first_chunk()
        .map(|length| u32::from_ne_bytes(*length) as usize)
    {
        let Some(message) = bytes.get(..length).filter(|_| length >= HEADER_BYTES) else {
            return;
        };
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        if kind == ERROR {
            let error = i32::from_ne_bytes([message[16], message[17], message[18], message[19]]);
            each(Received::Answer(-error));
        } else {
            each(Received::Message(kind, &message[HEADER_BYTES..]));
        }
        bytes = bytes.get(padded(length)..).unwrap_or_default();
    }
}

/// The payload of an attribute.
pub(crate) fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (head, _) = attributes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & 0x3fff;
        let payload = attributes.get(4..length)?;
        if kind == wanted {
            return Some(payload);
        }
        attributes = attributes.get(padded(length)..)?;
    }
}

/// A message under construction.
#[derive(Debug)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Begins a message: type and flags, and netfilter's own header of family and resource.
    pub(crate) fn new(kind: u16, flags: u16, family: u8, resource: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, 0]);
        bytes.extend(resource.to_be_bytes());
        Self(bytes)
    }

    /// Adds an attribute.
    pub(crate) fn put(mut self, kind: u16, payload: &[u8]) -> Self {
        self.0.extend(encoded(kind, payload));
        self
    }

    /// Adds an attribute that holds others.
    pub(crate) fn put_nested(self, kind: u16, attributes: &[Vec<u8>]) -> Self {
        let payload = attributes.concat();
        self.put(kind | NESTED, &payload)
    }

    /// The finished message.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("messages are short");
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// An attribute on its own.
pub(crate) fn encoded(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).expect("attributes are short");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(payload);
    bytes.resize(padded(bytes.len()), 0);
    bytes
}

/// An attribute on its own that holds others.
pub(crate) fn encoded_nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    encoded(kind | NESTED, &attributes.concat())
}

/// Text with the zero that ends it.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_again_whatever_their_lengths() {
        let attributes = [encoded(1, b"abc"), encoded(2, b""), encoded(3, b"defgh")].concat();
        assert_eq!(attribute(&attributes, 1), Some(b"abc".as_slice()));
        assert_eq!(attribute(&attributes, 2), Some(b"".as_slice()));
        assert_eq!(attribute(&attributes, 3), Some(b"defgh".as_slice()));
        assert_eq!(attribute(&attributes, 4), None);
        assert_eq!(attribute(&attributes[..5], 1), None, "cut short");
    }

    #[test]
    fn messages_are_told_apart_from_answers() {
        let mut bytes = Message::new(0x300, 0, 2, 7).put(1, b"x").bytes();
        let mut answer = Message::new(ERROR, 0, 0, 0).bytes();
        answer[16..20].copy_from_slice(&(-2_i32).to_ne_bytes());
        bytes.extend(answer);
        let mut seen = Vec::new();
        parse(&bytes, &mut |received| {
            seen.push(match received {
                Received::Answer(error) => error,
                Received::Message(kind, attributes) => {
                    assert_eq!(attribute(attributes, 1), Some(b"x".as_slice()));
                    i32::from(kind)
                }
            });
        });
        assert_eq!(seen, [0x300, 2]);
    }
}
