//! What is answered where nothing is done: always JSON, so that whoever reads it by a program need not guess.

use axum::Json;
use axum::extract::Request;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::api::Refusal;

/// Not done, for this reason.
pub(super) fn refuse(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(Refusal { error: error.into() })).into_response()
}

/// Nobody is there any more who could do it.
pub(super) fn ending() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is about to end")
}

/// The words after the question mark are not right.
pub(super) fn malformed(fault: &QueryRejection) -> Response {
    refuse(StatusCode::BAD_REQUEST, fault.body_text())
}

/// What was sent is not right.
pub(super) fn unread(fault: &JsonRejection) -> Response {
    refuse(fault.status(), fault.body_text())
}

pub(super) async fn no_such_path(request: Request) -> Response {
    refuse(StatusCode::NOT_FOUND, format!("there is nothing at {}", request.uri().path()))
}

pub(super) async fn no_such_method(method: Method, request: Request) -> Response {
    let path = request.uri().path();
    refuse(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not for {path}; Allow says what is"))
}
