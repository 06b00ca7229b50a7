//! What a TCP packet carries.

const TCP: u8 = 6;

/// The payload of an IPv4 or IPv6 packet with a TCP header; `None` for any other.
pub(crate) fn tcp_payload(packet: &[u8]) -> Option<&[u8]> {
    let (header, protocol) = match packet.first()? >> 4 {
        4 => (usize::from(packet[0] & 0xf) * 4, *packet.get(9)?),
        6 => (40, *packet.get(6)?),
        _ => return None,
    };
    let segment = packet.get(header..).filter(|_| protocol == TCP)?;
    segment.get(usize::from(segment.get(12)? >> 4) * 4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(words: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(words) * 4];
        bytes[12] = words << 4;
        [&bytes, payload].concat()
    }

    #[test]
    fn payloads_are_found_behind_headers_of_any_length() {
        let mut v4 = vec![0; 24];
        (v4[0], v4[9]) = (0x46, TCP);
        v4.extend(segment(8, b"four"));
        assert_eq!(tcp_payload(&v4), Some(b"four".as_slice()));
        let mut v6 = vec![0; 40];
        (v6[0], v6[6]) = (0x60, TCP);
        v6.extend(segment(5, b"six"));
        assert_eq!(tcp_payload(&v6), Some(b"six".as_slice()));
    }

    #[test]
    fn other_protocols_and_cut_packets_have_none() {
        let mut udp = vec![0; 40];
        (udp[0], udp[9]) = (0x45, 17);
        assert_eq!(tcp_payload(&udp), None);
        udp[9] = TCP;
        assert_eq!(tcp_payload(&udp[..30]), None);
        assert_eq!(tcp_payload(&[]), None);
    }
}
