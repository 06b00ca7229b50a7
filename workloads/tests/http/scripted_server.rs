//! A real TCP server on the loopback that answers HTTP requests as a script says, bad manners included.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, read in full.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and target: `GET /tasks/1`.
    pub(crate) line: String,
    /// Header lines, as sent.
    pub(crate) head: String,
    /// Its JSON body; null without one.
    pub(crate) body: Value,
}

/// What to do with it.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answer with this status, these header lines and this JSON, and keep the connection.
    Answer(u16, &'static str, Value),
    /// Answer so, and close the connection although nothing says so.
    AnswerAndClose(u16, Value),
    /// Send these bytes, and close the connection.
    Raw(&'static str),
    /// Close the connection without a word.
    Close,
    /// Reset the connection.
    Reset,
    /// Never answer.
    Hang,
}

/// The server; it takes no more connections once this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(script: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let script = script.clone();
                tokio::spawn(async move { serve(stream, &*script).await });
            }
        });
        Server { address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: &(impl Fn(Request) -> Reply + Sync)) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        let (status, headers, body, close) = match script(request) {
            Reply::Answer(status, headers, body) => (status, headers, body, false),
            Reply::AnswerAndClose(status, body) => (status, "", body, true),
            Reply::Raw(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
            Reply::Close => return,
            Reply::Reset => return stream.set_zero_linger().unwrap(),
            Reply::Hang => std::future::pending().await,
        };
        let body = body.to_string();
        let text = format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(text.as_bytes()).await.is_err() || close {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, length)| length.parse::<usize>().unwrap());
            let whole = end + 4 + length;
            if buffer.len() >= whole {
                let body = serde_json::from_slice(&buffer[end + 4..whole]).unwrap_or(Value::Null);
                buffer.drain(..whole);
                let (line, head) = head.split_once("\r\n").unwrap();
                let line = line.strip_suffix(" HTTP/1.1").unwrap().to_owned();
                let head = head.to_owned();
                return Some(Request { line, head, body });
            }
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
