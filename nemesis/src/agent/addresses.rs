//! The addresses of this node.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

/// Those by which others may reach it: none of the loopback, none that hold on one link only, each once.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let all = getifaddrs().into_iter().flatten();
    let mut found: Vec<IpAddr> = all
        .filter_map(|interface| ip(&interface.address?))
        .filter(is_for_others)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

fn is_for_others(address: &IpAddr) -> bool {
    let on_one_link = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !on_one_link && !address.is_loopback() && !address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_loopback_and_of_one_link_are_for_nobody_else() {
        for (address, expected) in [
            ("10.0.0.1", true),
            ("fd00::1", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("169.254.3.4", false),
            ("fe80::1", false),
        ] {
            assert_eq!(
                is_for_others(&address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
        assert!(addresses().iter().all(is_for_others));
    }
}
