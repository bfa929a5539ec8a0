//! Everything that can be set, in typed sections: one file per section of `config.toml`.
//!
//! `config.toml` is compiled in: it is the default layer and the manual at once, and the list of
//! the keys there are. Layers, each over the one before: `config.toml`, the file given with
//! `--config`, the environment. Sections know their own ranges; what concerns two sections is
//! checked here. Nothing here reads a clock, opens a socket, or knows what the values are used for.

use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use crate::domain::RouteName;

mod admin;
mod audio;
mod auth;
mod check;
mod cors;
mod credentials;
mod delivery;
mod environment;
mod error;
mod genesys;
mod layers;
mod ledger;
mod limits;
mod live_secret;
mod log;
mod memory;
mod parse;
mod public;
mod purge;
mod quota;
mod secret;
mod secret_kind;
mod server;
mod spool;
mod tls;
mod transcript;

pub use admin::Admin;
pub use audio::{Audio, Convert};
pub use auth::Auth;
pub use cors::Cors;
pub use credentials::{AccessSecrets, Credentials};
pub use delivery::{Delivery, OnUnknown};
pub use environment::Environment;
pub use error::{Problem, SettingsError, Warning};
pub use genesys::{Genesys, MediaApi, OpenMessaging, UploadBody, is_loopback};
pub use layers::{Entry, Layers};
pub use ledger::{Ledger, LedgerUrl};
pub use limits::Limits;
pub use live_secret::{LiveSecret, Looked};
pub use log::{Log, LogFormat};
pub use memory::Memory;
pub use public::Public;
pub use purge::Purge;
pub use quota::Quota;
pub use secret::Secret;
pub use server::Server;
pub use spool::Spool;
pub use tls::Tls;
pub use transcript::TranscriptSettings;

use check::Check;

/// All settings of one gateway. Holds no secret: those are in [`Credentials`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where senders reach the gateway.
    pub server: Server,
    /// Where operators reach it.
    pub admin: Admin,
    /// Who may send.
    pub auth: Auth,
    /// How much callers may ask.
    pub quota: Quota,
    /// Pages of which origins may ask.
    pub cors: Cors,
    /// What it shows to callers, and whom it trusts when it calls.
    pub tls: Tls,
    /// Where others reach it.
    pub public: Public,
    /// The Genesys Cloud organisation behind it.
    pub genesys: Genesys,
    /// What a clip may be.
    pub limits: Limits,
    /// What becomes of clips that Genesys would not take.
    pub audio: Audio,
    /// How much memory clips may take.
    pub memory: Memory,
    /// How long and how often delivery is tried.
    pub delivery: Delivery,
    /// How uploaded audio is removed.
    pub purge: Purge,
    /// The text that stands in for the audio.
    pub transcript: TranscriptSettings,
    /// The durable record of every message.
    pub ledger: Ledger,
    /// Where clips wait on disk.
    pub spool: Spool,
    /// What the gateway says about itself.
    pub log: Log,
}

impl Settings {
    /// The settings in effect, checked: `config.toml`, `file`, and this process's environment.
    ///
    /// # Errors
    /// Every unknown key, wrong type and value out of range, each with its key and its layer.
    pub fn load(file: Option<&Path>) -> Result<Settings, SettingsError> {
        Settings::load_from(file, &Environment::of_process()?)
    }

    /// Like [`Settings::load`], over the given environment.
    ///
    /// # Errors
    /// As for [`Settings::load`].
    pub fn load_from(
        file: Option<&Path>,
        environment: &Environment,
    ) -> Result<Settings, SettingsError> {
        Layers::read(file, environment)?.settings()
    }

    /// The route to deliver by.
    ///
    /// # Errors
    /// `NoRoute`, which names the routes there are, when none is set.
    pub fn route(&self) -> Result<RouteName, SettingsError> {
        self.genesys.route.ok_or(SettingsError::NoRoute)
    }

    /// Whether operators are spoken to in TLS. On loopback nobody listens in, and no certificate is
    /// made out to it.
    pub fn admin_speaks_tls(&self) -> bool {
        self.tls.cert_file.is_some() && !self.admin.listen.ip().is_loopback()
    }

