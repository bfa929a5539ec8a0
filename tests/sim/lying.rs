//! Where copies lie after a run, and until when each was there: the same questions for each route.

use futures_util::FutureExt;
use voicepost::domain::{CopyKind, MessageId, Record, RouteName};
use voicepost::hosted::file_of;
use voicepost::sandbox::{Post, Sandbox};
use voicepost::spool::Spool;

use crate::way::file_at;
use crate::world::World;

/// Copies that are still there: what they are, and of which message. `None`: of none.
pub fn alive(
    world: &World,
    sandbox: &Sandbox,
    records: &[(usize, Record)],
) -> Vec<(CopyKind, Option<usize>)> {
    match world.plan.route {
        RouteName::MediaApi => {
            let uploads = sandbox.account().uploads().iter();
            let alive = uploads.filter(|upload| upload.deleted_at_ms.is_none());
            let number = |name: &str| name.strip_prefix('m')?.strip_suffix(".ogg")?.parse().ok();
            alive.map(|upload| (CopyKind::UploadedMedia, number(&upload.file_name))).collect()
        }
        RouteName::OpenMessaging => {
            let files = world.files.list().now_or_never().expect("memory answers at once");
            let files = files.expect("it can be listed").into_iter();
            let hosted = files.map(|file| (CopyKind::HostedFile, owner(records, file)));
            let items = sandbox.cached_items().iter();
            let items = items.filter(|item| item.delete_asked_at_ms.is_none());
            let cached =
                items.map(|item| (CopyKind::CachedMedia, owner(records, file_at(&item.url))));
            hosted.chain(cached).collect()
        }
    }
}

/// The message that this hosted file was made for.
fn owner(records: &[(usize, Record)], file: MessageId) -> Option<usize> {
    let made = |record: &Record| (0..=record.copies.len()).any(|n| file_of(record.id, n) == file);
    records.iter().find(|(_, record)| made(record)).map(|(number, _)| *number)
}

/// When what a post names went, copy by copy, in Unix milliseconds. What is there is left out.
pub fn ends(world: &World, sandbox: &Sandbox, post: &Post) -> Vec<i64> {
    match world.plan.route {
        RouteName::MediaApi => {
            let upload = sandbox.account().upload(&post.media_id).expect("it was uploaded");
            upload.deleted_at_ms.into_iter().collect()
        }
        RouteName::OpenMessaging => {
            let shown = sandbox.open_message_shown(&post.message_id).expect("it was posted");
            let url = shown["content"][0]["attachment"]["url"].as_str().expect("an address");
            let items = sandbox.cached_items().iter().filter(|item| item.url == url);
            let file = world.files.removed_at(file_at(url)).map(|at| at.0);
            items.filter_map(|item| item.delete_asked_at_ms).chain(file).collect()
        }
    }
}
