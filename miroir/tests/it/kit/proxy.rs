//! A TCP proxy that resets connections instead of passing data on: requests fail without arriving.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Everything is reset.
pub(crate) const ALWAYS: u32 = 1000;

/// A proxy to one address.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Share of data chunks towards the server that are answered with a reset, in per mille.
    share: Arc<AtomicU32>,
    resets: Arc<AtomicU64>,
    holds: Holds,
}

/// Texts that data towards the server is held back for.
type Holds = Arc<Mutex<Vec<(String, watch::Receiver<bool>)>>>;

/// Holds data back until it is dropped.
pub(crate) struct Hold(#[expect(dead_code, reason = "held for its drop")] watch::Sender<bool>);

impl Proxy {
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (share, resets): (Arc<AtomicU32>, Arc<AtomicU64>) = Default::default();
        let holds = Holds::default();
        let (shared, counted, server) =
            (Arc::clone(&share), Arc::clone(&resets), server.to_owned());
        let held = Arc::clone(&holds);
        tokio::spawn(async move {
            let mut seed = 1;
            while let Ok((client, _)) = listener.accept().await {
                seed += 1;
                tokio::spawn(pass(
                    client,
                    server.clone(),
                    Arc::clone(&shared),
                    Arc::clone(&counted),
                    Arc::clone(&held),
                    seed,
                ));
            }
        });
        Proxy {
            address,
            share,
            resets,
            holds,
        }
    }

    /// Holds back data that contains a text, and what follows it on its connection.
    pub(crate) fn hold(&self, text: &str) -> Hold {
        let (sender, receiver) = watch::channel(false);
        self.holds.lock().unwrap().push((text.to_owned(), receiver));
        Hold(sender)
    }

    pub(crate) fn reset_share(&self, per_mille: u32) {
        self.share.store(per_mille, Ordering::Relaxed);
    }

    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }
}

async fn pass(
    client: TcpStream,
    server: String,
    share: Arc<AtomicU32>,
    resets: Arc<AtomicU64>,
    holds: Holds,
    mut seed: u64,
) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    // Whenever the client's side is closed, it is by a reset.
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let answers =
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
        // xorshift64*: plain and seeded.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        if seed % 1000 < u64::from(share.load(Ordering::Relaxed)) {
            resets.fetch_add(1, Ordering::Relaxed);
            // The chunk never reaches the server.
            break;
        }
        let matching = {
            let text = String::from_utf8_lossy(&buffer[..n]);
            let holds = holds.lock().unwrap();
            holds
                .iter()
                .find(|(t, _)| text.contains(t.as_str()))
                .map(|(_, r)| r.clone())
        };
        if let Some(mut hold) = matching {
            // An error is the end of the hold.
            let _ = hold.wait_for(|released| *released).await;
        }
        if to_server.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
    answers.abort();
}
