//! The stand-in's HTTP interface, with Meilisearch's answers and error codes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::filter::INVALID;
use super::{Document, Index, KEY, Shared, Task, Work};

type Answer = Result<Response, Refusal>;
type Params = Query<HashMap<String, String>>;
type Server = State<Arc<Shared>>;

/// An error answer.
pub(super) struct Refusal(StatusCode, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = if self.0.is_client_error() {
            "invalid_request"
        } else {
            "internal"
        };
        let link = format!("https://docs.meilisearch.com/errors#{}", self.1);
        let body = json!({"message": self.2, "code": self.1, "type": kind, "link": link});
        (self.0, Json(body)).into_response()
    }
}

fn refuse<T>(status: u16, code: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(
        StatusCode::from_u16(status).unwrap(),
        code,
        message.into(),
    ))
}

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/tasks", get(tasks))
        .route("/tasks/{uid}", get(task))
        .route("/indexes", post(create_index))
        .route("/indexes/{index}", patch(update_index).get(get_index))
        .route(
            "/indexes/{index}/settings/filterable-attributes",
            get(filterable).put(set_filterable),
        )
        .route("/indexes/{index}/documents", get(list).post(add).put(merge))
        .route("/indexes/{index}/documents/fetch", post(fetch))
        .route("/indexes/{index}/documents/delete", post(delete_by_filter))
        .route(
            "/indexes/{index}/documents/delete-batch",
            post(delete_batch),
        )
        .route("/indexes/{index}/documents/{id}", get(document))
        .layer(from_fn(authorize))
        .layer(DefaultBodyLimit::max(100 << 20))
        .with_state(shared)
}

async fn authorize(headers: HeaderMap, request: Request, next: Next) -> Response {
    match headers.get("authorization").map(|v| v.to_str().unwrap()) {
        None => Refusal(
            StatusCode::UNAUTHORIZED,
            "missing_authorization_header",
            "The Authorization header is missing.".to_owned(),
        )
        .into_response(),
        Some(v) if v == format!("Bearer {KEY}") => next.run(request).await,
        Some(_) => Refusal(
            StatusCode::FORBIDDEN,
            "invalid_api_key",
            "The provided API key is invalid.".to_owned(),
        )
        .into_response(),
    }
}

fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    match body {
        Ok(Json(body)) => Ok(body),
        Err(JsonRejection::JsonDataError(e)) => refuse(400, "bad_request", e.body_text()),
        Err(JsonRejection::MissingJsonContentType(e)) => {
            refuse(415, "missing_content_type", e.body_text())
        }
        Err(e) => refuse(400, "malformed_payload", e.body_text()),
    }
}

fn only(params: &Params, known: &[&str]) -> Result<(), Refusal> {
    match params.keys().find(|k| !known.contains(&k.as_str())) {
        Some(key) => refuse(400, "bad_request", format!("Unknown parameter `{key}`")),
        None => Ok(()),
    }
}

impl Shared {
    fn enqueue(&self, index: &str, kind: &str, work: Work) -> Answer {
        let mut state = self.state.lock().unwrap();
        state.tasks.push(Task {
            index: index.to_owned(),
            status: "enqueued",
            work,
            error: None,
            deleted: None,
        });
        let body = json!({
            "taskUid": state.tasks.len() - 1,
            "indexUid": index,
            "status": "enqueued",
            "type": kind,
            "enqueuedAt": "2026-01-01T00:00:00.000000Z",
        });
        Ok((StatusCode::ACCEPTED, Json(body)).into_response())
    }

    fn with<T>(
        &self,
        index: &str,
        f: impl FnOnce(&Index) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        match self.state.lock().unwrap().indexes.get(index) {
            Some(found) => f(found),
            None => refuse(
                404,
                "index_not_found",
                format!("Index `{index}` not found."),
            ),
        }
    }
}

fn shown(uid: usize, task: &Task) -> Value {
    let error = task.error.as_ref().map(|(code, message)| {
        json!({"message": message, "code": code, "type": "invalid_request", "link": ""})
    });
    json!({
        "uid": uid,
        "indexUid": task.index,
        "status": task.status,
        "error": error,
        "details": {"deletedDocuments": task.deleted},
        "canceledBy": null,
    })
}

async fn task(State(shared): Server, Path(uid): Path<usize>) -> Answer {
    match shared.state.lock().unwrap().tasks.get(uid) {
        Some(task) => Ok(Json(shown(uid, task)).into_response()),
        None => refuse(404, "task_not_found", format!("Task `{uid}` not found.")),
    }
}

