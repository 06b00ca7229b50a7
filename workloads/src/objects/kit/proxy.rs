//! A proxy between a client and a server that breaks one exchange in a chosen way.
//!
//! An exchange begins with what the client sends after the server has answered (or first of all) and ends with
//! the server's answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection is closed as soon as it is made.
    CloseOnAccept,
    /// The request is read and not passed on; the connection is closed.
    CutBeforeRequest,
    /// The first half of the request is passed on; the connection is closed.
    CutInRequest,
    /// The request is never passed on, and the connection stays.
    SwallowRequest,
    /// The request is passed on when the client has long given up.
    DelayRequest,
    /// The server answers, and the connection is closed instead of passing that on.
    CutBeforeAnswer,
    /// The same, with a reset.
    ResetBeforeAnswer,
    /// The first half of the answer is passed on; the connection is closed.
    CutInAnswer,
    /// All but the last byte of the answer is passed on; the connection is closed.
    CutAtEndOfAnswer,
    /// The answer is never passed on, and the connection stays.
    SwallowAnswer,
    /// The answer is passed on when the client has long given up.
    DelayAnswer,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 11] = [
        Fault::CloseOnAccept,
        Fault::CutBeforeRequest,
        Fault::CutInRequest,
        Fault::SwallowRequest,
        Fault::DelayRequest,
        Fault::CutBeforeAnswer,
        Fault::ResetBeforeAnswer,
        Fault::CutInAnswer,
        Fault::CutAtEndOfAnswer,
        Fault::SwallowAnswer,
        Fault::DelayAnswer,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Fault::CloseOnAccept => "close on accept",
            Fault::CutBeforeRequest => "cut before the request",
            Fault::CutInRequest => "cut in the request",
            Fault::SwallowRequest => "request swallowed",
            Fault::DelayRequest => "request delayed",
            Fault::CutBeforeAnswer => "cut before the answer",
            Fault::ResetBeforeAnswer => "reset before the answer",
            Fault::CutInAnswer => "cut in the answer",
            Fault::CutAtEndOfAnswer => "cut at the end of the answer",
            Fault::SwallowAnswer => "answer swallowed",
            Fault::DelayAnswer => "answer delayed",
        }
    }
}

/// A proxy; dropping it closes its connections.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    task: JoinHandle<()>,
}

/// Which exchange is broken, and how.
#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    /// Exchanges that pass unharmed before it.
    before: u32,
    struck: bool,
}

impl Proxy {
    /// Starts one before `server`, on a port of its own.
    pub(super) async fn start(server: SocketAddr, delay: Duration) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let plan = Arc::new(Mutex::new(Plan::default()));
        let connections = plan.clone();
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let relay = Relay {
                    plan: connections.clone(),
                    delay,
                    answered: true,
                    fault: None,
                };
                // A broken connection is what it is for.
                tasks.spawn(async move { relay.run(client, server).await.ok() });
                while tasks.try_join_next().is_some() {}
            }
        });
        Ok(Proxy {
            address,
            plan,
            task,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks one exchange from now on, after so many others.
    pub(super) fn arm(&self, fault: Fault, before: u32) {
        *lock(&self.plan) = Plan {
            fault: Some(fault),
            before,
            struck: false,
        };
    }

    /// Breaks no more; says whether it did.
    pub(super) fn disarm(&self) -> bool {
        std::mem::take(&mut *lock(&self.plan)).struck
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    /// A connection was made.
    fn accept(&mut self) -> Option<Fault> {
        let fault = self.fault.filter(|fault| *fault == Fault::CloseOnAccept)?;
        self.strike(fault)
    }

    /// An exchange begins.
    fn begin(&mut self) -> Option<Fault> {
        let fault = self.fault.filter(|fault| *fault != Fault::CloseOnAccept)?;
        self.strike(fault)
    }

    fn strike(&mut self, fault: Fault) -> Option<Fault> {
        if self.struck {
            return None;
        }
        let Some(before) = self.before.checked_sub(1) else {
            self.struck = true;
            return Some(fault);
        };
        self.before = before;
        None
    }
}

/// One connection.
struct Relay {
    plan: Arc<Mutex<Plan>>,
    delay: Duration,
    /// The server has answered what the client sent last.
    answered: bool,
    /// What is to be done to the exchange under way.
    fault: Option<Fault>,
}

/// Whether a connection goes on.
enum Then {
    Go,
    Close,
}

impl Relay {
    async fn run(mut self, mut client: TcpStream, server: SocketAddr) -> io::Result<()> {
        if lock(&self.plan).accept().is_some() {
            return Ok(());
        }
        let mut server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut sent, mut said) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let then = tokio::select! {
                count = client.read(&mut sent) => match count? {
                    0 => Then::Close,
                    count => self.request(&sent[..count], &mut server).await?,
                },
                count = server.read(&mut said) => match count? {
                    0 => Then::Close,
                    count => self.answer(&said[..count], &mut client).await?,
                },
            };
            if let Then::Close = then {
                return Ok(());
            }
        }
    }

    async fn request(&mut self, bytes: &[u8], server: &mut TcpStream) -> io::Result<Then> {
        if self.answered {
            self.answered = false;
            self.fault = lock(&self.plan).begin();
        }
        match self.fault {
            Some(Fault::CutBeforeRequest) => return Ok(Then::Close),
            Some(Fault::CutInRequest) => {
                server.write_all(&bytes[..bytes.len() / 2]).await?;
                return Ok(Then::Close);
            }
            Some(Fault::SwallowRequest) => return Ok(Then::Go),
            Some(Fault::DelayRequest) => tokio::time::sleep(self.delay).await,
            _ => {}
        }
        server.write_all(bytes).await?;
        Ok(Then::Go)
    }

    async fn answer(&mut self, bytes: &[u8], client: &mut TcpStream) -> io::Result<Then> {
        self.answered = true;
        match self.fault {
            Some(Fault::CutBeforeAnswer) => return Ok(Then::Close),
            Some(Fault::ResetBeforeAnswer) => {
                SockRef::from(&*client).set_linger(Some(Duration::ZERO))?;
                return Ok(Then::Close);
            }
            Some(fault @ (Fault::CutInAnswer | Fault::CutAtEndOfAnswer)) => {
                let passed = match fault {
                    Fault::CutInAnswer => bytes.len() / 2,
                    _ => bytes.len() - 1,
                };
                client.write_all(&bytes[..passed]).await?;
                return Ok(Then::Close);
            }
            Some(Fault::SwallowAnswer) => return Ok(Then::Go),
            Some(Fault::DelayAnswer) => tokio::time::sleep(self.delay).await,
            _ => {}
        }
        client.write_all(bytes).await?;
        Ok(Then::Go)
    }
}
