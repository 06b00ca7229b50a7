//! The HTTP client against servers that answer well, badly, in part or not at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::scripted_server::{Reply, Request, Server};
use serde_json::{Value, json};
use shakedown_workloads::client::{Client, Completion};
use shakedown_workloads::documents::http::{HttpClient, HttpClients, HttpConfig};
use shakedown_workloads::documents::{Documents, PayloadRange, document_id, parse_document_id};
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::operation::{Operation, Write};

const OUTCOME: &str = "X-Outcome";

fn documents() -> Documents {
    Documents::new(1, PayloadRange::default())
}

fn config(url: &str) -> HttpConfig {
    HttpConfig {
        urls: vec![url.to_owned()],
        index: "docs".to_owned(),
        timeout: HumanDuration::from_secs(20),
        connect_timeout: HumanDuration::from_secs(10),
        outcome_header: Some(OUTCOME.to_owned()),
        headers: BTreeMap::from([("X-Extra".to_owned(), "yes".to_owned())]),
        bearer: Some("key".to_owned()),
    }
}

fn client(url: &str) -> HttpClient {
    HttpClients::new(&config(url), documents())
        .unwrap()
        .client(0)
}

/// A client that soon gives up, for servers that never answer.
fn impatient_client(url: &str) -> HttpClient {
    let config = HttpConfig {
        timeout: HumanDuration::from_secs(2),
        ..config(url)
    };
    HttpClients::new(&config, documents()).unwrap().client(0)
}

fn put(key: i64) -> Operation {
    Operation::Put(vec![Write { key, version: 1 }])
}

fn done() -> Completion {
    Completion::Done { seen: None }
}

fn failed(error: &str) -> Completion {
    let error = error.to_owned();
    Completion::Failed { error }
}

fn indeterminate(error: &str) -> Completion {
    let error = error.to_owned();
    Completion::Indeterminate { error }
}

fn task(status: &str) -> Value {
    json!({ "taskUid": 7, "status": status })
}

/// What a put comes to when it is answered so.
async fn put_answered(reply: Reply) -> Completion {
    let server = Server::start(move |_| reply.clone()).await;
    client(&server.url()).invoke(&put(1)).await
}

