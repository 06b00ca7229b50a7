//! One connection to one front node, used by one process: requests go out once, and it is known whether
//! anything of them did.
//!
//! The connection is driven by the task that waits for the answer, not by one of its own: at thousands of
//! small requests a second, waking another task twice for each costs more than the request.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use tokio::net::TcpStream;

use super::{Answer, Unanswered};

/// A front node and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Front {
    host: String,
    port: u16,
    /// Path before that of every request, without a slash at its end.
    base: String,
    headers: HeaderMap,
}

/// A request as it goes out.
pub(crate) type Request = hyper::Request<Full<Bytes>>;

impl Front {
    /// The node of a base URL; `headers` go out with each request.
    pub(crate) fn new(url: &Url, mut headers: HeaderMap) -> Self {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let value = HeaderValue::from_str(&authority);
        headers.insert(HOST, value.expect("a URL's host is printable ASCII"));
        Front {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            base: url.path().trim_end_matches('/').to_owned(),
            headers,
        }
    }

    /// A `POST` of JSON.
    pub(crate) fn post(&self, path: &str, body: Vec<u8>) -> Request {
        let mut request = self.get(path);
        *request.method_mut() = hyper::Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = Full::new(Bytes::from(body));
        request
    }

    /// A `GET`.
    pub(crate) fn get(&self, path: &str) -> Request {
        let mut request = Request::new(Full::default());
        let uri = format!("{}{path}", self.base).parse();
        *request.uri_mut() = uri.expect("paths are built from checked parts");
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A connection, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Wire(Option<Open>);

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    connection: Driver,
}

/// What moves the bytes of a connection; none once it has ended.
type Driver = Option<Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>>;

/// Why a request was not answered.
enum Broken {
    /// Nothing of it was sent: it can go over another connection.
    Unsent(Box<Request>),
    /// Some of it may have been sent.
    Unclear(String),
}

impl Wire {
    /// Sends a request, over the kept connection if that still stands, and reads the whole answer.
    ///
    /// A kept connection can turn out to be closed before anything was written to it: the request then
    /// goes over a new one.
    pub(crate) async fn exchange(
        &mut self,
        front: &Front,
        mut request: Request,
        connect_timeout: Duration,
    ) -> Result<Answer, Unanswered> {
        if let Some(open) = self.0.take() {
            match self.over(open, request).await {
                Ok(answer) => return Ok(answer),
                Err(Broken::Unsent(back)) => request = *back,
                Err(Broken::Unclear(reason)) => return Err(unclear(reason)),
            }
        }
        let unsent = |reason: String| Unanswered {
            reason: format!("connect: {reason}"),
            unsent: true,
        };
        let connected = tokio::time::timeout(connect_timeout, Open::connect(front)).await;
        let open = match connected {
            Ok(Ok(open)) => open,
            Ok(Err(error)) => return Err(unsent(describe(&error, "no connection"))),
            Err(_) => return Err(unsent("timed out".to_owned())),
        };
        match self.over(open, request).await {
            Ok(answer) => Ok(answer),
            Err(Broken::Unsent(_)) => Err(unsent("closed at once".to_owned())),
            Err(Broken::Unclear(reason)) => Err(unclear(reason)),
        }
    }

    /// Closes the connection: an answer may still come over it that nobody waits for.
    pub(crate) fn close(&mut self) {
        self.0 = None;
    }

    /// One exchange over a connection, which is kept if it is still good after it.
    async fn over(&mut self, open: Open, request: Request) -> Result<Answer, Broken> {
        let Open {
            mut sender,
            mut connection,
        } = open;
        let answered = driven(&mut connection, ask(&mut sender, request)).await;
        let good = matches!(&answered, Ok(answer) if answer.body.is_ok());
        if good && connection.is_some() && !sender.is_closed() {
            self.0 = Some(Open { sender, connection });
        }
        answered
    }
}

impl Open {
    async fn connect(front: &Front) -> Result<Open, io::Error> {
        let stream = TcpStream::connect((front.host.as_str(), front.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let connection = Some(Box::pin(connection));
        Ok(Open { sender, connection })
    }
}

/// Waits for `work`, and lets the connection do its part meanwhile.
async fn driven<T>(connection: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if let Some(alive) = connection
            && alive.as_mut().poll(context).is_ready()
        {
            // What it held, a request not begun among it, goes back to the sender only when it is dropped.
            *connection = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request) -> Result<Answer, Broken> {
    if sender.ready().await.is_err() {
        return Err(Broken::Unsent(Box::new(request)));
    }
    let response = sender.try_send_request(request).await;
    let response = response.map_err(|mut error| match error.take_message() {
        Some(request) => Broken::Unsent(Box::new(request)),
        None => Broken::Unclear(describe(
            error.error(),
            "connection closed before the answer",
        )),
    })?;
    let (head, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => serde_json::from_slice(&body.to_bytes())
            .map_err(|_| "the answer is not JSON".to_owned()),
        Err(error) => Err(describe(&error, "the answer was cut short")),
    };
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
    })
}

fn unclear(reason: String) -> Unanswered {
    Unanswered {
        reason,
        unsent: false,
    }
}

/// The operating system's reason, if it gave one, or `otherwise`.
fn describe(error: &(dyn Error + 'static), otherwise: &str) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.raw_os_error().is_some()
        {
            return error.kind().to_string();
        }
        cause = error.source();
    }
    otherwise.to_owned()
}
