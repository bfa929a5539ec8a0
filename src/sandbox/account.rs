//! What reached the sandbox: every upload, post, retention call and deletion, and counts of calls.
//!
//! Tests assert on it, the page shows it. Times are Unix milliseconds here, RFC 3339 in JSON.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::core::Endpoint;

/// One clip that was uploaded.
#[derive(Clone, Debug, Serialize)]
pub struct Upload {
    /// The id its answer gave.
    pub media_id: String,
    /// The signed address its answer gave.
    pub media_url: String,
    /// `audio/mp3`, `audio/wav` or `audio/ogg`, as the upload said.
    pub media_type: String,
    /// The file name the upload gave.
    pub file_name: String,
    /// Size of the clip.
    pub bytes: usize,
    /// SHA-256 of the clip in hexadecimal; empty where hashing is off.
    pub sha256: String,
    /// When it arrived.
    #[serde(rename = "arrived_at", serialize_with = "rfc3339")]
    pub arrived_at_ms: i64,
    /// When `media_url` stops working.
    #[serde(rename = "url_expires_at", serialize_with = "rfc3339")]
    pub url_expires_at_ms: i64,
    /// When it was deleted.
    #[serde(rename = "deleted_at", serialize_with = "rfc3339_or_null")]
    pub deleted_at_ms: Option<i64>,
    /// Deletions asked for, those answered with trouble included.
    pub delete_attempts: u32,
    /// Posts that named it; more than one is a double in the conversation.
    pub posts: u32,
    /// The clip; empty once deleted, or where audio is not kept.
    #[serde(skip)]
    pub audio: Bytes,
}

/// One voice message that was posted into a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Post {
    /// The conversation.
    pub conversation_id: String,
    /// Who sent it there.
    pub sender_id: String,
    /// The clip; of an open message, the id its sender gave it.
    pub media_id: String,
    /// The text beside it.
    pub transcript: String,
    /// The id its answer gave.
    pub message_id: String,
    /// The call that brought it, counted from 1; messages of one batch share it.
    pub call: u64,
    /// When it arrived.
    #[serde(rename = "arrived_at", serialize_with = "rfc3339")]
    pub arrived_at_ms: i64,
}

/// One retention call that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// The clip.
    pub media_id: String,
    /// As sent, e.g. `15m`.
    pub duration: String,
    /// When it arrived.
    #[serde(rename = "arrived_at", serialize_with = "rfc3339")]
    pub arrived_at_ms: i64,
}

/// The counts alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Clips uploaded.
    pub uploads: usize,
    /// Their bytes.
    pub upload_bytes: u64,
    /// Clips not deleted yet.
    pub uploads_alive: usize,
    /// Clips deleted.
    pub deleted: usize,
    /// Voice messages posted.
    pub posts: usize,
    /// Posts of a clip that had been posted before.
    pub posts_repeated: usize,
    /// Retention calls accepted.
    pub retentions: usize,
    /// Tokens issued.
    pub tokens_issued: u64,
    /// Calls by endpoint, then by status; cut connections stand under `cut`.
    pub calls: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

/// All that reached a sandbox since its start or its last reset.
#[derive(Default)]
pub struct Account {
    uploads: Vec<Upload>,
    by_media_id: HashMap<String, usize>,
    posts: Vec<Post>,
    retentions: Vec<Retention>,
    calls: BTreeMap<(Endpoint, Option<u16>), u64>,
    upload_bytes: u64,
    deleted: usize,
    posts_repeated: usize,
    /// Ids that senders gave to messages whose media lie elsewhere.
    open_posts: HashSet<String>,
    tokens_issued: u64,
}

/// The JSON of the account: the counts, and the latest entries.
#[derive(Serialize)]
pub(super) struct AccountView<'a> {
    summary: Summary,
    #[serde(serialize_with = "rfc3339")]
    now: i64,
    uploads: Vec<&'a Upload>,
    posts: &'a [Post],
    retentions: &'a [Retention],
}

impl Account {
    /// Clips in the order of their arrival.
    pub fn uploads(&self) -> &[Upload] {
        &self.uploads
    }

    /// Voice messages in the order of their arrival.
    pub fn posts(&self) -> &[Post] {
        &self.posts
    }

    /// Accepted retention calls in the order of their arrival.
    pub fn retentions(&self) -> &[Retention] {
        &self.retentions
    }

