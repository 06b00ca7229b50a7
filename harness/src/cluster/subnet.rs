//! The /24 a cluster lives in: parsing, the addresses in it, and the choice of a free one.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ClusterError;

/// An IPv4 network of 256 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    network: [u8; 3],
}

/// Nodes get the addresses 1 to this; the machine's own end has 254.
pub(crate) const MAX_NODES: usize = 200;

impl Subnet {
    /// The address of node `index`, counted from 0.
    pub(crate) fn node(self, index: usize) -> Ipv4Addr {
        let host = u8::try_from(index + 1).expect("a cluster has at most MAX_NODES nodes");
        self.address(host)
    }

    /// The machine's address in the subnet: where nodes see the harness come from.
    pub fn gateway(self) -> Ipv4Addr {
        self.address(254)
    }

    /// The IPv6 network that goes with it, 64 bits long: unique local addresses (RFC 4193) with this network's own
    /// number, so that two clusters never share one.
    pub fn prefix6(self) -> String {
        format!("{}/64", self.address6(0))
    }

    /// The IPv6 address of whoever has this IPv4 address in the subnet.
    pub(crate) fn beside(self, address: Ipv4Addr) -> Ipv6Addr {
        self.address6(address.octets()[3].into())
    }

    fn address6(self, host: u16) -> Ipv6Addr {
        let [a, b, c] = self.network.map(u16::from);
        Ipv6Addr::new(0xfd5d, 0x6b64, a << 8 | b, c, 0, 0, 0, host)
    }

    fn address(self, host: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, host)
    }

    /// Whether `destination`, an address or network as `ip` prints it, overlaps this subnet.
    fn overlaps(self, destination: &str) -> bool {
        let (address, bits) = destination.split_once('/').unwrap_or((destination, "32"));
        let (Ok(address), Ok(bits)) = (address.parse::<Ipv4Addr>(), bits.parse::<u32>()) else {
            return false;
        };
        let mask = u32::MAX.checked_shl(32 - bits.min(24).min(32)).unwrap_or(0);
        u32::from(address) & mask == u32::from(self.address(0)) & mask
    }

    /// The first of `destinations` that overlaps this subnet.
    pub(crate) fn conflict(self, destinations: &[String]) -> Option<&String> {
        destinations.iter().find(|d| self.overlaps(d))
    }

    /// The first candidate that overlaps none of `destinations`; always tried in the same order.
    pub(crate) fn first_free(destinations: &[String]) -> Result<Subnet, ClusterError> {
        let tens = (0..=255).map(|c| [10, 77, c]);
        let seventeens = (0..=255).map(|c| [172, 30, c]);
        let sixteens = (128..=255).map(|c| [192, 168, c]);
        tens.chain(seventeens)
            .chain(sixteens)
            .map(|network| Subnet { network })
            .find(|candidate| candidate.conflict(destinations).is_none())
            .ok_or(ClusterError::NoFreeSubnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/24", self.address(0))
    }
}

impl FromStr for Subnet {
    type Err = ClusterError;

    fn from_str(text: &str) -> Result<Subnet, ClusterError> {
        let bad = || ClusterError::BadSubnet(text.to_owned());
        let address = text.strip_suffix(".0/24").ok_or_else(bad)?;
        let parsed: Ipv4Addr = format!("{address}.0").parse().map_err(|_| bad())?;
        let [a, b, c, _] = parsed.octets();
        Ok(Subnet { network: [a, b, c] })
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> String {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = ClusterError;

    fn try_from(text: String) -> Result<Subnet, ClusterError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn the_first_free_subnet_skips_routes_and_single_addresses_inside_it() {
        let taken = owned(&["10.77.0.0/24", "10.77.1.9", "127.0.0.0/8"]);
        assert_eq!(
            Subnet::first_free(&taken).unwrap().to_string(),
            "10.77.2.0/24"
        );
    }

    #[test]
    fn a_wider_network_that_covers_a_candidate_counts_as_taken() {
        let taken = owned(&["10.0.0.0/8"]);
        assert_eq!(
            Subnet::first_free(&taken).unwrap().to_string(),
            "172.30.0.0/24"
        );
    }

    #[test]
    fn with_every_private_network_taken_no_subnet_is_free() {
        let taken = owned(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]);
        assert!(matches!(
            Subnet::first_free(&taken),
            Err(ClusterError::NoFreeSubnet)
        ));
    }

    #[test]
    fn each_address_has_one_of_ipv6_beside_it_and_no_two_subnets_share_a_network() {
        let subnet: Subnet = "10.77.3.0/24".parse().unwrap();
        assert_eq!(subnet.prefix6(), "fd5d:6b64:a4d:3::/64");
        let beside = subnet.beside(subnet.node(0)).to_string();
        assert_eq!(beside, "fd5d:6b64:a4d:3::1");
        let other: Subnet = "172.30.3.0/24".parse().unwrap();
        assert_ne!(subnet.prefix6(), other.prefix6());
    }

    #[test]
    fn only_an_ipv4_network_of_256_addresses_parses() {
        for bad in [
            "10.77.0.0",
            "10.77.0.0/16",
            "10.77.0.1/24",
            "10.77.300.0/24",
            "fd00::/64",
            "",
        ] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
        let subnet: Subnet = "10.9.8.0/24".parse().unwrap();
        assert_eq!(subnet.node(0).to_string(), "10.9.8.1");
        assert_eq!(subnet.gateway().to_string(), "10.9.8.254");
    }
}
