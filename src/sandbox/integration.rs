//! The Open Messaging integration and its content profile, which says what media are let in.
//! Source: the public API's description.

use serde_json::{Value, json};

use super::core::{Call, Sandbox};
use super::wire::{Problem, Reply};

const INTEGRATIONS: &str = "/api/v2/conversations/messaging/integrations/open/";
const PROFILES: &str = "/api/v2/conversations/messaging/supportedcontent/";
const PROFILE_ID: &str = "0be11e55-0000-4000-8000-0000000000c0";
/// What the platform's default profile lets agents send.
const OUTBOUND: [&str; 3] = ["image/jpeg", "image/png", "image/gif"];

/// The id in the path of an integration.
pub(super) fn integration_id(path: &str) -> Option<&str> {
    segment(path, INTEGRATIONS)
}

/// The id in the path of a content profile.
pub(super) fn profile_id(path: &str) -> Option<&str> {
    segment(path, PROFILES)
}

fn segment<'a>(path: &'a str, start: &str) -> Option<&'a str> {
    path.strip_prefix(start).filter(|id| !id.is_empty() && !id.contains('/'))
}

impl Sandbox {
    /// Lets in these media from now on: `audio/ogg`, `audio/*`, `*/*`.
    pub fn set_inbound_media(&mut self, admitted: Vec<String>) {
        self.settings.inbound_media = admitted;
    }

    /// The id of the one integration.
    pub fn integration_id(&self) -> &str {
        &self.settings.integration_id
    }

    /// What the integration says of itself from now on: `Active`, `Inactive`.
    pub fn set_integration_status(&mut self, status: &str) {
        self.settings.integration_status = status.to_owned();
    }

    /// `GET …/integrations/open/{integrationId}`.
    pub(super) fn integration(&self, call: &Call<'_>) -> Result<Reply, Problem> {
        let id = integration_id(&call.request.path).unwrap_or_default();
        self.check_integration(id)?;
        let profile = json!({
            "id": PROFILE_ID,
            "name": "Sandbox profile",
            "selfUri": format!("{PROFILES}{PROFILE_ID}"),
        });
        Ok(Reply::json(
            200,
            &json!({
                "id": id,
                "name": "Sandbox integration",
                "supportedContent": profile,
                "outboundNotificationWebhookUrl": self.webhook.url,
                "outboundNotificationWebhookSignatureSecretToken": self.webhook.secret,
                "webhookHeaders": {},
                "status": self.settings.integration_status,
                "createStatus": "Completed",
                "selfUri": format!("{INTEGRATIONS}{id}"),
            }),
        ))
    }

    /// `GET …/supportedcontent/{supportedContentId}`.
    pub(super) fn supported_content(&self, call: &Call<'_>) -> Result<Reply, Problem> {
        let id = profile_id(&call.request.path).unwrap_or_default();
        if id != PROFILE_ID {
            return Err(Problem::not_found(format!("No supported content {id}.")));
        }
        let inbound = types(self.settings.inbound_media.iter().map(String::as_str));
        let outbound = types(OUTBOUND.into_iter());
        Ok(Reply::json(
            200,
            &json!({
                "id": id,
                "name": "Sandbox profile",
                "version": 1,
                "mediaTypes": { "allow": { "inbound": inbound, "outbound": outbound } },
                "selfUri": format!("{PROFILES}{id}"),
            }),
        ))
    }

    /// Refuses an id that is not the integration's.
    pub(super) fn check_integration(&self, id: &str) -> Result<(), Problem> {
        match id == self.settings.integration_id {
            true => Ok(()),
            false => Err(Problem::not_found(format!("No integration {id}."))),
        }
    }

    /// Refuses that too, and everything while the integration is not active.
    pub(super) fn check_active(&self, id: &str) -> Result<(), Problem> {
        self.check_integration(id)?;
        match self.settings.integration_status.eq_ignore_ascii_case("active") {
            true => Ok(()),
            false => Err(Problem::not_found(format!("The integration {id} is not active."))),
        }
    }

    /// Whether the content profile lets a media type in.
    pub(super) fn admits(&self, mime: &str) -> bool {
        let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.settings.inbound_media.iter().any(|admitted| match admitted.split_once("/*") {
            Some(("*", "")) => true,
            Some((kind, "")) => essence.split('/').next() == Some(kind),
            _ => *admitted == essence,
        })
    }
}

fn types<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Value> {
    names.map(|name| json!({ "type": name })).collect()
}
