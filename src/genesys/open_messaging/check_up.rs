//! Whether an organisation is ready for this route: permissions, integration, content profile.
//! Nothing here has an effect: what would change something is asked for what cannot exist.

use awc::http::Uri;
use bytes::Bytes;
use serde_json::Value;

use super::super::api::encoded;
use super::super::transport::{Answer, Call, CallName, Called, Method, Transport};
use super::{answers, cached_media, look_up};
use crate::domain::{Deliverable, Finding};
use crate::settings::Secret;

/// An id that nothing has (RFC 9562 §5.9).
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
const INTEGRATION_VIEW: &str = "messaging:integration:view";
const PROFILE_VIEW: &str = "messaging:supportedContent:view";
const INTEGRATION: &str = "integration";
const PROFILE: &str = "content profile";

/// An organisation, seen with one token.
pub struct CheckUp<'a> {
    /// Makes the calls.
    pub transport: &'a dyn Transport,
    /// Base URL of the API without a slash at its end.
    pub base_url: &'a str,
    /// A token that was just granted.
    pub token: &'a Secret,
    /// The integration that is posted to.
    pub integration_id: &'a str,
    /// Where agents' messages are to come, if anywhere.
    pub webhook: Option<&'a ExpectedWebhook>,
}

/// What the integration has to say of its outbound notification webhook.
pub struct ExpectedWebhook {
    /// Where this gateway takes agents' messages.
    pub url: String,
    /// What it checks signatures with; several, each on a line of its own.
    pub secret: Secret,
}

impl CheckUp<'_> {
    /// Looks at everything the route needs; about seven calls.
    pub async fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let messages = "/api/v2/conversations/messages";
        let inbound = format!("{messages}/{}/inbound/open/message", self.integration_id);
        // A message without a channel is none: whoever may post is told so.
        let posted = self.call(Method::Post, &inbound, "{}").await;
        let unknown_integration = status(&posted) == Some(404);
        findings.push(permission(answers::RECEIVE, &posted));
        let cached = format!("{messages}/cachedmedia");
        for (name, method, path) in [
            (look_up::VIEW, Method::Get, format!("{messages}/{NOBODY}/details")),
            (cached_media::VIEW, Method::Get, format!("{cached}?pageSize=1&pageNumber=1")),
            (answers::CACHED_MEDIA_DELETE, Method::Delete, format!("{cached}/{NOBODY}")),
        ] {
            findings.push(permission(name, &self.call(method, &path, "").await));
        }
        let path = format!(
            "/api/v2/conversations/messaging/integrations/open/{}",
            encoded(self.integration_id)
        );
        match read(&self.call(Method::Get, &path, "").await) {
            Ok(integration) => {
                findings.push(is_active(&integration));
                findings.extend(self.webhook.map(|webhook| webhook.compare(&integration)));
                findings.push(self.profile(&integration).await);
            }
            Err(Some(403)) if !unknown_integration => {
                let detail = "cannot be looked at (403); neither can its content profile";
                let fix = format!("add the permission {INTEGRATION_VIEW} to the client's role");
                findings.push(Finding::note(INTEGRATION, detail, fix));
            }
            Err(Some(403 | 404)) => findings.push(self.no_integration()),
            Err(status) => findings.push(untold(INTEGRATION, status)),
        }
        findings
    }

    fn no_integration(&self) -> Finding {
        let detail = format!("{} does not exist in this organisation (404)", self.integration_id);
        let fix = "set genesys.open_messaging.integration_id to the id of an Open Messaging \
                   integration there";
        Finding::failing(INTEGRATION, detail, fix)
    }

    async fn profile(&self, integration: &Value) -> Finding {
        let reference = &integration["supportedContent"];
        let Some(id) = answers::text(reference, "id") else {
            let detail = "the integration names none; the default one takes every type inbound";
            return Finding::fine(PROFILE, detail);
        };
        let inline = reference["mediaTypes"]["allow"]["inbound"].as_array();
        if let Some(types) = inline {
            return admits(reference, types);
        }
        let id = encoded(&id);
        let path = format!("/api/v2/conversations/messaging/supportedcontent/{id}");
        match read(&self.call(Method::Get, &path, "").await) {
            Ok(profile) => match profile["mediaTypes"]["allow"]["inbound"].as_array() {
                Some(types) => admits(&profile, types),
                None => {
                    let fix = "send a message and see whether its audio arrives";
                    Finding::note(PROFILE, "it does not say which types it allows inbound", fix)
                }
            },
            Err(Some(403)) => {
                let fix = format!("add the permission {PROFILE_VIEW} to the client's role");
                Finding::note(PROFILE, "cannot be looked at (403)", fix)
            }
            Err(status) => untold(PROFILE, status),
        }
    }

    async fn call(&self, method: Method, path: &str, body: &'static str) -> Called {
        let mut headers = vec![("authorization", format!("Bearer {}", self.token.expose()))];
        if method == Method::Post {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let url = format!("{}{path}", self.base_url);
        let body = Bytes::from_static(body.as_bytes());
        let name = CallName::LookUp;
        self.transport.call(Call { name, method, url, headers, due_at: None, body }).await
    }
}

