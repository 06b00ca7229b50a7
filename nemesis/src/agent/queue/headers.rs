//! Where in a packet its parts begin.

/// The number of TCP in IP headers.
pub(crate) const TCP: u8 = 6;
/// The number of UDP.
pub(crate) const UDP: u8 = 17;

/// Parts of an IPv4 or IPv6 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headers {
    /// What the IP header carries.
    pub(crate) protocol: u8,
    /// Where that begins.
    pub(crate) transport: usize,
    /// Where the payload of TCP or UDP begins; `None` for other protocols.
    pub(crate) payload: Option<usize>,
}

impl Headers {
    /// Reads them; `None` if a packet is cut short or neither IPv4 nor IPv6. IPv6 extension headers count as
    /// a protocol of their own.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let (transport, protocol) = match packet.first()? >> 4 {
            4 => (usize::from(packet[0] & 0xf) * 4, *packet.get(9)?),
            6 => (40, *packet.get(6)?),
            _ => return None,
        };
        let segment = packet.get(transport..)?;
        let payload = match protocol {
            TCP => Some(transport + usize::from(segment.get(12)? >> 4) * 4),
            UDP => Some(transport + 8),
            _ => None,
        };
        if payload.is_some_and(|begins| begins > packet.len()) {
            return None;
        }
        Some(Self {
            protocol,
            transport,
            payload,
        })
    }
}

/// The payload of a TCP packet; `None` for any other.
pub(crate) fn tcp_payload(packet: &[u8]) -> Option<&[u8]> {
    let headers = Headers::of(packet).filter(|headers| headers.protocol == TCP)?;
    packet.get(headers.payload?..)
}

/// The length an IP header states, of which at least 40 bytes are there.
pub(crate) fn stated_length(packet: &[u8]) -> Option<usize> {
    let word = |at: usize| {
        Some(usize::from(u16::from_be_bytes(
            *packet.get(at..)?.first_chunk()?,
        )))
    };
    match packet.first()? >> 4 {
        4 => word(2),
        6 => Some(word(4)? + 40),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An IPv4 (with options) or IPv6 packet of a protocol.
    pub(in super::super) fn packet(version: u8, protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut header = vec![0; if version == 4 { 24 } else { 40 }];
        let length = u16::try_from(segment.len()).unwrap();
        if version == 4 {
            (header[0], header[9]) = (0x46, protocol);
            header[2..4].copy_from_slice(&(length + 24).to_be_bytes());
            header[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        } else {
            (header[0], header[6]) = (0x60, protocol);
            header[4..6].copy_from_slice(&length.to_be_bytes());
            header[8..40].copy_from_slice(&[0xfd; 32]);
        }
        [&header, segment].concat()
    }

    /// A TCP segment with a header of so many words.
    pub(in super::super) fn tcp(words: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(words) * 4];
        bytes[12] = words << 4;
        [&bytes, payload].concat()
    }

    #[test]
    fn payloads_are_found_behind_headers_of_any_length() {
        for (version, words, payload) in [(4, 8, b"four".as_slice()), (6, 5, b"six")] {
            let found = packet(version, TCP, &tcp(words, payload));
            assert_eq!(tcp_payload(&found), Some(payload));
            assert_eq!(stated_length(&found), Some(found.len()));
        }
    }

    #[test]
    fn other_protocols_and_cut_packets_have_none() {
        let udp = packet(4, UDP, &[0; 20]);
        assert_eq!(tcp_payload(&udp), None);
        assert_eq!(Headers::of(&udp).unwrap().payload, Some(32));
        assert_eq!(Headers::of(&packet(4, 1, &[0; 8])).unwrap().payload, None);
        let cut = packet(4, TCP, &tcp(8, b""));
        assert_eq!(Headers::of(&cut[..30]), None);
        assert_eq!(Headers::of(&cut[..40]), None, "options are missing");
        assert_eq!(Headers::of(&[]), None);
    }
}
