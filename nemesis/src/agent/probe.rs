//! Probe packets: small UDP datagrams that show whether one node can reach another, and by which address it is seen there.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Begins every probe packet, so that stray datagrams aren't counted.
const MAGIC: &[u8; 8] = b"shakedwn";

/// What arrived with one nonce.
#[derive(Debug, Default)]
struct Arrived {
    packets: u64,
    from: BTreeSet<IpAddr>,
}

/// Counts probe packets by nonce.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    port: Mutex<Option<u16>>,
    counts: Mutex<HashMap<u64, Arrived>>,
    arrived: Condvar,
}

impl Probes {
    /// Opens the socket, once; its port.
    pub(crate) fn listen(self: &Arc<Self>) -> io::Result<u16> {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(port) = *port {
            return Ok(port);
        }
        // On [::] the socket takes IPv4 as well; a kernel without IPv6 has only 0.0.0.0.
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
        let bound = socket.local_addr()?.port();
        let probes = Arc::clone(self);
        thread::spawn(move || probes.receive(&socket));
        *port = Some(bound);
        Ok(bound)
    }

    /// Packets with this nonce so far, and where they came from; waits up to `patience` until there are `wanted`.
    pub(crate) fn count(&self, nonce: u64, wanted: u64, patience: Duration) -> (u64, Vec<IpAddr>) {
        let so_far = |counts: &HashMap<u64, Arrived>| counts.get(&nonce).map_or(0, |a| a.packets);
        let (counts, _) = self
            .arrived
            .wait_timeout_while(self.counts(), patience, |counts| so_far(counts) < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        let from = counts.get(&nonce).map(|arrived| &arrived.from);
        (
            so_far(&counts),
            from.into_iter().flatten().copied().collect(),
        )
    }

    fn receive(&self, socket: &UdpSocket) {
        let mut packet = [0; 64];
        loop {
            // Errors are those of packets (an ICMP answer), not of the socket.
            let Ok((length, from)) = socket.recv_from(&mut packet) else {
                continue;
            };
            let nonce = packet[..length]
                .strip_prefix(MAGIC)
                .and_then(|rest| rest.try_into().ok());
            if let Some(nonce) = nonce {
                let mut counts = self.counts();
                let arrived = counts.entry(u64::from_be_bytes(nonce)).or_default();
                arrived.packets += 1;
                // A socket for both versions of IP writes those of the older in the newer.
                arrived.from.insert(from.ip().to_canonical());
                drop(counts);
                self.arrived.notify_all();
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<u64, Arrived>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends `count` probe packets with this nonce to an agent's socket.
///
/// # Errors
/// When the kernel knows no way there.
pub fn send(to: SocketAddr, nonce: u64, count: u32) -> io::Result<()> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    let mut packet = MAGIC.to_vec();
    packet.extend_from_slice(&nonce.to_be_bytes());
    for _ in 0..count {
        socket.send_to(&packet, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_by_nonce_and_strays_are_not() {
        let probes = Arc::new(Probes::default());
        let port = probes.listen().unwrap();
        assert_eq!(probes.listen().unwrap(), port, "the socket is opened once");
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let stray = UdpSocket::bind("127.0.0.1:0").unwrap();
        stray.send_to(b"hello", to).unwrap();
        send(to, 7, 1).unwrap();
        send(to, 8, 3).unwrap();
        let patience = Duration::from_secs(20);
        let here = vec![IpAddr::from([127, 0, 0, 1])];
        assert_eq!(probes.count(7, 1, patience), (1, here.clone()));
        assert_eq!(probes.count(8, 3, patience), (3, here));
        assert_eq!(probes.count(9, 1, Duration::ZERO), (0, Vec::new()));
    }
}