async fn tasks(State(shared): Server, params: Params) -> Answer {
    only(&params, &["indexUids", "statuses", "limit"])?;
    let among = |name: &str, value: &str| {
        params
            .get(name)
            .is_none_or(|list| list.split(',').any(|one| one == value))
    };
    let limit: usize = params.get("limit").map_or(20, |l| l.parse().unwrap());
    let state = shared.state.lock().unwrap();
    let matching = state.tasks.iter().enumerate().rev();
    let matching = matching
        .filter(|(_, t)| among("indexUids", &t.index) && among("statuses", t.status))
        .map(|(uid, t)| shown(uid, t));
    let all: Vec<Value> = matching.collect();
    let page = &all[..limit.min(all.len())];
    Ok(Json(json!({"results": page, "total": all.len(), "limit": limit})).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewIndex {
    uid: String,
    primary_key: Option<String>,
}

async fn create_index(State(shared): Server, new: Result<Json<NewIndex>, JsonRejection>) -> Answer {
    let new = body(new)?;
    shared.enqueue(
        &new.uid,
        "indexCreation",
        Work::CreateIndex(new.primary_key),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangedIndex {
    primary_key: String,
}

async fn update_index(
    State(shared): Server,
    Path(index): Path<String>,
    changed: Result<Json<ChangedIndex>, JsonRejection>,
) -> Answer {
    let work = Work::SetPrimaryKey(body(changed)?.primary_key);
    shared.enqueue(&index, "indexUpdate", work)
}

async fn get_index(State(shared): Server, Path(index): Path<String>) -> Answer {
    shared.with(&index, |found| {
        Ok(Json(json!({"uid": index, "primaryKey": found.primary_key})).into_response())
    })
}

async fn filterable(State(shared): Server, Path(index): Path<String>) -> Answer {
    shared.with(&index, |found| Ok(Json(&found.filterable).into_response()))
}

async fn set_filterable(
    State(shared): Server,
    Path(index): Path<String>,
    attributes: Result<Json<Vec<Value>>, JsonRejection>,
) -> Answer {
    shared.enqueue(
        &index,
        "settingsUpdate",
        Work::SetFilterable(body(attributes)?),
    )
}

async fn add(
    State(shared): Server,
    Path(index): Path<String>,
    params: Params,
    documents: Result<Json<Vec<Document>>, JsonRejection>,
) -> Answer {
    accept(&shared, &index, &params, documents, false).await
}

async fn merge(
    State(shared): Server,
    Path(index): Path<String>,
    params: Params,
    documents: Result<Json<Vec<Document>>, JsonRejection>,
) -> Answer {
    accept(&shared, &index, &params, documents, true).await
}

async fn accept(
    shared: &Shared,
    index: &str,
    params: &Params,
    documents: Result<Json<Vec<Document>>, JsonRejection>,
    merge: bool,
) -> Answer {
    only(params, &["primaryKey"])?;
    let work = Work::Add {
        documents: body(documents)?,
        merge,
        primary_key: params.get("primaryKey").cloned(),
    };
    let before = shared.additions.fetch_add(1, Ordering::Relaxed);
    if before.is_multiple_of(2) {
        let stall = shared.stall_ms.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(stall)).await;
    }
    shared.enqueue(index, "documentAdditionOrUpdate", work)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Browse {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
    fields: Option<Vec<String>>,
    ids: Option<Vec<Value>>,
    filter: Option<Value>,
}

async fn fetch(
    State(shared): Server,
    Path(index): Path<String>,
    browse: Result<Json<Browse>, JsonRejection>,
) -> Answer {
    let browse = body(browse)?;
    if browse.ids.is_some() && !shared.fetches_ids {
        return refuse(
            400,
            "bad_request",
            "Unknown field `ids`: expected one of `offset`, `limit`, `fields`, `filter`",
        );
    }
    let answer = browse_index(&shared, &index, browse);
    let late = shared.late_ms.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(late)).await;
    answer
}

async fn list(State(shared): Server, Path(index): Path<String>, params: Params) -> Answer {
    only(&params, &["offset", "limit", "filter"])?;
    let number = |name: &str| params.get(name).map(|n| n.parse().unwrap());
    let browse = Browse {
        offset: number("offset").unwrap_or(0),
        limit: number("limit"),
        filter: params.get("filter").map(|f| json!(f)),
        ..Browse::default()
    };
    browse_index(&shared, &index, browse)
}

fn browse_index(shared: &Shared, index: &str, browse: Browse) -> Answer {
    shared.with(index, |found| {
        let mut numbers: Vec<u32> = match &browse.filter {
            Some(filter) => match found.matching(filter) {
                Ok(numbers) => numbers,
                Err(message) => return refuse(400, INVALID, message),
            },
            None => found.documents.keys().copied().collect(),
        };
        if let Some(ids) = &browse.ids {
            let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            let wanted: BTreeSet<u32> = ids
                .iter()
                .filter_map(|id| found.numbers.get(&text(id)).copied())
                .collect();
            numbers.retain(|n| wanted.contains(n));
        }
        let limit = browse.limit.unwrap_or(20);
        let shown = |n: &u32| {
            let mut document = found.documents[n].clone();
            // Never shown unless asked for.
            document.remove("_vectors");
            if let Some(fields) = &browse.fields {
                document.retain(|name, _| fields.contains(name));
            }
            document
        };
        let page: Vec<Document> = numbers
            .iter()
            .skip(browse.offset)
            .take(limit)
            .map(shown)
            .collect();
        let answer = json!({
            "results": page, "offset": browse.offset, "limit": limit, "total": numbers.len(),
        });
        Ok(Json(answer).into_response())
    })
}

async fn document(State(shared): Server, Path((index, id)): Path<(String, String)>) -> Answer {
    shared.with(&index, |found| match found.numbers.get(&id) {
        Some(number) => Ok(Json(&found.documents[number]).into_response()),
        None => refuse(
            404,
            "document_not_found",
            format!("Document `{id}` not found."),
        ),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByFilter {
    filter: Value,
}

async fn delete_by_filter(
    State(shared): Server,
    Path(index): Path<String>,
    by: Result<Json<ByFilter>, JsonRejection>,
) -> Answer {
    shared.enqueue(
        &index,
        "documentDeletion",
        Work::DeleteFilter(body(by)?.filter),
    )
}

async fn delete_batch(
    State(shared): Server,
    Path(index): Path<String>,
    ids: Result<Json<Vec<String>>, JsonRejection>,
) -> Answer {
    shared.enqueue(&index, "documentDeletion", Work::DeleteIds(body(ids)?))
}
