//! `voicepost doctor`: what is wrong is named with its fix, and only then it ends with an error.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use voicepost::clock::Clock;
use voicepost::domain::{Finding, UnixMs, Verdict};
use voicepost::genesys::open_messaging::{CheckUp, ExpectedWebhook};
use voicepost::genesys::reach::Reach;
use voicepost::genesys::tls::client_config;
use voicepost::genesys::transport::{Answer, Call, Called, Method, Transport, not_sent};
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, SandboxSettings, Webhook};
use voicepost::settings::Secret;

use crate::support::issuer::Issuer;
use crate::support::{TestGateway, wait_for};
use crate::tls::host;

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
            Called::Answered(Answer { status, retry_after_ms: None, rate: None, body })
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
    for value in [json!("https://elsewhere.example.com/"), json!(""), Value::Null] {
        let (verdict, words) = look(url, value);
        assert_eq!(verdict, Verdict::Failing);
        assert!(words.contains(&format!("webhook URL to {WEBHOOK_URL}")), "{words}");
    }
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

#[test]
fn clocks_that_differ_are_found() {
    let gateway = TestGateway::start();
    // A simulated clock is made inside a runtime.
    let look = |clock: fn() -> Clock| {
        let url = gateway.sandbox.base_url();
        let findings = actix_rt::System::new().block_on(async move {
            let tls = client_config(None).unwrap();
            let reach = Reach::new(tls, Duration::from_secs(5), clock());
            reach.host("login host", "genesys.domain", url).await
        });
        let skew = findings.into_iter().find(|finding| finding.subject == "login host: clock");
        skew.unwrap()
    };
    assert_eq!(look(Clock::system).verdict, Verdict::Fine);
    let skew = look(|| Clock::simulated(UnixMs(0), 1));
    assert_eq!(skew.verdict, Verdict::Failing);
    assert!(skew.fix.unwrap().contains("NTP"));
}

struct Ran {
    code: Option<i32>,
    report: Value,
}

impl Ran {
    #[track_caller]
    fn line(&self, subject: &str) -> &Value {
        let lines = self.report["findings"].as_array().unwrap();
        let line = lines.iter().find(|line| line["subject"] == subject);
        line.unwrap_or_else(|| panic!("no {subject} in {:#}", self.report))
    }
}

/// The program itself, before this login and API host, with these settings over it.
fn doctor(url: &str, settings: &[(&str, &str)]) -> Ran {
    let output = run(url, settings);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    Ran { code: output.status.code(), report }
}

fn run(url: &str, settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
    command.env_clear().args(["doctor", "--json"]);
    for (name, value) in [
        ("GENESYS_CLIENT_ID", "sandbox-client"),
        ("GENESYS_CLIENT_SECRET", "sandbox-secret"),
        ("VOICEPOST__GENESYS__ROUTE", "media-api"),
        ("VOICEPOST__GENESYS__LOGIN_URL", url),
        ("VOICEPOST__GENESYS__API_URL", url),
    ] {
        command.env(name, value);
    }
    command.envs(settings.iter().copied()).output().unwrap()
}

#[test]
fn media_api_is_told_its_scopes_and_errors() {
    let gateway = TestGateway::start();
    let ran = doctor(gateway.sandbox.base_url(), &[]);
    assert_eq!(ran.code, Some(0), "{:#}", ran.report);
    assert_eq!(ran.line("credentials")["verdict"], "ok");
    assert_eq!(ran.line("scopes")["verdict"], "note");
    let statuses: Vec<_> =
        ran.report["later"].as_array().unwrap().iter().map(|e| e["status"].clone()).collect();
    assert_eq!(statuses, ["401", "403", "404", "429", "400"]);

    let scope = "media:upload conversations:write";
    let gateway = TestGateway::builder().sandbox(|s| s.token_scope = scope.to_owned()).start();
    let ran = doctor(gateway.sandbox.base_url(), &[]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.line("scope media:upload")["verdict"], "ok");
    assert_eq!(ran.line("scope webchat:write")["verdict"], "fail");
    assert_eq!(ran.line("scope archivings:export")["verdict"], "note");
}

#[test]
fn what_keeps_a_gateway_from_signing_in_is_found() {
    let gateway = TestGateway::start();
    let url = gateway.sandbox.base_url();
    let wrong = doctor(url, &[("GENESYS_CLIENT_SECRET", "hunter2")]);
    assert_eq!((wrong.code, &wrong.line("credentials")["verdict"]), (Some(1), &json!("fail")));
    assert!(!wrong.report.to_string().contains("hunter2"));

    gateway.trouble(vec![FaultRule::new(Endpoint::Token, FaultAction::status(403))]);
    assert_eq!(doctor(url, &[]).code, Some(1));

    let nowhere = doctor("http://no-such-host.invalid", &[]);
    assert_eq!(
        (nowhere.code, &nowhere.line("login host: DNS")["verdict"]),
        (Some(1), &json!("fail"))
    );
    gateway.sandbox.close();
    let down = doctor(url, &[]);
    assert_eq!(
        (down.code, &down.line("login host: connection")["verdict"]),
        (Some(1), &json!("fail"))
    );

    let strange = doctor(host(&Issuer::ec()).trim_end_matches("/jwks.json"), &[]);
    let line = strange.line("login host: connection");
    assert!(line["detail"].as_str().unwrap().starts_with("TLS fails"), "{line}");
    assert!(line["fix"].as_str().unwrap().contains("tls.ca_file"), "{line}");
}

