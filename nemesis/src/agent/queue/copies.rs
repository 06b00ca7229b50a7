//! Packets that arrive a second time: sent to this node itself, as they came.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    setsockopt, socket, sockopt,
};

use crate::agent::rules::COPY_BIT;

/// Sockets that send packets as they are, headers and all. What is sent to an address of this node comes
/// back in through the loopback interface, with [`COPY_BIT`] in its mark.
#[derive(Debug)]
pub(crate) struct Copies {
    v4: OwnedFd,
    /// None where the kernel has no IPv6.
    v6: Option<OwnedFd>,
}

impl Copies {
    /// Opens them. Needs CAP_NET_RAW.
    pub(crate) fn open() -> io::Result<Self> {
        let open = |family| -> io::Result<OwnedFd> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = socket(family, SockType::Raw, flags, SockProtocol::Raw)?;
            setsockopt(&socket, sockopt::Mark, &COPY_BIT)?;
            Ok(socket)
        };
        Ok(Self {
            v4: open(AddressFamily::Inet)?,
            v6: open(AddressFamily::Inet6).ok(),
        })
    }

    /// Sends a packet to where its header says.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        let none = MsgFlags::empty();
        if let Some(to) = ipv4_destination(packet) {
            let to = SockaddrIn::from(SocketAddrV4::new(to, 0));
            sendto(self.v4.as_raw_fd(), packet, &to, none)?;
        } else if let (Some(to), Some(v6)) = (ipv6_destination(packet), &self.v6) {
            let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, 0));
            sendto(v6.as_raw_fd(), packet, &to, none)?;
        }
        Ok(())
    }
}

fn ipv4_destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let octets: &[u8; 4] = packet.get(16..)?.first_chunk()?;
    (packet[0] >> 4 == 4).then(|| Ipv4Addr::from(*octets))
}

fn ipv6_destination(packet: &[u8]) -> Option<Ipv6Addr> {
    let octets: &[u8; 16] = packet.get(24..)?.first_chunk()?;
    (packet[0] >> 4 == 6).then(|| Ipv6Addr::from(*octets))
}
