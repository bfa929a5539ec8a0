//! The route of a plan: planner, calls, and the media host where it has one.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use voicepost::actors::MakeRoute;
use voicepost::clock::Clock;
use voicepost::domain::{MessageId, Origin, RouteName, UnixMs};
use voicepost::genesys::api::Api;
use voicepost::genesys::media_api::{MediaApiPlanner, MediaApiRoute, MediaApiRules};
use voicepost::genesys::open_messaging::{
    OpenMessagingPlanner, OpenMessagingRoute, OpenMessagingRules,
};
use voicepost::genesys::{Planner, Route};
use voicepost::hosted::{Hosted, LinkKey};
use voicepost::sandbox::SandboxSettings;
use voicepost::settings::UploadBody;
use voicepost::spool::memory::MemorySpool;
use voicepost::spool::{Spool, SpoolError, SpoolWriter};

use crate::process::KEEPING;
use crate::world::World;

pub const HOST: &str = "http://sandbox";
pub const CLIENT: &str = "sandbox-client";
/// Start of the address of every hosted file.
const PUBLIC_URL: &str = "http://gateway";
const PLACEHOLDER: &str = "Audio message sent by guest";
/// Longer than any run.
const LINK_SECONDS: u64 = 10 * 86_400;

fn origin() -> Origin {
    Origin { host: HOST.to_owned(), client: CLIENT.to_owned() }
}

/// The pure half of the plan's route.
pub fn planner(world: &World) -> Arc<dyn Planner> {
    match world.plan.route {
        RouteName::MediaApi => Arc::new(MediaApiPlanner::new(MediaApiRules {
            placeholder: PLACEHOLDER.to_owned(),
            media_url_seconds_max: 600,
            origin: origin(),
        })),
        RouteName::OpenMessaging => {
            let rules = OpenMessagingRules {
                placeholder: PLACEHOLDER.to_owned(),
                integration_id: SandboxSettings::default().integration_id,
                public_url: PUBLIC_URL.to_owned(),
                link_seconds: LINK_SECONDS,
                serve_seconds: KEEPING.ttl_seconds,
                origin: origin(),
            };
            Arc::new(OpenMessagingPlanner::new(rules, world.hosted()))
        }
    }
}

/// What makes the calling half.
pub fn factory(world: &World) -> MakeRoute {
    let (name, hosted) = (world.plan.route, world.hosted());
    Box::new(move |transport, tokens, gate| -> Rc<dyn Route> {
        let api = Api { base_url: HOST.to_owned(), transport, tokens, gate };
        match name {
            RouteName::MediaApi => Rc::new(MediaApiRoute::new(api, origin(), UploadBody::Raw)),
            RouteName::OpenMessaging => {
                let integration_id = SandboxSettings::default().integration_id;
                Rc::new(OpenMessagingRoute::new(api, origin(), integration_id, hosted, false))
            }
        }
    })
}

/// The file that a hosted address leads to.
pub fn file_at(url: &str) -> MessageId {
    let segment = url.strip_prefix(PUBLIC_URL).and_then(|path| path.strip_prefix("/media/"));
    let link = link_key().read(segment.expect("an address of ours")).expect("we signed it");
    link.file
}

/// The key of the addresses, the same in every process.
pub fn link_key() -> LinkKey {
    LinkKey::new(&[7; 32])
}

/// The media host's disk, and when each of its files went.
pub struct WatchedFiles {
    inner: MemorySpool,
    time: Mutex<Option<Clock>>,
    removed: Arc<Mutex<BTreeMap<MessageId, UnixMs>>>,
}

impl WatchedFiles {
    pub fn new() -> WatchedFiles {
        let inner = MemorySpool::new(64 * 1024 * 1024);
        WatchedFiles { inner, time: Mutex::default(), removed: Arc::default() }
    }

    /// The clock that removals are read from now on.
    pub fn watch_with(&self, time: Clock) {
        *self.time.lock().unwrap() = Some(time);
    }

    /// When a file went that was there.
    pub fn removed_at(&self, file: MessageId) -> Option<UnixMs> {
        self.removed.lock().unwrap().get(&file).copied()
    }
}

impl Spool for WatchedFiles {
    fn keep(&self, id: MessageId, clip: Bytes) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.removed.lock().unwrap().remove(&id);
        self.inner.keep(id, clip)
    }

    fn begin(&self, id: MessageId) -> BoxFuture<'static, Result<Box<dyn SpoolWriter>, SpoolError>> {
        self.inner.begin(id)
    }

    fn read(&self, id: MessageId) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        self.inner.read(id)
    }

    fn remove(&self, id: MessageId) -> BoxFuture<'static, Result<(), SpoolError>> {
        let now = self.time.lock().unwrap().as_ref().map(Clock::now);
        self.removed.lock().unwrap().entry(id).or_insert(now.expect("a process runs"));
        self.inner.remove(id)
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<MessageId>, SpoolError>> {
        self.inner.list()
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn free_bytes(&self) -> Option<u64> {
        self.inner.free_bytes()
    }
}

/// The media host over these files.
pub fn hosted(files: Arc<WatchedFiles>) -> Hosted {
    Hosted::new(files, link_key())
}