impl ExpectedWebhook {
    fn compare(&self, integration: &Value) -> Finding {
        const SUBJECT: &str = "webhook";
        let told = |name| answers::text(integration, name);
        let Some(url) = told("outboundNotificationWebhookUrl").filter(|url| !url.is_empty()) else {
            let fix = format!("set its outbound notification webhook URL to {}", self.url);
            let detail = "the integration names no address for agents' messages";
            return Finding::failing(SUBJECT, detail, fix);
        };
        if !leads_to(&url, &self.url) {
            let detail = format!("agents' messages go to {url}, not to {}", self.url);
            let fix = format!("set its outbound notification webhook URL to {}", self.url);
            return Finding::failing(SUBJECT, detail, fix);
        }
        // It may be left out of the answer, or be masked in it.
        let secret = told("outboundNotificationWebhookSignatureSecretToken")
            .filter(|secret| !secret.trim_matches('*').is_empty());
        match secret {
            Some(secret) if !self.secret.expose().lines().any(|line| line == secret) => {
                let detail = "the integration signs with another secret than this gateway has";
                let fix = "set VOICEPOST_WEBHOOK_SECRET to the integration's signature secret \
                           token";
                Finding::failing(SUBJECT, detail, fix)
            }
            Some(_) => Finding::fine(SUBJECT, format!("{url}, signed with this gateway's secret")),
            None => {
                let detail = format!("{url}; Genesys does not tell its signature secret");
                let fix = "let an agent answer once; the log names a signature that is wrong";
                Finding::note(SUBJECT, detail, fix)
            }
        }
    }
}

/// Whether two addresses are one (RFC 3986 §6.2): case counts in neither scheme nor host, and a
/// port may be left out. The path counts to the letter: what the gateway does not serve is answered
/// 404, a slash at the end too.
fn leads_to(url: &str, expected: &str) -> bool {
    let parts = |url: &str| {
        let uri = url.parse::<Uri>().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let host = uri.host()?.to_ascii_lowercase();
        Some((scheme, host, port, uri.path_and_query().map(ToString::to_string)))
    };
    let found = parts(url);
    found.is_some() && found == parts(expected)
}

fn status(called: &Called) -> Option<u16> {
    match called {
        Called::Answered(answer) => Some(answer.status),
        Called::NotSent(_) | Called::Unknown(_) => None,
    }
}

/// What a 2xx says; else the status, if there was an answer.
fn read(called: &Called) -> Result<Value, Option<u16>> {
    match called {
        Called::Answered(answer) if answer.is_success() => {
            serde_json::from_slice(&answer.body).map_err(|_| Some(answer.status))
        }
        other => Err(status(other)),
    }
}

/// Whether a call that needs this permission was let through, whatever else was wrong with it.
fn permission(name: &str, called: &Called) -> Finding {
    let subject = format!("permission {name}");
    match called {
        Called::Answered(Answer { status: 403, .. }) => {
            let fix = format!("add {name} to a role that the OAuth client has");
            Finding::failing(subject, "not granted (403)", fix)
        }
        Called::Answered(Answer { status: 200..=299 | 400 | 404, .. }) => {
            Finding::fine(subject, "granted")
        }
        other => untold(&subject, status(other)),
    }
}

fn untold(subject: &str, status: Option<u16>) -> Finding {
    let (detail, fix) = match status {
        Some(401) => (
            "the API does not take the token that the login host gave (401)".to_owned(),
            "login and API host have to be of one region: check genesys.domain",
        ),
        Some(429) => ("Genesys asks for a pause (429)".to_owned(), "ask again in a minute"),
        Some(status) => (format!("cannot be told: answered {status}"), "ask again later"),
        None => (
            "cannot be told: there was no answer".to_owned(),
            "see the lines about the API host, then ask again",
        ),
    };
    Finding::failing(subject, detail, fix)
}

/// The words of `status` are not documented; only those that are plain count.
fn is_active(integration: &Value) -> Finding {
    let word = |name| answers::text(integration, name);
    let named = word("name").unwrap_or_else(|| "without a name".to_owned());
    match word("createStatus").as_deref() {
        None | Some("Completed") => {}
        Some("Initiated") => {
            let detail = format!("{named} is still being created");
            return Finding::failing(INTEGRATION, detail, "ask again in a minute");
        }
        Some(other) => {
            let detail = format!("{named} could not be created ({other})");
            let fix = "create the integration anew";
            return Finding::failing(INTEGRATION, detail, fix);
        }
    }
    match word("status").map(|status| status.to_ascii_lowercase()).as_deref() {
        None | Some("active") => {
            Finding::fine(INTEGRATION, format!("{named} exists and is active"))
        }
        Some("inactive" | "disabled") => {
            let fix = "activate the integration";
            Finding::failing(INTEGRATION, format!("{named} is not active"), fix)
        }
        Some(other) => {
            let fix = "see whether Genesys takes messages to it";
            Finding::note(INTEGRATION, format!("{named} exists; its status is {other}"), fix)
        }
    }
}

/// Whether every type the gateway sends passes. Genesys drops what does not, and says nothing.
fn admits(profile: &Value, types: &[Value]) -> Finding {
    let allowed: Vec<String> =
        types.iter().filter_map(|allowed| answers::text(allowed, "type")).collect();
    let passes = |wanted: &str| {
        allowed.iter().any(|allowed| {
            let allowed = allowed.to_ascii_lowercase();
            allowed == wanted || matches!(allowed.as_str(), "*/*" | "*" | "audio/*")
        })
    };
    let sent = [Deliverable::Mp3, Deliverable::Wav, Deliverable::Ogg].map(super::wire_media_type);
    let dropped: Vec<&str> = sent.into_iter().filter(|wanted| !passes(wanted)).collect();
    let named = answers::text(profile, "name").unwrap_or_else(|| "without a name".to_owned());
    if dropped.is_empty() {
        return Finding::fine(PROFILE, format!("{named} admits {}", sent.join(", ")));
    }
    let dropped = dropped.join(", ");
    let detail = format!("{named} drops {dropped} from inbound messages, silently");
    let fix = format!("add {dropped} or audio/* to the types it allows inbound");
    Finding::failing(PROFILE, detail, fix)
}
