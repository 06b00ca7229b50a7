//! Final reads against servers that hold known documents, and against such that fail.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::scripted_server::{Reply, Request, Server};
use serde_json::{Value, json};
use shakedown_checker::history::{Observation, Placement, Seen};
use shakedown_workloads::documents::final_read::{
    FinalReadConfig, FinalReader, NodePlacement, PlacementTable, ReadError,
};
use shakedown_workloads::documents::{Documents, PayloadRange, document_id};
use shakedown_workloads::operation::Write;

fn documents() -> Documents {
    Documents::new(1, PayloadRange::default())
}

fn reader(attempts: u32) -> FinalReader {
    let config = FinalReadConfig {
        index: "docs".to_owned(),
        timeout: Duration::from_secs(20),
        attempts,
        ..FinalReadConfig::default()
    };
    FinalReader::new(&config, documents()).unwrap()
}

fn document(key: i64, version: i64) -> Value {
    documents().document(Write { key, version })
}

async fn routed(server: &Server, attempts: u32, keys: &[i64]) -> Vec<Observation> {
    let mut rows = Vec::new();
    let emit = |row| {
        rows.push(row);
        Ok::<_, Infallible>(())
    };
    reader(attempts)
        .routed(3, &server.url(), keys, emit)
        .await
        .unwrap();
    rows
}

async fn direct(server: &Server, placement: Option<&NodePlacement>) -> Vec<Observation> {
    let mut rows = Vec::new();
    let emit = |row| {
        rows.push(row);
        Ok::<_, Infallible>(())
    };
    reader(2)
        .direct(4, &server.url(), placement, emit)
        .await
        .unwrap();
    rows
}

fn asked(request: &Request) -> Vec<String> {
    serde_json::from_value(request.body["ids"].clone()).unwrap()
}

/// Documents of a page, by the query of the request.
fn page(request: &Request, all: &[Value]) -> Value {
    let number = |name: &str| -> usize {
        let (_, rest) = request.line.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().parse().unwrap()
    };
    let (limit, offset) = (number("limit"), number("offset"));
    let results: Vec<&Value> = all.iter().skip(offset).take(limit).collect();
    json!({ "results": results, "limit": limit, "offset": offset, "total": all.len() })
}

