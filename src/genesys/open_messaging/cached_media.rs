//! What Genesys keeps of a hosted file: found by the file's address, deleted until nothing is left.

use bytes::Bytes;
use serde_json::Value;

use super::super::api::{Api, encoded};
use super::super::transport::{Call, CallName, Method};
use super::answers;
use crate::domain::{Copy, PurgeOutcome};

/// Items asked for at a time. One address has one item, or none.
const PAGE_SIZE: usize = 25;
/// Deletion is asynchronous: when to look whether it has happened.
const LOOK_AGAIN_MS: u64 = 5_000;
/// What listing needs.
pub(super) const VIEW: &str = "conversation:cachedMedia:view";

/// Deletes what is listed for this address. Gone is what a list proves that has nothing in it.
pub(super) async fn purge(api: &Api, copy: &Copy, url: &str) -> PurgeOutcome {
    let base = format!("{}/api/v2/conversations/messages/cachedmedia", api.base_url);
    let list = format!("{base}?url={}&pageSize={PAGE_SIZE}&pageNumber=1", encoded(url));
    let list = api.call(call(CallName::CachedMedia, Method::Get, list, copy)).await;
    let items = match answers::json(list, VIEW) {
        Ok(listing) => item_ids(&listing),
        Err(failure) => return PurgeOutcome::Later(failure),
    };
    let Some(items) = items else {
        let detail = "the list of cached media has no entities".to_owned();
        return PurgeOutcome::Later(answers::later(detail, LOOK_AGAIN_MS));
    };
    if items.is_empty() {
        return PurgeOutcome::Gone;
    }
    for id in &items {
        let item = format!("{base}/{}", encoded(id));
        let deleted = api.call(call(CallName::Delete, Method::Delete, item, copy)).await;
        if let Err(failure) = answers::deleted(deleted) {
            return PurgeOutcome::Later(failure);
        }
    }
    let detail = format!("{} cached items are being deleted", items.len());
    PurgeOutcome::UnderWay(answers::later(detail, LOOK_AGAIN_MS))
}

/// The ids in a list; `None` where it is no list, or an item has no id that could be deleted.
fn item_ids(listing: &Value) -> Option<Vec<String>> {
    listing["entities"].as_array()?.iter().map(|item| answers::text(item, "id")).collect()
}

fn call(name: CallName, method: Method, url: String, copy: &Copy) -> Call {
    Call { name, method, url, headers: Vec::new(), due_at: copy.due_at, body: Bytes::new() }
}