    /// Checks every range, and what has to hold between settings. Loading has done so already;
    /// whoever changes a value afterwards asks again.
    ///
    /// # Errors
    /// `Invalid`, with all that is wrong at once; each problem names its key, value and limit.
    pub fn check(&self) -> Result<Vec<Warning>, SettingsError> {
        let mut check = Check::default();
        self.server.check(&mut check);
        self.public.check(&mut check);
        self.auth.check(&mut check);
        self.quota.check(&mut check);
        self.cors.check(&mut check);
        self.tls.check(&mut check);
        self.genesys.check(&mut check);
        self.limits.check(&mut check);
        self.audio.check(&mut check);
        self.memory.check(&mut check);
        self.delivery.check(&mut check);
        self.purge.check(&mut check);
        self.transcript.check(&mut check);
        self.ledger.check(&mut check);
        self.spool.check(&mut check);
        self.log.check(&mut check);
        self.check_across(&mut check);
        check.finish()
    }

    /// Checks what holds between settings and secrets, which come from elsewhere: nothing is
    /// reachable from other hosts as long as nobody has to say who they are.
    ///
    /// # Errors
    /// `Invalid`, naming what has to be set.
    pub fn check_access(&self, secrets: &AccessSecrets) -> Result<(), SettingsError> {
        let mut check = Check::default();
        self.admin.check_access(secrets, &mut check);
        self.auth.check_access(secrets, &mut check);
        check.finish().map(drop)
    }

    fn check_across(&self, check: &mut Check) {
        if !self.auth.is_on() {
            check.loopback("server.listen", self.server.listen, auth::HOW_TO_TURN_ON);
        }
        let (server, admin) = (self.server.listen, self.admin.listen);
        let taken = |one: SocketAddr, other| one == other && one.port() != 0;
        if taken(server, admin) {
            check.problem("admin.listen", format!("is {admin}, where server.listen already is"));
        }
        for (name, address) in [("server.listen", server), ("admin.listen", admin)] {
            let open = !address.ip().is_loopback() && self.server.proxy_hops == 0;
            if open && self.tls.cert_file.is_none() {
                let what = "and neither tls.cert_file nor server.proxy_hops is set: who sees the \
                            traffic reads tokens, keys and audio";
                check.warning(name, format!("is {address}, which other hosts can reach, {what}"));
            }
        }
        let replies = self.genesys.open_messaging.replies_seconds;
        let days = self.ledger.keep_days;
        if self.genesys.route == Some(RouteName::OpenMessaging)
            && 2 * replies > u64::from(days) * 86_400
        {
            let problem = format!(
                "is {replies}: with as long for its receipt that is more than the {days} days of \
                 ledger.keep_days, after which it is swept"
            );
            check.problem("genesys.open_messaging.replies_seconds", problem);
        }
        if self.public.listen.is_none() && self.public.proxy_hops > 0 {
            check.problem("public.proxy_hops", "is set, but public.listen is not");
        }
        if let Some(public) = self.public.listen {
            if self.server.proxy_hops > 0 && self.public.proxy_hops == 0 {
                let what = "is 0, and server.proxy_hops is not: where proxies stand before \
                            public.listen too, all who come by them are one address";
                check.warning("public.proxy_hops", what);
            }
            for (name, other) in [("server.listen", server), ("admin.listen", admin)] {
                if taken(public, other) {
                    let problem = format!("is {public}, where {name} already is");
                    check.problem("public.listen", problem);
                }
            }
        }
        if self.genesys.route == Some(RouteName::OpenMessaging) && self.public.base_url.is_none() {
            let problem = "is empty; the route open-messaging serves clips from there";
            check.problem("public.base_url", problem);
        }
        let clip = ("limits.bytes_max", self.limits.bytes_max);
        check.ordered(clip, ("memory.read_back_bytes_max", self.memory.read_back_bytes_max));
        check.ordered(clip, ("spool.bytes_max", self.spool.bytes_max));
        let calls = self.genesys.uploads_max + self.genesys.posts_max + self.purge.calls_max;
        let connections = self.genesys.connections_max;
        if calls >= connections {
            check.warning(
                "genesys.connections_max",
                format!(
                    "is {connections}; uploads_max, posts_max and purge.calls_max together are \
                     {calls}, and the token needs one more: calls may wait for a connection until \
                     they time out"
                ),
            );
        }
    }
}

impl Default for Settings {
    /// What `config.toml` says.
    fn default() -> Settings {
        Settings::load_from(None, &Environment::default())
            .expect("config.toml is compiled in, and the test `defaults_load` loads it")
    }
}
