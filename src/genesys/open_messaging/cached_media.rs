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
        Ok(listing) => item_ids(&listing, url),
        Err(failure) => return PurgeOutcome::Later(failure),
    };
    let items = match items {
        Ok(items) => items,
        Err(detail) => {
            return PurgeOutcome::Later(answers::later(detail.to_owned(), LOOK_AGAIN_MS));
        }
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

/// The ids in a list of what this address has; or why it is no such list. Items of other addresses
/// are left alone: a list that has only those was not made for this one, and proves nothing.
fn item_ids(listing: &Value, url: &str) -> Result<Vec<String>, &'static str> {
    let items = listing["entities"].as_array();
    let items = items.ok_or("the list of cached media has no entities")?;
    // The last segment is signed: nobody else's address has it, however the rest is written.
    let segment = url.rsplit('/').next().unwrap_or(url);
    let is_ours = |item: &&Value| item["url"].as_str().is_none_or(|of| of.contains(segment));
    let ours: Vec<&Value> = items.iter().filter(is_ours).collect();
    if ours.is_empty() && !items.is_empty() {
        return Err("the list of cached media is one of other addresses");
    }
    let ids = ours.into_iter().map(|item| answers::text(item, "id"));
    ids.collect::<Option<_>>().ok_or("an item in the list of cached media has no id")
}

fn call(name: CallName, method: Method, url: String, copy: &Copy) -> Call {
    Call { name, method, url, headers: Vec::new(), due_at: copy.due_at, body: Bytes::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_this_address_has_is_deleted() {
        let ids =
            |items: Value| item_ids(&json!({ "entities": items }), "https://gw/media/signed.ogg");
        let ours = json!({ "id": "1", "url": "https://gw/media/signed.ogg" });
        let foreign = json!({ "id": "2", "url": "https://elsewhere/b" });
        assert_eq!(ids(json!([])), Ok(vec![]));
        assert_eq!(ids(json!([{ "id": "3" }])), Ok(vec!["3".to_owned()]));
        assert_eq!(ids(json!([foreign, ours])), Ok(vec!["1".to_owned()]));
        let other_case = json!({ "id": "4", "url": "HTTPS://GW:443/media/signed.ogg" });
        assert_eq!(ids(json!([other_case])), Ok(vec!["4".to_owned()]));
        assert!(ids(json!([foreign])).is_err(), "no proof that ours is gone");
        assert!(ids(json!([{ "url": "https://gw/media/signed.ogg" }])).is_err());
        assert!(item_ids(&json!({}), "https://gw/media/signed.ogg").is_err());
    }
}
