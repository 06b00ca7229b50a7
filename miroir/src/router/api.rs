//! The router's client API: Meilisearch's documents routes for one index.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::read;
use super::write::{Item, Kind, Written, write};
use crate::wire::canonical::{Canonical, Raw, reserved};
use crate::wire::document::parse_id;
use crate::wire::error::{ApiError, DEGRADED_HEADER, Outcome};
use crate::wire::message::{DeleteBatch, PageRequest, TaskSummary, parse_body};

type Body = Result<Bytes, BytesRejection>;
type Shared = State<Arc<Cluster>>;

/// All client routes.
pub(crate) fn routes(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/indexes/{index}/documents", post(replace).put(merge))
        .route("/indexes/{index}/documents/fetch", post(fetch))
        .route(
            "/indexes/{index}/documents/delete-batch",
            post(delete_batch),
        )
        .route(
            "/indexes/{index}/documents/{id}",
            get(get_one).delete(delete_one),
        )
        .with_state(cluster)
}

async fn replace(
    State(cluster): Shared,
    Path(index): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    upsert(&cluster, &index, Kind::Replace, body).await
}

async fn merge(
    State(cluster): Shared,
    Path(index): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    upsert(&cluster, &index, Kind::Merge, body).await
}

async fn upsert(
    cluster: &Arc<Cluster>,
    index: &str,
    kind: Kind,
    body: Body,
) -> Result<Response, ApiError> {
    let items = refused(documents(cluster, index, body))?;
    accepted(
        cluster,
        counted(cluster, kind, items).await?,
        "documentAdditionOrUpdate",
    )
}

async fn counted(
    cluster: &Arc<Cluster>,
    kind: Kind,
    items: Vec<Item>,
) -> Result<Written, ApiError> {
    let begun = Instant::now();
    let result = write(cluster, kind, items).await;
    let degraded = result.as_ref().is_ok_and(|w| !w.degraded.is_empty());
    cluster.metrics.write(&result, degraded, begun.elapsed());
    result
}

async fn delete_one(
    State(cluster): Shared,
    Path((index, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    delete(&cluster, &index, vec![Value::String(id)]).await
}

async fn delete_batch(
    State(cluster): Shared,
    Path(index): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let ids = refused(
        body.map_err(ApiError::from)
            .and_then(|b| match parse_body(&b)? {
                DeleteBatch::Ids(ids) => Ok(ids),
                DeleteBatch::Detailed(batch)
                    if batch.stamp.is_none() && batch.tombstones.is_empty() =>
                {
                    Ok(batch.ids)
                }
                DeleteBatch::Detailed(_) => Err(reserved("_miroir_updated_at")),
            }),
    )?;
    delete(&cluster, &index, ids).await
}

async fn delete(
    cluster: &Arc<Cluster>,
    index: &str,
    ids: Vec<Value>,
) -> Result<Response, ApiError> {
    let items = refused(check_index(cluster, index).and_then(|()| {
        ids.iter()
            .map(|v| {
                Ok(Item {
                    id: parse_id(v)?,
                    document: Canonical::default(),
                })
            })
            .collect::<Result<Vec<_>, ApiError>>()
    }))?;
    accepted(
        cluster,
        counted(cluster, Kind::Delete, items).await?,
        "documentDeletion",
    )
}

async fn get_one(
    State(cluster): Shared,
    Path((index, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    check_index(&cluster, &index)?;
    let id = parse_id(&Value::String(id))?;
    let (mut found, degraded) = read::by_ids(&cluster, std::slice::from_ref(&id)).await?;
    let document = found.pop().ok_or_else(|| {
        ApiError::not_found("document_not_found", format!("document `{id}` not found"))
    })?;
    Ok(marked(Json(document).into_response(), &degraded))
}

async fn fetch(
    State(cluster): Shared,
    Path(index): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    check_index(&cluster, &index)?;
    let request: PageRequest = parse_body(&body?)?;
    let ids = request
        .ids
        .ok_or_else(|| ApiError::bad_request("bad_request", "the router reads by `ids` only"))?;
    let ids = ids.iter().map(parse_id).collect::<Result<Vec<_>, _>>()?;
    let (results, degraded) = read::by_ids(&cluster, &ids).await?;
    let total = results.len();
    let page = json!({"results": results, "offset": 0, "limit": ids.len(), "total": total});
    Ok(marked(Json(page).into_response(), &degraded))
}

fn documents(cluster: &Cluster, index: &str, body: Body) -> Result<Vec<Item>, ApiError> {
    check_index(cluster, index)?;
    let body = body?;
    let documents: Vec<Raw<'_>> = parse_body(&body)?;
    documents
        .into_iter()
        .map(|document| {
            let (id, document) = document.read()?;
            Ok(Item { id, document })
        })
        .collect()
}

fn accepted(cluster: &Cluster, written: Written, kind: &str) -> Result<Response, ApiError> {
    let task = TaskSummary::succeeded(written.stamp, &cluster.config.index, kind);
    let answer = (StatusCode::ACCEPTED, Json(task)).into_response();
    Ok(marked(answer, &written.degraded))
}

/// Says which owners were not reached, though enough were.
fn marked(mut answer: Response, degraded: &BTreeSet<String>) -> Response {
    if degraded.is_empty() {
        return answer;
    }
    let names: Vec<&str> = degraded.iter().map(String::as_str).collect();
    // Names that do not fit into a header are not worth failing a write for.
    if let Ok(value) = HeaderValue::from_str(&names.join(",")) {
        answer.headers_mut().insert(DEGRADED_HEADER, value);
    }
    answer
}

fn check_index(cluster: &Cluster, index: &str) -> Result<(), ApiError> {
    if index == cluster.config.index {
        Ok(())
    } else {
        Err(ApiError::not_found(
            "index_not_found",
            format!("index `{index}` not found"),
        ))
    }
}

/// A write refused before anything was sent certainly has no effect.
fn refused<T>(result: Result<T, ApiError>) -> Result<T, ApiError> {
    result.map_err(|e| e.with_outcome(Outcome::None))
}
