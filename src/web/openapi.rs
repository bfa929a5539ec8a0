//! `GET /openapi.json`: the public contract as OpenAPI 3.1. Paths and schemas stand in
//! `openapi.json` beside this file; the codes of the problems come from the one table.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::{ROWS, answers};

const TEXT: &str = include_str!("openapi.json");

/// Built once: whoever asks for it again and again costs no more than its bytes.
static DOCUMENT: LazyLock<Value> = LazyLock::new(build);

/// The document of this version.
pub fn document() -> &'static Value {
    &DOCUMENT
}

pub(super) async fn serve(request: HttpRequest) -> HttpResponse {
    answers::json(&request, StatusCode::OK, document())
}

fn build() -> Value {
    let mut document: Value =
        serde_json::from_str(TEXT).expect("the compiled-in document is tested to be JSON");
    document["info"]["version"] = Value::from(env!("CARGO_PKG_VERSION"));
    let codes = ROWS.iter().map(|row| Value::from(row.code.as_str())).collect();
    document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] =
        Value::Array(codes);
    document
}