    /// The clip with this id, deleted or not.
    pub fn upload(&self, media_id: &str) -> Option<&Upload> {
        self.by_media_id.get(media_id).and_then(|index| self.uploads.get(*index))
    }

    /// Calls of `endpoint` that were answered with `status`; `None` counts cut connections.
    pub fn calls(&self, endpoint: Endpoint, status: Option<u16>) -> u64 {
        self.calls.get(&(endpoint, status)).copied().unwrap_or(0)
    }

    /// The counts; as cheap for a million clips as for one.
    pub fn summary(&self) -> Summary {
        let mut calls: BTreeMap<&'static str, BTreeMap<String, u64>> = BTreeMap::new();
        for ((endpoint, status), count) in &self.calls {
            let status = status.map_or("cut".to_owned(), |status| status.to_string());
            calls.entry(endpoint.as_str()).or_default().insert(status, *count);
        }
        Summary {
            uploads: self.uploads.len(),
            upload_bytes: self.upload_bytes,
            uploads_alive: self.uploads.len() - self.deleted,
            deleted: self.deleted,
            posts: self.posts.len(),
            posts_repeated: self.posts_repeated,
            retentions: self.retentions.len(),
            tokens_issued: self.tokens_issued,
            calls,
        }
    }

    /// The counts and the `latest` entries of each list, with the clips of the posts among them.
    pub(super) fn view(&self, latest: usize, now_ms: i64) -> AccountView<'_> {
        let posts = tail(&self.posts, latest);
        let first = self.uploads.len().saturating_sub(latest);
        let posted = posts.iter().filter_map(|post| self.by_media_id.get(&post.media_id).copied());
        let mut indexes: Vec<usize> = (first..self.uploads.len()).chain(posted).collect();
        indexes.sort_unstable();
        indexes.dedup();
        AccountView {
            summary: self.summary(),
            now: now_ms,
            uploads: indexes.iter().filter_map(|index| self.uploads.get(*index)).collect(),
            posts,
            retentions: tail(&self.retentions, latest),
        }
    }

    pub(super) fn record_call(&mut self, endpoint: Endpoint, status: Option<u16>) {
        *self.calls.entry((endpoint, status)).or_default() += 1;
    }

    pub(super) fn record_token(&mut self) {
        self.tokens_issued += 1;
    }

    pub(super) fn record_upload(&mut self, upload: Upload) {
        self.upload_bytes += upload.bytes as u64;
        self.by_media_id.insert(upload.media_id.clone(), self.uploads.len());
        self.uploads.push(upload);
    }

    pub(super) fn record_post(&mut self, post: Post) {
        let repeated = match self.upload_mut(&post.media_id) {
            Some(upload) => {
                upload.posts += 1;
                upload.posts > 1
            }
            None => !self.open_posts.insert(post.media_id.clone()),
        };
        self.posts_repeated += usize::from(repeated);
        self.posts.push(post);
    }

    pub(super) fn record_retention(&mut self, retention: Retention) {
        self.retentions.push(retention);
    }

    pub(super) fn record_delete_attempt(&mut self, media_id: &str) {
        if let Some(upload) = self.upload_mut(media_id) {
            upload.delete_attempts += 1;
        }
    }

    /// Whether the clip was there to be deleted.
    pub(super) fn delete(&mut self, media_id: &str, now_ms: i64) -> bool {
        match self.upload_mut(media_id) {
            Some(upload) if upload.deleted_at_ms.is_none() => {
                upload.deleted_at_ms = Some(now_ms);
                upload.audio = Bytes::new();
                self.deleted += 1;
                true
            }
            _ => false,
        }
    }

    fn upload_mut(&mut self, media_id: &str) -> Option<&mut Upload> {
        let index = self.by_media_id.get(media_id)?;
        self.uploads.get_mut(*index)
    }
}

pub(super) fn tail<T>(list: &[T], latest: usize) -> &[T] {
    &list[list.len().saturating_sub(latest)..]
}

/// A time in JSON.
pub(super) fn rfc3339<S: Serializer>(at_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    rfc3339_or_null(&Some(*at_ms), serializer)
}

fn rfc3339_or_null<S: Serializer>(at_ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    let at = at_ms.and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
    match at {
        Some(at) => serializer.collect_str(&at),
        None => serializer.serialize_none(),
    }
}
