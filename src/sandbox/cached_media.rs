//! `/api/v2/conversations/messages/cachedmedia`: what the platform keeps of media that lie
//! elsewhere. Found by address; deletion is taken on and happens a little later.

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};

use super::audio::query_value;
use super::core::{Call, Sandbox};
use super::open_messages::rfc3339;
use super::wire::{Problem, Reply};

pub(super) const PATH: &str = "/api/v2/conversations/messages/cachedmedia";
/// How long an item is still listed after its deletion was asked for.
const DELETE_TAKES_MS: i64 = 500;

/// One item.
#[derive(Clone, Debug, Serialize)]
pub struct CachedItem {
    /// Its id.
    pub id: String,
    /// The address it was fetched from.
    pub url: String,
    /// Its media type as the message said.
    pub media_type: String,
    /// When it was cached.
    pub cached_at_ms: i64,
    /// When its deletion was asked for.
    pub delete_asked_at_ms: Option<i64>,
}

/// All items there have been.
#[derive(Default)]
pub(super) struct CachedMedia {
    items: Vec<CachedItem>,
}

impl CachedItem {
    /// Whether it is still there.
    pub fn is_listed(&self, now_ms: i64) -> bool {
        self.delete_asked_at_ms.is_none_or(|asked_at| now_ms < asked_at + DELETE_TAKES_MS)
    }
}

impl CachedMedia {
    /// When the deletion of what an address leads to was asked for last.
    pub(super) fn deleted_at_ms(&self, url: &str) -> Option<i64> {
        let of_it = self.items.iter().filter(|item| item.url == url);
        of_it.filter_map(|item| item.delete_asked_at_ms).max()
    }

    /// Keeps what an address leads to; once, however many messages name it.
    pub(super) fn keep(&mut self, id: String, url: &str, media_type: &str, now_ms: i64) {
        if self.items.iter().any(|item| item.url == url && item.is_listed(now_ms)) {
            return;
        }
        self.items.push(CachedItem {
            id,
            url: url.to_owned(),
            media_type: media_type.to_owned(),
            cached_at_ms: now_ms,
            delete_asked_at_ms: None,
        });
    }
}

impl Sandbox {
    /// Items of the platform's media cache, those included that are deleted.
    pub fn cached_items(&self) -> &[CachedItem] {
        &self.cached_media.items
    }

    /// `GET …/cachedmedia?url=`.
    pub(super) fn list_cached_media(&self, call: &Call<'_>) -> Reply {
        let url = query_value(&call.request.query, "url");
        let url = url.map(|url| percent_decode_str(url).decode_utf8_lossy().into_owned());
        let wanted = |item: &&CachedItem| {
            item.is_listed(call.now_ms) && url.as_ref().is_none_or(|url| *url == item.url)
        };
        let entities: Vec<Value> = self
            .cached_media
            .items
            .iter()
            .filter(wanted)
            .map(|item| {
                json!({
                    "id": item.id,
                    "url": item.url,
                    "mediaType": item.media_type,
                    "dateCreated": rfc3339(item.cached_at_ms),
                    "selfUri": format!("{PATH}/{}", item.id),
                })
            })
            .collect();
        let total = entities.len();
        let page = json!({
            "entities": entities, "pageSize": 25, "pageNumber": 1, "pageCount": 1, "total": total,
        });
        Reply::json(200, &page)
    }

    /// `DELETE …/cachedmedia/{id}`.
    pub(super) fn delete_cached_media(&mut self, call: &Call<'_>) -> Result<Reply, Problem> {
        let id = call.request.path.strip_prefix(PATH).unwrap_or_default().trim_start_matches('/');
        let id = percent_decode_str(id).decode_utf8_lossy().into_owned();
        let listed = |item: &&mut CachedItem| item.id == id && item.is_listed(call.now_ms);
        match self.cached_media.items.iter_mut().find(listed) {
            Some(item) => {
                item.delete_asked_at_ms.get_or_insert(call.now_ms);
                Ok(Reply::new(202))
            }
            None => Err(Problem::not_found(format!("no cached media {id}"))),
        }
    }
}