#[tokio::test]
async fn requests_are_as_documented() {
    let requests = Arc::new(Mutex::new(Vec::<Request>::new()));
    let seen = requests.clone();
    let server = Server::start(move |request| {
        let reply = if request.line.starts_with("GET") {
            Reply::Answer(404, "", json!({ "code": "document_not_found" }))
        } else {
            Reply::Answer(200, "", task("succeeded"))
        };
        seen.lock().unwrap().push(request);
        reply
    })
    .await;
    let mut client = client(&format!("{}/base/", server.url()));
    let writes = vec![Write { key: 1, version: 1 }, Write { key: 2, version: 5 }];
    assert_eq!(client.invoke(&Operation::Put(writes.clone())).await, done());
    assert_eq!(
        client.invoke(&Operation::Delete(writes.clone())).await,
        done()
    );
    assert_eq!(client.invoke(&Operation::Read { key: 2 }).await, done());
    let requests = requests.lock().unwrap();
    let lines: Vec<&str> = requests.iter().map(|r| r.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /base/indexes/docs/documents",
            "POST /base/indexes/docs/documents/delete-batch",
            "GET /base/indexes/docs/documents/d00000000002",
        ]
    );
    let sent: Vec<_> = writes
        .iter()
        .map(|write| documents().document(*write))
        .collect();
    assert_eq!(requests[0].body, json!(sent));
    assert_eq!(requests[1].body, json!([document_id(1), document_id(2)]));
    for request in requests.iter() {
        let head = request.head.to_lowercase();
        assert!(
            head.contains("authorization: bearer key") && head.contains("x-extra: yes"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn an_answered_write_is_what_its_task_says() {
    assert_eq!(
        put_answered(Reply::Answer(202, "", task("succeeded"))).await,
        done()
    );
    assert_eq!(
        put_answered(Reply::Answer(200, "", task("failed"))).await,
        failed("task failed")
    );
    let unclear = indeterminate("the answer does not say what became of the task");
    for body in [
        task("canceled"),
        json!({}),
        json!([]),
        json!({ "status": "enqueued" }),
    ] {
        assert_eq!(put_answered(Reply::Answer(200, "", body)).await, unclear);
    }
}

#[tokio::test]
async fn a_task_under_way_is_waited_for() {
    type MakeClient = fn(&str) -> HttpClient;
    let ends: [(&str, Completion, MakeClient); 4] = [
        ("succeeded", done(), client),
        ("failed", failed("task failed"), client),
        ("canceled", indeterminate("timed out"), impatient_client),
        ("processing", indeterminate("timed out"), impatient_client),
    ];
    for (end, completion, client) in ends {
        let polls = AtomicU64::new(0);
        let server = Server::start(move |request| {
            if request.line.starts_with("POST") {
                return Reply::Answer(202, "", task("enqueued"));
            }
            assert_eq!(request.line, "GET /tasks/7");
            match polls.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::Answer(200, "", task("processing")),
                1 => Reply::Reset,
                2 => Reply::Answer(503, "X-Outcome: none\r\n", json!({})),
                3 => Reply::Close,
                _ => Reply::Answer(200, "", task(end)),
            }
        })
        .await;
        assert_eq!(
            client(&server.url()).invoke(&put(1)).await,
            completion,
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_task_that_is_not_known_leaves_the_write_indeterminate() {
    let server = Server::start(|request| match request.line.starts_with("POST") {
        true => Reply::Answer(202, "", task("enqueued")),
        false => Reply::Answer(404, "X-Outcome: none\r\n", json!({})),
    })
    .await;
    let completion = client(&server.url()).invoke(&put(1)).await;
    assert_eq!(completion, indeterminate("the task is not known"));
}

#[tokio::test]
async fn refusals_are_certain_only_where_the_server_says_so() {
    let none = "X-Outcome: none\r\n";
    let partial = "X-Outcome: partial\r\n";
    for (status, headers, completion) in [
        (400, "", failed("http 400")),
        (429, none, failed("http 429")),
        (400, partial, indeterminate("http 400")),
        (503, "", indeterminate("http 503")),
        (503, none, failed("http 503")),
        (503, partial, indeterminate("http 503")),
        (302, "Location: /elsewhere\r\n", indeterminate("http 302")),
        (307, none, indeterminate("http 307")),
    ] {
        let answered = put_answered(Reply::Answer(status, headers, json!({}))).await;
        assert_eq!(answered, completion, "{status} {headers}");
    }
}

#[tokio::test]
async fn without_an_outcome_header_configured_no_5xx_is_certain() {
    let server = Server::start(|_| Reply::Answer(503, "X-Outcome: none\r\n", json!({}))).await;
    let config = HttpConfig {
        outcome_header: None,
        ..config(&server.url())
    };
    let mut client = HttpClients::new(&config, documents()).unwrap().client(0);
    assert_eq!(client.invoke(&put(1)).await, indeterminate("http 503"));
}

#[tokio::test]
async fn a_write_that_is_not_answered_in_full_is_indeterminate() {
    let half_head = "HTTP/1.1 200 OK\r\ncontent-len";
    let half_body =
        "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"taskUid\":1,\"status\":\"succeeded\"}";
    let half_chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n22\r\n{\"taskUid\":1,\"status\":\"succeeded\"}\r\n";
    let half_unframed = "HTTP/1.1 200 OK\r\n\r\n{\"taskUid\":1,\"status\":\"succ";
    let no_http = "hello\r\n\r\n";
    for reply in [
        Reply::Reset,
        Reply::Close,
        Reply::Raw(half_head),
        Reply::Raw(half_body),
        Reply::Raw(half_chunked),
        Reply::Raw(half_unframed),
        Reply::Raw(no_http),
    ] {
        let completion = put_answered(reply.clone()).await;
        assert!(
            matches!(completion, Completion::Indeterminate { .. }),
            "{reply:?}: {completion:?}"
        );
    }
}

#[tokio::test]
async fn a_write_that_is_never_answered_is_indeterminate() {
    let server = Server::start(|_| Reply::Hang).await;
    let completion = impatient_client(&server.url()).invoke(&put(1)).await;
    assert_eq!(completion, indeterminate("timed out"));
}

#[tokio::test]
async fn a_refused_connection_has_certainly_failed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let completion = client(&url).invoke(&put(1)).await;
    assert_eq!(completion, failed("connect: connection refused"));
}

#[tokio::test]
async fn a_connection_that_is_never_made_has_certainly_failed() {
    // Nobody accepts: once the backlog is full the kernel answers no more connection requests.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let brief = Duration::from_millis(100);
    while let Ok(Ok(stream)) =
        tokio::time::timeout(brief, tokio::net::TcpStream::connect(address)).await
    {
        queued.push(stream);
    }
    let config = HttpConfig {
        connect_timeout: HumanDuration::from_secs(1),
        ..config(&format!("http://{address}"))
    };
    let mut client = HttpClients::new(&config, documents()).unwrap().client(0);
    let completion = client.invoke(&put(1)).await;
    assert_eq!(completion, failed("connect: timed out"));
}

#[tokio::test]
async fn a_404_that_is_cut_short_does_not_mean_absent() {
    let half = "HTTP/1.1 404 X\r\ncontent-length: 90\r\n\r\n{\"code\":\"document_not_found\"}";
    let server = Server::start(move |_| Reply::Raw(half)).await;
    let read = client(&server.url())
        .invoke(&Operation::Read { key: 3 })
        .await;
    // Not absent: that it was cut short might mean anything. As a 4xx it has failed.
    assert_eq!(read, failed("http 404"));
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_write_leaves_it_indeterminate_and_unrepeated() {
    for breaks in [Reply::Close, Reply::Reset] {
        let applied = Arc::new(AtomicU64::new(0));
        let counter = applied.clone();
        let server = Server::start(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
            1 => breaks.clone(),
            _ => Reply::Answer(200, "", task("succeeded")),
        })
        .await;
        let mut client = client(&server.url());
        assert_eq!(client.invoke(&put(1)).await, done());
        let completion = client.invoke(&put(2)).await;
        assert!(
            matches!(completion, Completion::Indeterminate { .. }),
            "{completion:?}"
        );
        assert_eq!(applied.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_server_does_no_certainty_is_wrong_and_no_write_is_sent_twice() {
    // Puts by key that reached the server.
    let arrived = Arc::new(Mutex::new(HashMap::<i64, u32>::new()));
    let seen = arrived.clone();
    let server = Server::start(move |request| {
        let key = parse_document_id(request.body[0]["id"].as_str().unwrap()).unwrap();
        *seen.lock().unwrap().entry(key).or_default() += 1;
        match key % 5 {
            // These leave the client with a connection that it believes to be good.
            0 | 1 => Reply::AnswerAndClose(200, task("succeeded")),
            2 => Reply::Answer(200, "", task("succeeded")),
            3 => Reply::Close,
            _ => Reply::Reset,
        }
    })
    .await;
    let clients = HttpClients::new(&config(&server.url()), documents()).unwrap();
    let workers: Vec<_> = (0..8i64)
        .map(|worker| {
            let mut client = clients.client(0);
            tokio::spawn(async move {
                let mut completions = Vec::new();
                for slot in 0..300 {
                    let key = slot * 8 + worker;
                    completions.push((key, client.invoke(&put(key)).await));
                }
                completions
            })
        })
        .collect();
    let mut counts = [0; 3];
    for worker in workers {
        for (key, completion) in worker.await.unwrap() {
            let arrivals = arrived.lock().unwrap().get(&key).copied().unwrap_or(0);
            assert!(arrivals <= 1, "key {key} was sent {arrivals} times");
            match completion {
                Completion::Done { .. } => {
                    counts[0] += 1;
                    assert!(arrivals == 1 && key % 5 < 3, "key {key} was not applied");
                }
                Completion::Failed { .. } => {
                    counts[1] += 1;
                    assert_eq!(arrivals, 0, "key {key} was applied");
                }
                _ => counts[2] += 1,
            }
        }
    }
    assert!(counts[0] > 0 && counts[2] > 0, "{counts:?}");
}

#[tokio::test]
async fn a_read_tells_present_absent_corrupt_and_unanswered_apart() {
    let write = Write { key: 3, version: 9 };
    let whole = documents().document(write);
    let mut changed = whole.clone();
    changed["version"] = json!(8);
    let other = documents().document(Write { key: 4, ..write });
    let corrupt = |detail: &str| Completion::Corrupt {
        detail: detail.to_owned(),
    };
    for (status, body, completion) in [
        (200, whole, Completion::Done { seen: Some(9) }),
        (200, changed, corrupt("the checksum is wrong")),
        (200, other, corrupt("another key's document")),
        (200, json!({ "id": "x" }), corrupt("foreign id \"x\"")),
        (200, json!({}), corrupt("foreign id \"null\"")),
        (404, json!({ "code": "document_not_found" }), done()),
        (404, json!({ "code": "index_not_found" }), done()),
        (404, json!({}), failed("http 404")),
        (503, json!({}), indeterminate("http 503")),
    ] {
        let server = Server::start(move |_| Reply::Answer(status, "", body.clone())).await;
        let read = client(&server.url())
            .invoke(&Operation::Read { key: 3 })
            .await;
        assert_eq!(read, completion);
    }
}

#[tokio::test]
async fn processes_are_dealt_round_the_urls() {
    let hits = Arc::new(Mutex::new(Vec::new()));
    let start = |name: &'static str| {
        let hits = hits.clone();
        Server::start(move |_| {
            hits.lock().unwrap().push(name);
            Reply::Answer(200, "", task("succeeded"))
        })
    };
    let (a, b) = (start("a").await, start("b").await);
    let config = HttpConfig {
        urls: vec![a.url(), b.url()],
        ..config(&a.url())
    };
    let clients = HttpClients::new(&config, documents()).unwrap();
    for process in 0..3 {
        clients.client(process).invoke(&put(1)).await;
    }
    assert_eq!(*hits.lock().unwrap(), ["a", "b", "a"]);
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Clients of two front nodes; time runs out soon.
fn of_two(first: &str, second: &str) -> HttpClient {
    let config = HttpConfig {
        urls: vec![first.to_owned(), second.to_owned()],
        timeout: HumanDuration::from_secs(5),
        ..config(first)
    };
    HttpClients::new(&config, documents()).unwrap().client(0)
}

#[tokio::test]
async fn after_a_refused_connection_a_process_goes_on_with_the_next_node() {
    let server = Server::start(|_| Reply::Answer(200, "", task("succeeded"))).await;
    let mut client = of_two(&nobody(), &server.url());
    assert_eq!(
        client.invoke(&put(1)).await,
        failed("connect: connection refused"),
        "the operation itself is not sent to another node"
    );
    assert_eq!(client.invoke(&put(2)).await, done());
    assert_eq!(client.invoke(&put(3)).await, done());
}

#[tokio::test]
async fn after_a_time_out_a_process_goes_on_with_the_next_node_and_repeats_nothing() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = keys.clone();
    let server = Server::start(move |request| {
        seen.lock().unwrap().push(request.body[0]["id"].clone());
        Reply::Answer(200, "", task("succeeded"))
    })
    .await;
    let silent = Server::start(|_| Reply::Hang).await;
    let mut client = of_two(&silent.url(), &server.url());
    assert_eq!(client.invoke(&put(1)).await, indeterminate("timed out"));
    assert_eq!(client.invoke(&put(2)).await, done());
    assert_eq!(*keys.lock().unwrap(), [json!(document_id(2))]);
}

#[tokio::test]
async fn an_answer_with_an_error_leaves_a_process_at_its_node() {
    let hits = Arc::new(AtomicU64::new(0));
    let counter = hits.clone();
    let server = Server::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Reply::Answer(503, "", json!({}))
    })
    .await;
    let mut client = of_two(&server.url(), &nobody());
    for key in 0..3 {
        assert_eq!(client.invoke(&put(key)).await, indeterminate("http 503"));
    }
    assert_eq!(hits.load(Ordering::SeqCst), 3);
}
