//! What `voicepost doctor` makes of an organisation: what is wrong is named with its fix.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use voicepost::domain::{Finding, Verdict};
use voicepost::genesys::open_messaging::{CheckUp, ExpectedWebhook};
use voicepost::genesys::transport::{Answer, Call, Called, Method, Transport, not_sent};
use voicepost::settings::Secret;

use crate::support::wait_for;

const INTEGRATION: &str = "it-1";
const WEBHOOK_URL: &str = "https://voice.example.com/webhooks/open-messaging";

/// An organisation in memory: what it answers to a method and a path. Anything else is 404.
#[derive(Default)]
struct Organisation(BTreeMap<&'static str, (u16, Value)>);

const INBOUND: &str = "POST /api/v2/conversations/messages/it-1/inbound/open/message";
const DETAILS: &str =
    "GET /api/v2/conversations/messages/00000000-0000-0000-0000-000000000000/details";
const CACHED: &str = "GET /api/v2/conversations/messages/cachedmedia?pageSize=1&pageNumber=1";
const UNCACHE: &str =
    "DELETE /api/v2/conversations/messages/cachedmedia/00000000-0000-0000-0000-000000000000";
const OPEN: &str = "GET /api/v2/conversations/messaging/integrations/open/it-1";
const PROFILE: &str = "GET /api/v2/conversations/messaging/supportedcontent/sc-1";

impl Organisation {
    fn healthy() -> Organisation {
        Organisation(BTreeMap::from([
            (INBOUND, (400, json!({ "code": "bad.request" }))),
            (CACHED, (200, json!({ "entities": [] }))),
            (OPEN, (200, integration())),
            (PROFILE, (200, profile(&["image/png", "audio/*"]))),
        ]))
    }

    fn with(mut self, path: &'static str, status: u16, body: Value) -> Organisation {
        self.0.insert(path, (status, body));
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let token = Secret::new("token");
        let (base_url, token, integration_id) = ("http://api", &token, INTEGRATION);
        let webhook =
            ExpectedWebhook { url: WEBHOOK_URL.to_owned(), secret: Secret::new("old\nours") };
        let webhook = Some(&webhook);
        let check_up = CheckUp { transport: self, base_url, token, integration_id, webhook };
        wait_for(check_up.findings())
    }

    /// The one line that is not fine.
    #[track_caller]
    fn trouble(&self) -> (Verdict, String) {
        let mut findings = self.findings();
        findings.retain(|finding| finding.verdict != Verdict::Fine);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        let Finding { subject, verdict, detail, fix } = findings.remove(0);
        (verdict, format!("{subject}: {detail} → {}", fix.unwrap()))
    }
}

fn integration() -> Value {
    json!({
        "id": INTEGRATION, "name": "Voice", "status": "Active", "createStatus": "Completed",
        "supportedContent": { "id": "sc-1" },
        "outboundNotificationWebhookUrl": WEBHOOK_URL,
        "outboundNotificationWebhookSignatureSecretToken": "ours",
    })
}

fn profile(types: &[&str]) -> Value {
    let types: Vec<_> = types.iter().map(|name| json!({ "type": name })).collect();
    json!({ "id": "sc-1", "name": "Voice notes", "mediaTypes": { "allow": { "inbound": types } } })
}

impl Transport for Organisation {
    fn call(&self, call: Call) -> LocalBoxFuture<'_, Called> {
        assert!(call.headers.contains(&("authorization", "Bearer token".to_owned())));
        let method = match call.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        let asked = format!("{method} {}", call.url.strip_prefix("http://api").unwrap());
        let (status, body) = self.0.get(asked.as_str()).cloned().unwrap_or((404, Value::Null));
        let answer = |body: Value| {
            let body = Bytes::from(body.to_string());
            Called::Answered(Answer {
                status,
                retry_after_ms: None,
                rate: None,
                body,
                may_be_cut_off: false,
            })
        };
        let called = if status == 0 { not_sent("nobody there") } else { answer(body) };
        std::future::ready(called).boxed_local()
    }
}

#[test]
fn a_healthy_organisation_has_nothing_but_fine_lines() {
    let findings = Organisation::healthy().findings();
    let subjects: Vec<_> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "permission conversation:message:receive",
            "permission conversation:message:view",
            "permission conversation:cachedMedia:view",
            "permission conversation:cachedMedia:delete",
            "integration",
            "webhook",
            "content profile",
        ]
    );
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Fine), "{findings:#?}");
}

