//! Erasing a guest, as operators order it. The sender stands in the body alone: paths are kept in
//! the audit, and perhaps in the logs of whoever stands between.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::admin::respond;
use super::orders::unreadable;
use super::{answers, problem};
use crate::domain::{Code, CopyState, ID_BYTES_MAX, Problem};
use crate::ledger::{CopyCount, Erasure, Subject};
use crate::pipeline::erasure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    sender_id: String,
    /// Who made the guest's tokens (`iss`), where no setting says so.
    #[serde(default)]
    issuer: Option<String>,
}

/// An erasure as it is told.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    erasure: Erasure,
    /// Nothing is left to be done.
    done: bool,
    /// Copies of which nobody can prove that they are gone.
    unproven: Vec<CopyCount>,
}

impl From<Erasure> for Told {
    fn from(erasure: Erasure) -> Told {
        let unproven = |copy: &&CopyCount| !matches!(copy.state, CopyState::Gone | CopyState::Owed);
        Told {
            done: erasure.messages_removed == erasure.messages_found,
            unproven: erasure.copies.iter().filter(unproven).cloned().collect(),
            erasure,
        }
    }
}

/// `POST /admin/erasures` with `{"sender_id":"…"}`: everything of this guest goes. 202: that is
/// durable, and some of it is still on its way.
pub(super) async fn begin(
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let site = answers::site(&request);
    let erased = async {
        let Order { sender_id, issuer } = read(&body.map_err(unreadable)?)?;
        let principals = site.access.principals_of(&sender_id, issuer.as_deref());
        let principals = principals.into_iter().collect();
        let subject = Subject { sender_id, principals, ..Subject::default() };
        site.pipeline.erase(&*site.erasures, subject).await
    };
    match erased.await.map(Told::from) {
        Ok(told) => {
            let status = if told.done { StatusCode::OK } else { StatusCode::ACCEPTED };
            tracing::warn!(
                erasure = %told.erasure.id,
                messages = told.erasure.messages_found,
                "a guest is erased by an operator"
            );
            answers::json(&request, status, &told)
        }
        Err(refusal) => problem::respond(&request, refusal),
    }
}

/// `GET /admin/erasures/{id}`: how far it has come.
pub(super) async fn show(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let found = async {
        let unknown = || Problem::new(Code::MessageNotFound, "there is no erasure of this id");
        let id = Uuid::try_parse(&id).map_err(|_| unknown())?;
        erasure(&*site.erasures, id).await
    };
    respond(&request, found.await.map(Told::from))
}

/// What is wrong is told without the sender.
fn read(body: &[u8]) -> Result<Order, Problem> {
    let order: Order = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let detail = format!("the body is no {{\"sender_id\": \"…\"}}: {place}");
        Problem::new(Code::MalformedRequest, detail)
    })?;
    let bytes = order.sender_id.len();
    if order.sender_id.trim().is_empty() || bytes > ID_BYTES_MAX {
        let detail = format!("the sender id has {bytes} bytes, not 1 to {ID_BYTES_MAX}");
        return Err(Problem::new(Code::InvalidField, detail)
            .with("limit", ID_BYTES_MAX)
            .with("actual", bytes));
    }
    Ok(order)
}
