//! `voicepost doctor`: what is wrong is named with its fix, and only then it ends with an error.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use voicepost::clock::Clock;
use voicepost::domain::{UnixMs, Verdict};
use voicepost::genesys::reach::Reach;
use voicepost::genesys::tls::client_config;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, SandboxSettings, Webhook};
use voicepost::settings::Secret;

use crate::support::TestGateway;
use crate::support::issuer::Issuer;
use crate::tls::host;
use crate::tls_inbound;

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

/// The program before a gateway's sandbox, with the gateway's files, where `base_url` is its media
/// host's.
fn beside(gateway: &TestGateway, base_url: &str, more: &[(&str, &str)]) -> Ran {
    let integration = SandboxSettings::default().integration_id;
    let files = gateway.data.path().join("hosted");
    let settings = [
        ("VOICEPOST__GENESYS__ROUTE", "open-messaging"),
        ("VOICEPOST__GENESYS__OPEN_MESSAGING__INTEGRATION_ID", integration.as_str()),
        ("VOICEPOST__PUBLIC__BASE_URL", base_url),
        ("VOICEPOST__GENESYS__OPEN_MESSAGING__FILES_DIR", files.to_str().unwrap()),
    ];
    doctor(gateway.sandbox.base_url(), &[&settings, more].concat())
}

#[test]
fn open_messaging_is_looked_at_from_end_to_end() {
    let gateway = TestGateway::builder().open_messaging().start();
    let base_url = format!("http://{}", gateway.public.address());
    let ask = |base_url: &str| beside(&gateway, base_url, &[]);
    let ran = ask(&base_url);
    for permission in ["message:receive", "message:view", "cachedMedia:view", "cachedMedia:delete"]
    {
        let line = ran.line(&format!("permission conversation:{permission}"));
        assert_eq!(line["verdict"], "ok", "{line}");
    }
    for subject in ["media host", "integration", "content profile"] {
        assert_eq!(ran.line(subject)["verdict"], "ok", "{}", ran.line(subject));
    }
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 0);

    // Another gateway, this one's at another path, another server, and none.
    let stranger = TestGateway::builder().open_messaging().start();
    for base_url in [
        format!("http://{}", stranger.public.address()),
        format!("{base_url}/voice"),
        gateway.sandbox.base_url().to_owned(),
        "http://127.0.0.1:1".to_owned(),
    ] {
        let other = ask(&base_url);
        let found = (other.code, &other.line("media host")["verdict"]);
        assert_eq!(found, (Some(1), &json!("fail")), "{base_url}");
    }
    let keyless = ("VOICEPOST__GENESYS__OPEN_MESSAGING__FILES_DIR", "/nowhere");
    assert_eq!(beside(&gateway, &base_url, &[keyless]).line("media host")["verdict"], "note");

    let lacking = FaultAction::status(403);
    gateway.trouble(vec![FaultRule::new(Endpoint::CachedMediaDelete, lacking)]);
    let ran = ask(&base_url);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.line("permission conversation:cachedMedia:delete")["verdict"], "fail");
}

/// Genesys knows no authority of ours, and calls webhooks on port 443 only.
#[test]
fn a_certificate_of_ones_own_is_none_for_genesys() {
    let builder = TestGateway::builder().open_messaging();
    let gateway = tls_inbound::shows(builder, "tls-localhost").start();
    let base_url = format!("https://localhost:{}", gateway.public.address().port());
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/tls-authority.pem");
    let ran = beside(&gateway, &base_url, &[("VOICEPOST__TLS__CA_FILE", authority)]);
    let line = ran.line("media host");
    assert_eq!((ran.code, &line["verdict"]), (Some(1), &json!("fail")), "{line}");
    assert!(line["detail"].as_str().unwrap().contains("certificate"), "{line}");
    assert!(line["fix"].as_str().unwrap().contains("public authority"), "{line}");
    assert_eq!(ran.line("media host: port")["verdict"], "note", "on this machine");
}

#[test]
fn the_webhook_is_compared_with_the_integrations() {
    let ours = "a-webhook-secret-of-24-c";
    let gateway = TestGateway::builder()
        .open_messaging()
        .access(|access| access.webhook_secret = Some(Secret::new(ours).into()))
        .start();
    let base_url = format!("http://{}", gateway.public.address());
    let none = beside(&gateway, &base_url, &[]);
    assert_eq!((none.code, &none.line("webhook secret")["verdict"]), (Some(1), &json!("fail")));
    let short = run(&base_url, &[("VOICEPOST_WEBHOOK_SECRET", "fifteen-chars--")]);
    let said = String::from_utf8(short.stderr).unwrap();
    assert_eq!(short.status.code(), Some(1), "{said}");
    assert!(said.contains("VOICEPOST_WEBHOOK_SECRET has 15 bytes"), "{said}");

    let secret = ("VOICEPOST_WEBHOOK_SECRET", ours);
    let webhook = |secret: &str| {
        let url = format!("{base_url}/webhooks/open-messaging");
        let webhook = Webhook { url, secret: secret.to_owned() };
        gateway.sandbox.with(|sandbox| sandbox.set_webhook(webhook));
    };
    webhook(ours);
    let ready = beside(&gateway, &base_url, &[secret]);
    assert_eq!((ready.code, &ready.line("webhook secret")["verdict"]), (Some(0), &json!("ok")));
    assert_eq!(ready.line("webhook")["verdict"], "ok");
    assert_eq!(ready.line("webhook: call")["verdict"], "ok");
    // A gateway with another secret, one without, another server, and none.
    let without = TestGateway::builder().open_messaging().start();
    let without = format!("http://{}", without.public.address());
    let wrong = ("VOICEPOST_WEBHOOK_SECRET", "another-secret-of-24-byt");
    for (base_url, secret, told) in [
        (base_url.as_str(), wrong, "another signature secret"),
        (&without, secret, "takes no webhook"),
        (gateway.sandbox.base_url(), secret, "no gateway"),
        ("http://127.0.0.1:1", secret, "nobody answers"),
    ] {
        let line = beside(&gateway, base_url, &[secret]).line("webhook: call").clone();
        assert_eq!(line["verdict"], "fail", "{line}");
        assert!(line["detail"].as_str().unwrap().contains(told), "{line}");
    }
    webhook("another-secret-of-24-byt");
    let other = beside(&gateway, &base_url, &[secret]);
    assert_eq!((other.code, &other.line("webhook")["verdict"]), (Some(1), &json!("fail")));
    // The id is not there, the secret is: each line is about its own.
    let nobody = beside(&gateway, &base_url, &[secret, ("GENESYS_CLIENT_ID", "")]);
    assert_eq!(nobody.line("credentials")["verdict"], "fail");
    assert_eq!(nobody.line("webhook secret")["verdict"], "ok");
}
