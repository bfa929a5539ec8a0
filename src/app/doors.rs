//! What stands before the handlers: who may come in and how much, and the book of what operators
//! did.

use std::sync::Arc;
use std::time::Duration;

use super::way::Way;
use crate::access::{Access, OperatorKey, Quotas, WebhookKey};
use crate::domain::Conversion;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{AuditLog, Erasures, Watchers};
use crate::pipeline::{Pipeline, Replies};
use crate::sealing::{SealError, Sealer};
use crate::settings::{AccessSecrets, LiveSecret, Settings};
use crate::web::{CorsRules, GuestStreams, MediaHost, PatienceRules, Site, Webhook};

/// What data on the disk is sealed with.
pub(super) fn sealer(secrets: &AccessSecrets) -> Result<Arc<Sealer>, SealError> {
    let sealer = match &secrets.data_key {
        Some(key) => Sealer::new(key.current().expose())?,
        None => Sealer::plain(),
    };
    tracing::info!(encrypted = sealer.encrypts(), "data on the disk");
    Ok(Arc::new(sealer))
}

pub(super) struct Doors {
    access: Access,
    pub(super) quotas: Arc<Quotas>,
    webhook_secret: Option<LiveSecret>,
    operator_key: Option<OperatorKey>,
    audit: Arc<dyn AuditLog>,
    erasures: Arc<dyn Erasures>,
}

impl Doors {
    pub(super) fn new(
        settings: &Settings,
        secrets: &AccessSecrets,
        access: Access,
        ledger: Arc<SqliteLedger>,
    ) -> Doors {
        let operator_key = secrets.admin_key.clone().map(OperatorKey::new);
        let strangers = access.is_on() || settings.server.proxy_hops > 0;
        let quotas = Arc::new(Quotas::new(&settings.quota, strangers));
        let webhook_secret = secrets.webhook_secret.clone();
        let (audit, erasures) = (ledger.clone(), ledger);
        Doors { access, quotas, webhook_secret, operator_key, audit, erasures }
    }

    /// All that the handlers work with.
    pub(super) fn site(
        self,
        settings: &Settings,
        way: &Way,
        pipeline: Arc<Pipeline>,
        watchers: Arc<Watchers>,
        replies: Option<Arc<Replies>>,
    ) -> Site {
        let server = &settings.server;
        Site {
            pipeline,
            watchers,
            pages: None,
            route: way.name(),
            media: way.hosted().map(MediaHost::new),
            webhook: self
                .webhook_secret
                .zip(replies)
                .map(|(secret, replies)| Webhook::new(WebhookKey::new(secret), replies)),
            signed_apart: settings.public.listen.is_some(),
            access: self.access,
            quotas: self.quotas,
            proxy_hops: server.proxy_hops,
            outside_hops: settings.public.proxy_hops,
            guest_streams: GuestStreams::new(server.event_streams_per_guest_max),
            cors: CorsRules {
                origins: settings.cors.origins(),
                max_age_seconds: settings.cors.max_age_seconds,
            },
            operator_key: self.operator_key,
            audit: self.audit,
            erasures: self.erasures,
            limits: settings.limits.audio(),
            converts: settings.audio.conversion() != Conversion::Off,
            patience: PatienceRules {
                wait: Duration::from_secs(server.wait_seconds),
                wait_max: Duration::from_secs(server.wait_seconds_max),
                body_max: Duration::from_secs(server.body_seconds_max),
                linger: Duration::from_secs(server.linger_seconds),
                body_bytes_per_second_min: server.body_bytes_per_second_min,
            },
        }
    }
}
