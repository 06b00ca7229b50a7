//! HTTP requests to one address over kept connections. Nothing is ever sent twice, and an error says whether
//! the request may have arrived.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Idle connections kept.
const MAX_IDLE: usize = 512;

/// Why there is no answer.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// No byte of the request was sent.
    #[error("cannot connect: {0}")]
    NotSent(String),
    /// The connection was reset after sending had begun.
    #[error("the connection was reset")]
    Reset,
    /// No answer in time after sending had begun.
    #[error("no answer in time")]
    TimedOut,
    /// The answer was cut off or made no sense.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(HeaderName, HeaderValue)],
    pub(crate) body: Bytes,
}

/// An answer, read in full.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Connections to one address.
pub(crate) struct HttpClient {
    address: SocketAddr,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl HttpClient {
    /// A client without connections yet.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::with_key(address, None)
    }

    /// One that sends a bearer key, which must have been checked, with each request.
    pub(crate) fn with_key(address: SocketAddr, key: Option<&str>) -> Self {
        let authorization = key.map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .expect("keys are checked to be printable ASCII");
            value.set_sensitive(true);
            value
        });
        let host =
            HeaderValue::from_str(&address.to_string()).expect("an address is printable ASCII");
        HttpClient {
            address,
            host,
            authorization,
            idle: Mutex::default(),
        }
    }

    /// Sends one request and reads its answer, within `timeout` altogether.
    pub(crate) async fn call(
        &self,
        request: Request<'_>,
        timeout: Duration,
    ) -> Result<Response, CallError> {
        let deadline = Instant::now() + timeout;
        let mut wire = self.build(&request);
        // A kept connection may turn out to be closed before anything was written: the request comes back
        // untouched, and taking another connection repeats nothing.
        while let Some(mut sender) = self.take_idle() {
            match timeout_at(deadline, sender.ready()).await {
                Err(_) => {
                    return Err(CallError::NotSent(
                        "no connection was ready in time".to_owned(),
                    ));
                }
                Ok(Err(_)) => continue,
                Ok(Ok(())) => {}
            }
            match self.exchange(sender, wire, deadline).await {
                Err(Unanswered::Unsent(back)) => wire = *back,
                Err(Unanswered::Failed(error)) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
        let sender = match timeout_at(deadline, self.connect()).await {
            Err(_) => return Err(CallError::NotSent("connecting took too long".to_owned())),
            Ok(connected) => connected.map_err(|e| CallError::NotSent(e.to_string()))?,
        };
        match self.exchange(sender, wire, deadline).await {
            Err(Unanswered::Unsent(_)) => Err(CallError::NotSent(
                "the connection closed at once".to_owned(),
            )),
            Err(Unanswered::Failed(error)) => Err(error),
            Ok(response) => Ok(response),
        }
    }

    fn build(&self, request: &Request<'_>) -> hyper::Request<Full<Bytes>> {
        let mut wire = hyper::Request::new(Full::new(request.body.clone()));
        *wire.method_mut() = request.method.clone();
        *wire.uri_mut() = request
            .path
            .parse()
            .expect("paths are built from checked parts");
        let headers = wire.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        if !request.body.is_empty() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        for (name, value) in request.headers {
            headers.insert(name, value.clone());
        }
        wire
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|sender| !sender.is_closed())
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors reach the caller through the request they belong to.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        wire: hyper::Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Response, Unanswered> {
        let answered =
            async {
                let answer = sender.try_send_request(wire).await.map_err(|mut e| {
                    match e.take_message() {
                        Some(unsent) => Unanswered::Unsent(Box::new(unsent)),
                        None => Unanswered::Failed(classify(e.error())),
                    }
                })?;
                let status = answer.status();
                let body = answer
                    .into_body()
                    .collect()
                    .await
                    .map_err(|e| Unanswered::Failed(classify(&e)))?;
                Ok(Response {
                    status,
                    body: body.to_bytes(),
                })
            };
        let response = timeout_at(deadline, answered)
            .await
            .unwrap_or(Err(Unanswered::Failed(CallError::TimedOut)))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE && !sender.is_closed() {
            idle.push(sender);
        }
        Ok(response)
    }
}

enum Unanswered {
    /// Given back without a byte written.
    Unsent(Box<hyper::Request<Full<Bytes>>>),
    Failed(CallError),
}

fn classify(error: &hyper::Error) -> CallError {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = source {
        if let Some(io) = e.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), ConnectionReset | BrokenPipe | ConnectionAborted)
        {
            return CallError::Reset;
        }
        source = e.source();
    }
    CallError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn get() -> Request<'static> {
        Request {
            method: Method::GET,
            path: "/",
            headers: &[],
            body: Bytes::new(),
        }
    }

    /// Longer than an answer takes, however busy the machine is.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_refused_connection_means_nothing_was_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = HttpClient::new(listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(
            client.call(get(), PATIENCE).await,
            Err(CallError::NotSent(_))
        ));
    }

    #[tokio::test]
    async fn a_reset_of_a_kept_connection_fails_that_request_and_is_not_repeated() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = HttpClient::new(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(stream);
            // A repeated request would show up here.
            tokio::time::timeout(Duration::from_secs(1), listener.accept())
                .await
                .is_err()
        });
        assert_eq!(client.call(get(), PATIENCE).await.unwrap().status, 200);
        assert_eq!(
            client.call(get(), PATIENCE).await.unwrap_err(),
            CallError::Reset
        );
        assert!(server.await.unwrap());
    }

    #[tokio::test]
    async fn a_silent_server_is_a_time_out_after_sending() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = HttpClient::new(listener.local_addr().unwrap());
        let error = client
            .call(get(), Duration::from_secs(1))
            .await
            .unwrap_err();
        assert_eq!(error, CallError::TimedOut);
    }
}