fn closing(rows: &[Observation]) -> &Seen {
    let last = rows
        .iter()
        .filter(|row| matches!(row.seen, Seen::End | Seen::Failed { .. }));
    assert_eq!(last.count(), 1, "exactly one closing row");
    &rows.last().unwrap().seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_is_asked_for_in_chunks_and_gets_its_row() {
    // Every third document is gone, one is changed.
    let server = Server::start(|request| {
        assert_eq!(request.line, "POST /indexes/docs/documents/fetch");
        let ids = asked(&request);
        assert!(ids.len() <= 500 && request.body["limit"] == ids.len());
        let held = ids
            .iter()
            .map(|id| id[1..].parse::<i64>().unwrap())
            .filter(|key| key % 3 != 0);
        let documents = held.map(|key| {
            let mut document = document(key, key + 1);
            if key == 7 {
                document["payload"] = json!("?");
            }
            document
        });
        Reply::Answer(200, "", json!({ "results": documents.collect::<Vec<_>>() }))
    })
    .await;
    let keys: Vec<i64> = (0..5_200).rev().collect();
    let mut rows = routed(&server, 1, &keys).await;
    assert_eq!(*closing(&rows), Seen::End);
    rows.pop();
    assert!(
        rows.iter()
            .all(|row| row.source == 3 && row.placement == Placement::Routed)
    );
    let mut seen: Vec<(i64, Option<i64>)> = rows
        .iter()
        .map(|row| match &row.seen {
            Seen::Version { key, version } => (*key, Some(*version)),
            Seen::Absent { key } => (*key, None),
            Seen::Corrupt { key, .. } => (*key, Some(-1)),
            other => panic!("{other:?}"),
        })
        .collect();
    seen.sort_unstable();
    let expected = (0..5_200).map(|key| match key {
        7 => (7, Some(-1)),
        key if key % 3 == 0 => (key, None),
        key => (key, Some(key + 1)),
    });
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_what_does_not_pass_fails_the_source() {
    for (troubles, complete) in [(2, true), (3, false)] {
        let requests = AtomicU64::new(0);
        let server = Server::start(move |_| match requests.fetch_add(1, Ordering::SeqCst) {
            n if n >= troubles => Reply::Answer(200, "", json!({ "results": [document(1, 2)] })),
            0 => Reply::Answer(503, "", json!({})),
            1 => Reply::Reset,
            _ => Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"results\":[]}"),
        })
        .await;
        let rows = routed(&server, 3, &[1]).await;
        match closing(&rows) {
            Seen::End => assert!(complete && rows.len() == 2, "{rows:?}"),
            Seen::Failed { error } => {
                assert!(!complete && rows.len() == 1, "{rows:?}");
                assert!(
                    error.contains("the answer was cut short (3 attempts)"),
                    "{error}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_right_fails_the_source() {
    for (status, body, expected) in [
        (404, json!({}), "http 404"),
        (200, json!({ "documents": [] }), "the answer has no results"),
        (
            200,
            json!({ "results": [document(2, 1)] }),
            "was not asked for",
        ),
    ] {
        let server = Server::start(move |_| Reply::Answer(status, "", body.clone())).await;
        let rows = routed(&server, 5, &[1]).await;
        match closing(&rows) {
            Seen::Failed { error } => assert!(error.contains(expected), "{error}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(rows.len(), 1, "no key counts as absent: {rows:?}");
    }
}

#[tokio::test]
async fn an_index_that_does_not_exist_holds_nothing() {
    let server =
        Server::start(|_| Reply::Answer(404, "", json!({ "code": "index_not_found" }))).await;
    let rows = routed(&server, 1, &[5]).await;
    assert_eq!(rows[0].seen, Seen::Absent { key: 5 });
    assert_eq!(*closing(&rows), Seen::End);
    let rows = direct(&server, None).await;
    assert_eq!((rows.len(), closing(&rows)), (1, &Seen::End));
}

#[tokio::test]
async fn a_node_is_listed_to_its_end_and_each_document_placed() {
    let table = json!({
        "shard_field": "_shard",
        "shards": [
            { "shard": 0, "owners": ["10.0.0.1:7700", "10.0.0.2:7700"] },
            { "shard": 1, "owners": ["10.0.0.2:7700"], "former": ["10.0.0.1:7700"] },
            { "shard": 2, "owners": ["10.0.0.2:7700"], "former": [] },
        ],
        "epoch": 7,
    });
    let mut all: Vec<Value> = (0..2_500)
        .map(|key| {
            let mut document = document(key, 1);
            document["_shard"] = json!(key % 3);
            document
        })
        .collect();
    all[2_000].as_object_mut().unwrap().remove("_shard");
    all[2_001]["sum"] = json!("");
    all.push(json!({ "id": "theirs", "_shard": 0 }));
    let server = Server::start(move |request| match request.line.as_str() {
        "GET /placement" => Reply::Answer(200, "", table.clone()),
        _ => Reply::Answer(200, "", page(&request, &all)),
    })
    .await;
    let url = format!("{}/placement", server.url());
    let placement: PlacementTable = reader(1).placement(&url).await.unwrap();
    let rows = direct(&server, Some(&placement.for_node("10.0.0.1:7700"))).await;
    assert_eq!(rows.len(), 2_502);
    assert_eq!(*closing(&rows), Seen::End);
    let found = |at: usize| (rows[at].placement, rows[at].seen.clone());
    let version = |key| Seen::Version { key, version: 1 };
    assert_eq!(found(0), (Placement::Owner, version(0)));
    assert_eq!(found(1), (Placement::FormerOwner, version(1)));
    assert_eq!(found(2), (Placement::Stranger, version(2)));
    assert_eq!(found(2_000), (Placement::Stranger, version(2_000)));
    let detail = "the checksum is wrong".to_owned();
    assert_eq!(
        found(2_001),
        (Placement::Owner, Seen::Corrupt { key: 2_001, detail })
    );
    let id = "theirs".to_owned();
    assert_eq!(found(2_500), (Placement::Owner, Seen::Foreign { id }));
    let rows = direct(&server, None).await;
    assert!(
        rows.iter()
            .all(|row| row.placement == Placement::Owner && row.source == 4)
    );
}

#[tokio::test]
async fn a_placement_that_cannot_be_is_refused() {
    for (table, expected) in [
        (json!({ "shards": [] }), "shard_field"),
        (
            json!({ "shard_field": "s", "shards": [{ "shard": 1, "owners": [] }] }),
            "no owner",
        ),
        (
            json!({ "shard_field": "s", "shards": [
                { "shard": 1, "owners": ["a"] }, { "shard": 1, "owners": ["b"] },
            ] }),
            "listed twice",
        ),
    ] {
        let server = Server::start(move |_| Reply::Answer(200, "", table.clone())).await;
        let error = reader(1).placement(&server.url()).await.unwrap_err();
        assert!(matches!(error, ReadError::Form { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_listing_under_which_documents_move_is_begun_anew() {
    let all: Vec<Value> = (0..1_500).map(|key| document(key, 1)).collect();
    let requests = AtomicU64::new(0);
    let server = Server::start(move |request| {
        // One document goes away after the first page was read.
        let gone = usize::from(requests.fetch_add(1, Ordering::SeqCst) > 0);
        Reply::Answer(200, "", page(&request, &all[gone..]))
    })
    .await;
    let rows = direct(&server, None).await;
    assert_eq!(*closing(&rows), Seen::End);
    assert_eq!(rows.len(), 1_499 + 1);
    assert_eq!(rows[0].seen, Seen::Version { key: 1, version: 1 });
}

#[tokio::test]
async fn a_node_whose_documents_never_rest_fails() {
    let requests = AtomicU64::new(0);
    let server = Server::start(move |request| {
        let more = requests.fetch_add(1, Ordering::SeqCst) as i64;
        let all: Vec<Value> = (0..10 + more).map(|key| document(key, 1)).collect();
        Reply::Answer(200, "", page(&request, &all))
    })
    .await;
    let rows = direct(&server, None).await;
    match rows.as_slice() {
        [
            Observation {
                seen: Seen::Failed { error },
                ..
            },
        ] => {
            assert!(
                error.contains("documents changed while they were being listed"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_node_that_lists_a_key_twice_fails() {
    let twice = [document(1, 1), document(1, 2)];
    let server = Server::start(move |request| Reply::Answer(200, "", page(&request, &twice))).await;
    let rows = direct(&server, None).await;
    assert!(
        matches!(closing(&rows), Seen::Failed { error } if error.contains("key 1 was listed twice"))
    );
}

#[tokio::test]
async fn an_error_of_the_receiver_ends_the_read() {
    let server = Server::start(|request| {
        assert_eq!(asked(&request), [document_id(1)]);
        Reply::Answer(200, "", json!({ "results": [] }))
    })
    .await;
    let ended = reader(1)
        .routed(0, &server.url(), &[1], |_| Err("disk full"))
        .await;
    assert_eq!(ended, Err("disk full"));
}
