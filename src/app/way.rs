//! The way into Genesys that the settings name: its planner, its calls, and what it has on disk.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::{StartError, clip_files};
use crate::actors::MakeRoute;
use crate::domain::{Origin, RouteName};
use crate::genesys::api::Api;
use crate::genesys::media_api::{MediaApiPlanner, MediaApiRoute, MediaApiRules};
use crate::genesys::open_messaging::{
    OpenMessagingPlanner, OpenMessagingRoute, OpenMessagingRules,
};
use crate::genesys::{Planner, Route};
use crate::hosted::Hosted;
use crate::ledger::ReplyBook;
use crate::ledger::sqlite::{SqliteLedger, is_same};
use crate::pipeline::{Pipeline, Replies};
use crate::sealing::Sealer;
use crate::settings::Settings;
use crate::spool::SpoolError;

/// How long an address outlives the file it leads to: for clocks that are stepped, and for purges
/// that come late.
const LINK_SPARE_SECONDS: u64 = 86_400;

/// One route with what it needs from this process.
pub(super) enum Way {
    MediaApi,
    OpenMessaging(Hosted),
}

impl Way {
    /// Opens what the route has on disk.
    pub(super) fn open(
        route: RouteName,
        settings: &Settings,
        sealer: &Arc<Sealer>,
        ledger: &SqliteLedger,
    ) -> Result<Way, StartError> {
        Ok(match route {
            RouteName::MediaApi => Way::MediaApi,
            RouteName::OpenMessaging => {
                let directory = &settings.genesys.open_messaging.files_dir;
                if is_same(directory, &settings.spool.dir) {
                    return Err(one_directory(directory).into());
                }
                let files = clip_files(directory, sealer, ledger)?;
                Way::OpenMessaging(Hosted::open(directory, files, sealer)?)
            }
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> RouteName {
        match self {
            Way::MediaApi => RouteName::MediaApi,
            Way::OpenMessaging(_) => RouteName::OpenMessaging,
        }
    }

    /// The files of the media host, where the route has one.
    pub(super) fn hosted(&self) -> Option<Hosted> {
        match self {
            Way::MediaApi => None,
            Way::OpenMessaging(hosted) => Some(hosted.clone()),
        }
    }

    /// The replies of agents, where the route brings any; receipts of them are sent from now on.
    pub(super) fn replies(
        &self,
        settings: &Settings,
        pipeline: &Arc<Pipeline>,
        book: Arc<dyn ReplyBook>,
    ) -> Option<Arc<Replies>> {
        let Way::OpenMessaging(_) = self else { return None };
        let watches_max = settings.server.event_streams_max;
        let keep_seconds = settings.genesys.open_messaging.replies_seconds;
        let replies = Replies::new(Arc::clone(pipeline), book, watches_max, keep_seconds);
        let telling = Arc::clone(&replies);
        actix::spawn(async move { telling.tell_receipts().await });
        Some(replies)
    }

    /// The pure half.
    pub(super) fn planner(&self, settings: &Settings, origin: Origin) -> Arc<dyn Planner> {
        let placeholder = settings.transcript.placeholder.clone();
        match self {
            Way::MediaApi => Arc::new(MediaApiPlanner::new(MediaApiRules {
                placeholder,
                media_url_seconds_max: settings.delivery.media_url_seconds_max,
                origin,
            })),
            Way::OpenMessaging(hosted) => {
                let open = &settings.genesys.open_messaging;
                let link_seconds = open.serve_seconds
                    + settings.delivery.expires_after_seconds
                    + LINK_SPARE_SECONDS;
                let base_url = settings.public.base_url.clone().unwrap_or_default();
                let rules = OpenMessagingRules {
                    placeholder,
                    integration_id: open.integration_id.clone(),
                    public_url: base_url.trim_end_matches('/').to_owned(),
                    link_seconds,
                    serve_seconds: open.serve_seconds,
                    origin,
                };
                Arc::new(OpenMessagingPlanner::new(rules, hosted.clone()))
            }
        }
    }

    /// What builds the calling half, on the thread that calls.
    pub(super) fn factory(&self, settings: &Settings, origin: Origin) -> MakeRoute {
        match self {
            Way::MediaApi => {
                let upload_body = settings.genesys.media_api.upload_body;
                Box::new(move |transport, tokens, gate| -> Rc<dyn Route> {
                    let api = Api { base_url: origin.host.clone(), transport, tokens, gate };
                    Rc::new(MediaApiRoute::new(api, origin, upload_body))
                })
            }
            Way::OpenMessaging(hosted) => {
                let integration_id = settings.genesys.open_messaging.integration_id.clone();
                let hosted = hosted.clone();
                let checks_audio = settings.genesys.open_messaging.check_audio;
                Box::new(move |transport, tokens, gate| -> Rc<dyn Route> {
                    let api = Api { base_url: origin.host.clone(), transport, tokens, gate };
                    let route =
                        OpenMessagingRoute::new(api, origin, integration_id, hosted, checks_audio);
                    Rc::new(route)
                })
            }
        }
    }
}

/// How long copies are kept after the post. What is hosted is kept for its own time: see
/// `genesys.open_messaging.serve_seconds`.
pub(super) fn ttl_seconds(settings: &Settings) -> u64 {
    match settings.genesys.route {
        Some(RouteName::OpenMessaging) => settings.genesys.open_messaging.serve_seconds,
        Some(RouteName::MediaApi) | None => settings.purge.ttl_seconds,
    }
}

/// What the media host shows would be taken for clips that no message knows.
fn one_directory(directory: &Path) -> SpoolError {
    SpoolError::Failed(format!(
        "use {} for both `spool.dir` and `genesys.open_messaging.files_dir`: each wants a \
         directory of its own",
        directory.display()
    ))
}