#[test]
fn each_missing_permission_is_named() {
    for (path, permission) in [
        (INBOUND, "conversation:message:receive"),
        (DETAILS, "conversation:message:view"),
        (CACHED, "conversation:cachedMedia:view"),
        (UNCACHE, "conversation:cachedMedia:delete"),
    ] {
        let (verdict, words) = Organisation::healthy().with(path, 403, json!({})).trouble();
        assert_eq!(verdict, Verdict::Failing);
        assert!(words.starts_with(&format!("permission {permission}: not granted")), "{words}");
        assert!(words.contains(&format!("add {permission} to a role")), "{words}");
    }
    // What only the doctor needs is no failure.
    for (path, permission) in
        [(OPEN, "messaging:integration:view"), (PROFILE, "messaging:supportedContent:view")]
    {
        let (verdict, words) = Organisation::healthy().with(path, 403, json!({})).trouble();
        assert_eq!(verdict, Verdict::Note, "{words}");
        assert!(words.contains(permission), "{words}");
    }
}

#[test]
fn an_integration_that_takes_nothing_is_found() {
    let look = |integration: Value| Organisation::healthy().with(OPEN, 200, integration).trouble();
    let with = |name: &str, value: &str| {
        let mut integration = integration();
        integration[name] = json!(value);
        integration
    };
    for (name, value, words) in [
        ("status", "Inactive", "Voice is not active → activate the"),
        ("createStatus", "Initiated", "Voice is still being created"),
        ("createStatus", "Error", "Voice could not be created"),
    ] {
        let (verdict, said) = look(with(name, value));
        assert_eq!(verdict, Verdict::Failing);
        assert!(said.starts_with(&format!("integration: {words}")), "{said}");
    }
    assert_eq!(look(with("status", "Resting")).0, Verdict::Note);
    // Gone, whether or not it may be looked at.
    for status in [403, 404] {
        let gone = Organisation::healthy().with(INBOUND, 404, json!({}));
        let (verdict, words) = gone.with(OPEN, status, json!({})).trouble();
        assert_eq!(verdict, Verdict::Failing);
        assert!(words.contains("genesys.open_messaging.integration_id"), "{words}");
    }
}

#[test]
fn a_content_profile_that_drops_what_we_send_is_found() {
    let (verdict, words) =
        Organisation::healthy().with(PROFILE, 200, profile(&["audio/ogg", "image/*"])).trouble();
    assert_eq!(verdict, Verdict::Failing);
    assert!(words.contains("Voice notes drops audio/mpeg, audio/wav from inbound"), "{words}");
    assert!(words.contains("add audio/mpeg, audio/wav or audio/*"), "{words}");
    let (_, words) = Organisation::healthy().with(PROFILE, 200, profile(&[])).trouble();
    assert!(words.contains("drops audio/mpeg, audio/wav, audio/ogg"), "{words}");
    let silent = Organisation::healthy().with(PROFILE, 200, json!({ "id": "sc-1" }));
    assert_eq!(silent.trouble().0, Verdict::Note);
    // Where the integration tells the types itself, its profile need not be asked.
    let mut told = integration();
    told["supportedContent"] = profile(&["video/mp4"]);
    let (_, words) = Organisation::healthy().with(OPEN, 200, told).trouble();
    assert!(words.contains("drops"), "{words}");
    let mut none = integration();
    none.as_object_mut().unwrap().remove("supportedContent");
    for none in [none, integration()] {
        let types = profile(&["*/*"]);
        let healthy = Organisation::healthy().with(OPEN, 200, none).with(PROFILE, 200, types);
        assert!(healthy.findings().iter().all(|finding| finding.verdict == Verdict::Fine));
    }
}

#[test]
fn a_webhook_that_leads_elsewhere_or_signs_otherwise_is_found() {
    let look = |name: &str, value: Value| {
        let mut integration = integration();
        integration[name] = value;
        Organisation::healthy().with(OPEN, 200, integration).trouble()
    };
    let url = "outboundNotificationWebhookUrl";
    let slash = json!(format!("{WEBHOOK_URL}/"));
    for value in [json!("https://elsewhere.example.com/"), slash, json!(""), Value::Null] {
        let (verdict, words) = look(url, value);
        assert_eq!(verdict, Verdict::Failing);
        assert!(words.contains(&format!("webhook URL to {WEBHOOK_URL}")), "{words}");
    }
    let same = WEBHOOK_URL.replace("https://voice.example.com", "HTTPS://Voice.Example.com:443");
    let mut integration = integration();
    integration[url] = json!(same);
    let findings = Organisation::healthy().with(OPEN, 200, integration).findings();
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Fine), "one address");
    let secret = "outboundNotificationWebhookSignatureSecretToken";
    let (verdict, words) = look(secret, json!("another"));
    assert_eq!(verdict, Verdict::Failing);
    assert!(words.contains("signs with another secret"), "{words}");
    for untold in [json!("********"), Value::Null] {
        assert_eq!(look(secret, untold).0, Verdict::Note);
    }
}

#[test]
fn what_cannot_be_told_is_no_success() {
    for (status, fix) in [(401, "region"), (429, "in a minute"), (503, "later"), (0, "API host")] {
        let (verdict, words) = Organisation::healthy().with(CACHED, status, json!({})).trouble();
        assert_eq!(verdict, Verdict::Failing);
        assert!(words.contains(fix), "{words}");
    }
}
