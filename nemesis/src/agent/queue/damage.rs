//! One bit of a packet turned over.

use super::headers::{Headers, TCP, UDP};

/// Longer packets are left alone: the kernel could not be given one back.
const LONGEST: usize = 65_000;

/// Turns one bit over, at a place that `below` draws: of what the IP header carries, so that the checksum
/// there tells; or, `unnoticed`, of the payload, with the checksum made to match. False if the packet has no
/// such place.
pub(crate) fn damage(
    packet: &mut [u8],
    unnoticed: bool,
    below: impl FnOnce(usize) -> usize,
) -> bool {
    let Some(headers) = Headers::of(packet).filter(|_| packet.len() <= LONGEST) else {
        return false;
    };
    let begins = match (unnoticed, headers.payload) {
        (false, _) => headers.transport,
        (true, Some(payload)) => payload,
        (true, None) => return false,
    };
    if begins >= packet.len() {
        return false;
    }
    let bit = below((packet.len() - begins) * 8);
    packet[begins + bit / 8] ^= 1 << (bit % 8);
    if unnoticed {
        mend_checksum(packet, headers);
    }
    true
}

/// Computes the checksum of TCP or UDP anew; RFC 9293, RFC 768, RFC 8200.
fn mend_checksum(packet: &mut [u8], headers: Headers) {
    let at = headers.transport
        + match headers.protocol {
            TCP => 16,
            UDP => 6,
            _ => return,
        };
    // A UDP packet over IPv4 may do without.
    if headers.protocol == UDP && packet[at..at + 2] == [0, 0] {
        return;
    }
    packet[at..at + 2].fill(0);
    let sum = match checksum(packet, headers) {
        0 if headers.protocol == UDP => 0xffff,
        sum => sum,
    };
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The checksum of a segment with its pseudo-header; 0 if the segment holds its right checksum.
fn checksum(packet: &[u8], headers: Headers) -> u16 {
    let addresses = match packet[0] >> 4 {
        4 => &packet[12..20],
        _ => &packet[8..40],
    };
    let segment = &packet[headers.transport..];
    let sum =
        words(addresses) + words(segment) + u64::from(headers.protocol) + segment.len() as u64;
    let mut folded = sum;
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    !u16::try_from(folded).expect("folded to 16 bits")
}

fn words(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::super::headers::tests::{packet, tcp};
    use super::*;

    fn mended(version: u8, protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut found = packet(version, protocol, segment);
        let headers = Headers::of(&found).unwrap();
        mend_checksum(&mut found, headers);
        found
    }

    fn bits_apart(one: &[u8], other: &[u8]) -> u32 {
        one.iter()
            .zip(other)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum()
    }

    #[test]
    fn a_checksum_is_what_adding_up_by_hand_gives() {
        // 10.0.0.1:1234 to 10.0.0.2:80 over UDP, payload `hi`.
        let mut segment = vec![0x04, 0xd2, 0, 80, 0, 10, 0xff, 0xff];
        segment.extend(b"hi");
        let found = mended(4, UDP, &segment);
        // 0a00 + 0001 + 0a00 + 0002 + 0011 + 000a + 04d2 + 0050 + 000a + 6869 = 81b3, complement 7e4c.
        assert_eq!(found[30..32], [0x7e, 0x4c]);
    }

    #[test]
    fn damage_that_is_to_be_noticed_turns_one_bit_and_breaks_the_checksum() {
        for version in [4, 6] {
            let good = mended(version, TCP, &tcp(5, b"payload"));
            let headers = Headers::of(&good).unwrap();
            assert_eq!(checksum(&good, headers), 0, "right before");
            for bit in 0..27 * 8 {
                let mut bad = good.clone();
                assert!(damage(&mut bad, false, |end| {
                    assert_eq!(end, 27 * 8);
                    bit
                }));
                assert_eq!(bits_apart(&good, &bad), 1);
                // Among these bits is the header's length, without which there is no checksum.
                if let Some(headers) = Headers::of(&bad) {
                    assert_ne!(checksum(&bad, headers), 0, "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn unnoticed_damage_is_in_the_payload_and_the_checksum_matches_it() {
        let udp = [&[0, 1, 0, 2, 0, 12, 9, 9], b"four".as_slice()].concat();
        for (protocol, segment) in [(TCP, tcp(6, b"seven b")), (UDP, udp)] {
            let good = mended(4, protocol, &segment);
            let headers = Headers::of(&good).unwrap();
            let payload = headers.payload.unwrap();
            let mut bad = good.clone();
            assert!(damage(&mut bad, true, |end| end - 1));
            assert_eq!(bits_apart(&good[payload..], &bad[payload..]), 1);
            assert_eq!(good[..headers.transport], bad[..headers.transport]);
            assert_eq!(checksum(&bad, headers), 0);
        }
    }

    #[test]
    fn packets_without_a_payload_are_not_damaged_unnoticed() {
        for segment in [packet(4, TCP, &tcp(5, b"")), packet(4, 1, &[0; 8])] {
            assert!(!damage(&mut segment.clone(), true, |_| 0));
        }
    }
}
