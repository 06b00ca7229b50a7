//! The router's admin API, under `/_miroir/`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::config::Member;
use super::status::{describe, groups, migrations, placement, routing, shards, status};
use super::stuck;
use crate::coordinator::{self, GroupRequest, Removed, StartRequest};
use crate::wire::document::parse_id;
use crate::wire::error::ApiError;
use crate::wire::message::parse_body;

type Body = Result<Bytes, BytesRejection>;
type Shared = State<Arc<Cluster>>;

/// All admin routes.
pub(crate) fn routes(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/_miroir/health", get(health))
        .route("/_miroir/status", view(status))
        .route("/_miroir/placement", view(placement))
        .route("/_miroir/shards", view(shards))
        .route("/_miroir/digest", view(|c| c.state.digest()))
        .route("/_miroir/nodes", get(nodes).post(add_node))
        .route("/_miroir/nodes/{name}", delete(remove_node))
        .route("/_miroir/groups", view(groups).post(add_group))
        .route("/_miroir/groups/{name}", delete(remove_group))
        .route("/_miroir/routing/{key}", get(routing_of))
        .route("/_miroir/writes", get(writes))
        .route("/_miroir/writes/fail", post(fail_writes))
        .route("/_miroir/migrations", view(migrations).post(start))
        .route("/_miroir/migrations/{id}", get(migration))
        .route("/_miroir/migrations/{id}/cutover", post(cutover))
        .route("/_miroir/migrations/{id}/abort", post(abort))
        .route("/_miroir/migrations/{id}/rollback", post(rollback))
        .with_state(cluster)
}

fn view(of: fn(&Cluster) -> Value) -> axum::routing::MethodRouter<Arc<Cluster>> {
    get(move |State(cluster): Shared| async move { Json(of(&cluster)) })
}

async fn health(State(cluster): Shared) -> Result<Json<Value>, ApiError> {
    cluster
        .check_serving()
        .map(|()| Json(json!({"status": "available"})))
}

async fn nodes(State(cluster): Shared) -> Json<Value> {
    let nodes: Vec<Member> = cluster
        .state
        .read(|s| s.nodes.iter().map(Member::shown).collect());
    Json(json!({ "nodes": nodes }))
}

async fn add_node(State(cluster): Shared, body: Body) -> Result<Response, ApiError> {
    let member: Member = parse_body(&body?)?;
    coordinator::add_node(&cluster, &member)?;
    Ok((StatusCode::CREATED, Json(member.shown())).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HowQuery {
    #[serde(default)]
    manual_cutover: bool,
}

type HowResult = Result<Query<HowQuery>, QueryRejection>;

async fn remove_node(
    State(cluster): Shared,
    Path(name): Path<String>,
    how: HowResult,
) -> Result<Response, ApiError> {
    let manual = how?.manual_cutover;
    let removed = coordinator::remove_node(&cluster, &name, manual).await?;
    Ok(removal(removed))
}

async fn add_group(State(cluster): Shared, body: Body) -> Result<Response, ApiError> {
    let request: GroupRequest = parse_body(&body?)?;
    let id = coordinator::add_group(&cluster, &request).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response())
}

async fn remove_group(
    State(cluster): Shared,
    Path(name): Path<String>,
    how: HowResult,
) -> Result<Response, ApiError> {
    let manual = how?.manual_cutover;
    let removed = coordinator::remove_group(&cluster, &name, manual).await?;
    Ok(removal(removed))
}

fn removal(removed: Removed) -> Response {
    match removed {
        Removed::Now => Json(json!({"removed": true})).into_response(),
        Removed::By(id) => (StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response(),
    }
}

async fn routing_of(
    State(cluster): Shared,
    Path(key): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let key = parse_id(&Value::String(key))?;
    Ok(Json(routing(&cluster, &key)))
}

async fn writes(
    State(cluster): Shared,
    query: Result<Query<stuck::ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(stuck::list(&cluster, &query?.0)))
}

async fn fail_writes(State(cluster): Shared, body: Body) -> Result<Json<Value>, ApiError> {
    let request: stuck::FailRequest = parse_body(&body?)?;
    stuck::fail(&cluster, &request).map(Json)
}

async fn start(State(cluster): Shared, body: Body) -> Result<Response, ApiError> {
    let request: StartRequest = parse_body(&body?)?;
    let id = coordinator::start(&cluster, &request).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response())
}

async fn migration(State(cluster): Shared, Path(id): Path<u64>) -> Result<Json<Value>, ApiError> {
    let found = cluster.state.migration(id);
    found.map(|m| Json(describe(&cluster, &m))).ok_or_else(|| {
        ApiError::not_found("migration_not_found", format!("there is no migration {id}"))
    })
}

async fn cutover(State(cluster): Shared, Path(id): Path<u64>) -> Result<Response, ApiError> {
    coordinator::cutover(&cluster, id)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response())
}

async fn abort(State(cluster): Shared, Path(id): Path<u64>) -> Result<Response, ApiError> {
    coordinator::abort(&cluster, id).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))).into_response())
}

async fn rollback(
    State(cluster): Shared,
    Path(id): Path<u64>,
    how: HowResult,
) -> Result<Response, ApiError> {
    let manual = how?.manual_cutover;
    let done = coordinator::rollback(&cluster, id, manual).await?;
    Ok((StatusCode::ACCEPTED, Json(done)).into_response())
}