#[test]
fn open_messaging_is_looked_at_from_end_to_end() {
    let integration = SandboxSettings::default().integration_id;
    let gateway = TestGateway::builder().open_messaging().start();
    let base_url = format!("http://{}", gateway.public.address());
    let files = gateway.data.path().join("hosted");
    let files = files.to_str().unwrap();
    let ask_with = |base_url: &str, more: &[(&str, &str)]| {
        let settings = [
            ("VOICEPOST__GENESYS__ROUTE", "open-messaging"),
            ("VOICEPOST__GENESYS__OPEN_MESSAGING__INTEGRATION_ID", integration.as_str()),
            ("VOICEPOST__PUBLIC__BASE_URL", base_url),
            ("VOICEPOST__GENESYS__OPEN_MESSAGING__FILES_DIR", files),
        ];
        doctor(gateway.sandbox.base_url(), &[&settings, more].concat())
    };
    let ask = |base_url: &str| ask_with(base_url, &[]);
    let ran = ask(&base_url);
    for permission in ["message:receive", "message:view", "cachedMedia:view", "cachedMedia:delete"]
    {
        let line = ran.line(&format!("permission conversation:{permission}"));
        assert_eq!(line["verdict"], "ok", "{line}");
    }
    for subject in ["media host", "integration", "content profile"] {
        assert_eq!(ran.line(subject)["verdict"], "ok", "{}", ran.line(subject));
    }
    assert_eq!((ran.code, &ran.line("webhook secret")["verdict"]), (Some(1), &json!("fail")));
    let short = run(&base_url, &[("VOICEPOST_WEBHOOK_SECRET", "fifteen-chars--")]);
    let said = String::from_utf8(short.stderr).unwrap();
    assert_eq!(short.status.code(), Some(1), "{said}");
    assert!(said.contains("VOICEPOST_WEBHOOK_SECRET has 15 bytes"), "{said}");
    let ours = "a-webhook-secret-of-24-c";
    let secret = [("VOICEPOST_WEBHOOK_SECRET", ours)];
    let webhook = |secret: &str| {
        let url = format!("{base_url}/webhooks/open-messaging");
        let webhook = Webhook { url, secret: secret.to_owned() };
        gateway.sandbox.with(|sandbox| sandbox.set_webhook(webhook));
    };
    webhook(ours);
    let ready = ask_with(&base_url, &secret);
    assert_eq!((ready.code, &ready.line("webhook secret")["verdict"]), (Some(0), &json!("ok")));
    assert_eq!(ready.line("webhook")["verdict"], "ok");
    webhook("another-secret-of-24-byt");
    let other = ask_with(&base_url, &secret);
    assert_eq!((other.code, &other.line("webhook")["verdict"]), (Some(1), &json!("fail")));
    webhook(ours);
    // The id is not there, the secret is: each line is about its own.
    let nobody = ask_with(&base_url, &[secret[0], ("GENESYS_CLIENT_ID", "")]);
    assert_eq!(nobody.line("credentials")["verdict"], "fail");
    assert_eq!(nobody.line("webhook secret")["verdict"], "ok");
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 0);

    // Another gateway, this one's at another path, another server, and none.
    let stranger = TestGateway::builder().open_messaging().start();
    let elsewhere = [format!("http://{}", stranger.public.address()), format!("{base_url}/voice")];
    for base_url in &elsewhere {
        let other = ask(base_url);
        assert_eq!((other.code, &other.line("media host")["verdict"]), (Some(1), &json!("fail")));
    }
    let keyless = ("VOICEPOST__GENESYS__OPEN_MESSAGING__FILES_DIR", "/nowhere");
    assert_eq!(ask_with(&base_url, &[keyless]).line("media host")["verdict"], "note");
    let other = ask(gateway.sandbox.base_url());
    assert_eq!((other.code, &other.line("media host")["verdict"]), (Some(1), &json!("fail")));
    let none = ask("http://127.0.0.1:1");
    assert_eq!((none.code, &none.line("media host")["verdict"]), (Some(1), &json!("fail")));

    let lacking = FaultAction::status(403);
    gateway.trouble(vec![FaultRule::new(Endpoint::CachedMediaDelete, lacking)]);
    let ran = ask(&base_url);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.line("permission conversation:cachedMedia:delete")["verdict"], "fail");
}
