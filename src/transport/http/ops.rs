//! For those who run the machine: metrics, whether the process lives, whether it decides. Nothing here tells a secret, or
//! what a problem is in words: only its code. Bodies of requests are never read.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::authenticate::Gate;
use crate::transport::plugin::lifecycle::Lifecycle;

/// What is told about.
pub struct Ops {
    /// Decides, and counts.
    pub gate: Arc<Gate>,
    /// The process.
    pub lifecycle: Arc<dyn Lifecycle>,
}

/// The answers.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .method_not_allowed_fallback(other_method)
        .fallback(nothing)
        .with_state(Arc::new(ops))
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    answer(StatusCode::OK, kind, ops.gate.metrics().render())
}

/// That the process answers at all; how it is, is in the answer. Restarting one that denies helps nobody.
async fn healthz(State(ops): State<Arc<Ops>>) -> Response {
    json(StatusCode::OK, &json!({ "status": ops.lifecycle.health().status }))
}

/// Whether to send requests here.
async fn readyz(State(ops): State<Arc<Ops>>) -> Response {
    let health = ops.lifecycle.health();
    let status = if ops.gate.is_open() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let codes: Vec<&str> = health.problems.iter().map(|problem| problem.code).collect();
    json(status, &json!({ "status": health.status, "problems": codes }))
}

async fn nothing() -> Response {
    problem(StatusCode::NOT_FOUND, "GET /metrics, /healthz and /readyz are answered here")
}

async fn other_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here")
}

/// As in RFC 9457.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let told = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    answer(status, "application/problem+json", told.to_string())
}

fn json(status: StatusCode, told: &Value) -> Response {
    answer(status, "application/json", told.to_string())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body).into_response()
}
