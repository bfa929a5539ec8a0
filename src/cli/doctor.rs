//! `voicepost doctor`: tries out what the gateway needs of Genesys, with the gateway's settings and
//! credentials, and says for each thing what to change. Nothing it does has an effect there.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::Ended;
use crate::access::WebhookKey;
use crate::clock::Clock;
use crate::domain::{Finding, RouteName, Verdict};
use crate::genesys::http::{HttpLimits, HttpTransport};
use crate::genesys::oauth::{self, Exchange};
use crate::genesys::open_messaging::{CheckUp, ExpectedWebhook};
use crate::genesys::reach::Reach;
use crate::genesys::{media_api, tls};
use crate::hosted;
use crate::settings::{AccessSecrets, Credentials, Environment, Secret, Settings};
use crate::telemetry::Metrics;
use crate::web::WEBHOOK_PATH;

/// What Genesys signs its calls of the webhook with.
const WEBHOOK_SECRET: &str = "VOICEPOST_WEBHOOK_SECRET";
/// What nobody is shown.
const EVENT: &str = r#"{"type":"Event"}"#;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Prints what was found. Exit code 1 where something would fail.
///
/// # Errors
/// Settings that `serve` would not start with.
pub fn run(config: Option<&Path>, args: &DoctorArgs) -> Ended {
    let settings = Settings::load(config)?;
    let route = settings.route()?;
    let environment = Environment::of_process()?;
    settings.check_access(&AccessSecrets::load_from(&environment)?)?;
    let findings = actix_rt::System::new().block_on(examine(&settings, &environment, route))?;
    let text = if args.json { as_json(route, &findings) } else { as_text(route, &findings) };
    std::io::stdout().write_all(text.as_bytes())?;
    let failing = findings.iter().any(|finding| finding.verdict == Verdict::Failing);
    Ok(if failing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(
    settings: &Settings,
    environment: &Environment,
    route: RouteName,
) -> Result<Vec<Finding>, tls::TlsError> {
    let genesys = &settings.genesys;
    let (login_url, api_url) = (genesys.login_url(), genesys.api_url());
    let tls = tls::client_config(settings.tls.ca_file.as_deref())?;
    let clock = Clock::system();
    let connect_timeout = Duration::from_secs(genesys.connect_timeout_seconds);
    let limits = HttpLimits {
        connect_timeout,
        call_timeout: Duration::from_secs(genesys.timeout_seconds),
        connections_max: 1,
    };
    let reach = Reach::new(tls.clone(), connect_timeout, clock.clone());
    let transport = HttpTransport::new(limits, tls, clock, Metrics::new());

    let mut findings = reach.host("login host", "genesys.domain", &login_url).await;
    if api_url != login_url {
        findings.extend(reach.host("API host", "genesys.domain", &api_url).await);
    }
    let (signed_in, granted) = match Credentials::load_from(environment) {
        Ok(credentials) => sign_in(oauth::exchange(&transport, &login_url, &credentials).await),
        Err(error) => {
            let fix = "set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET, or the *_FILE of each";
            (Finding::failing("credentials", error.to_string(), fix), None)
        }
    };
    findings.push(signed_in);
    match (route, granted) {
        (RouteName::MediaApi, Some((_, scope))) => {
            findings.extend(media_api::check_up(scope.as_deref()));
        }
        (RouteName::OpenMessaging, Some((token, _))) => {
            let integration_id = &genesys.open_messaging.integration_id;
            let (base_url, token) = (api_url.as_str(), &token);
            let webhook = webhook(settings, environment);
            let webhook = webhook.as_ref();
            let check_up =
                CheckUp { transport: &transport, base_url, token, integration_id, webhook };
            findings.extend(check_up.findings().await);
        }
        (_, None) => {}
    }
    if route == RouteName::OpenMessaging {
        let base_url = settings.public.base_url.as_deref().unwrap_or_default();
        let ended = ended_segment(settings, environment);
        // Genesys does not know the authorities of tls.ca_file.
        let reach = Reach::new(tls::client_config(None)?, connect_timeout, Clock::system());
        findings.extend(reach.media_host(base_url, ended.as_deref()).await);
        findings.push(webhook_secret(environment));
        if let Some(ExpectedWebhook { url, secret }) = webhook(settings, environment) {
            let signature = WebhookKey::signature(&secret, EVENT.as_bytes());
            findings.push(reach.webhook(&url, EVENT, &signature).await);
        }
    }
    Ok(findings)
}

/// An address that has ended. Where its user's files cannot be read, it is as if there were none.
fn ended_segment(settings: &Settings, environment: &Environment) -> Option<String> {
    let secrets = AccessSecrets::load_from(environment).unwrap_or_default();
    let data_key = secrets.data_key.map(|key| key.current());
    let files_dir = &settings.genesys.open_messaging.files_dir;
    hosted::ended_segment(files_dir, data_key.as_ref().map(Secret::expose)).unwrap_or_default()
}

type Granted = (Secret, Option<String>);

fn sign_in(exchange: Exchange) -> (Finding, Option<Granted>) {
    const SUBJECT: &str = "credentials";
    match exchange {
        Exchange::Granted { token, expires_in_seconds, scope } => {
            let life = expires_in_seconds.map(|seconds| format!(" for {seconds} s"));
            let detail = format!("a token is granted{}", life.unwrap_or_default());
            (Finding::fine(SUBJECT, detail), Some((token, scope)))
        }
        Exchange::BadCredentials => {
            let detail = "OAuth token invalid or expired. Check client credentials.";
            let fix = "compare GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET with the OAuth client \
                       (grant type Client Credentials), and see that it is enabled";
            (Finding::failing(SUBJECT, detail, fix), None)
        }
        Exchange::MissingScopes => {
            let detail = "the login host refuses the client (403)";
            let fix = "grant the client what its route needs: media:upload and webchat:write \
                       (media-api), or roles (open-messaging)";
            (Finding::failing(SUBJECT, detail, fix), None)
        }
        Exchange::Unavailable { detail, .. } => {
            let fix = "see the lines about the login host, then ask again";
            (Finding::failing(SUBJECT, detail, fix), None)
        }
    }
}

/// Whether agents' replies can come back.
fn webhook_secret(environment: &Environment) -> Finding {
    const SUBJECT: &str = "webhook secret";
    let fix = format!("set {WEBHOOK_SECRET} to the signature secret of the integration");
    match Credentials::webhook_secret(environment) {
        Ok(Some((variable, _))) => Finding::fine(SUBJECT, format!("set, by {variable}")),
        Ok(None) => Finding::failing(SUBJECT, "not set; agents' replies do not come back", fix),
        Err(error) => Finding::failing(SUBJECT, error.to_string(), fix),
    }
}

/// The webhook as the gateway will have it; `None` without a secret.
fn webhook(settings: &Settings, environment: &Environment) -> Option<ExpectedWebhook> {
    let (_, secret) = Credentials::webhook_secret(environment).ok().flatten()?;
    let base_url = settings.public.base_url.as_deref()?.trim_end_matches('/');
    Some(ExpectedWebhook { url: format!("{base_url}{WEBHOOK_PATH}"), secret: secret.current() })
}

/// What Genesys may answer later that nothing shows now.
fn later(route: RouteName) -> &'static [(&'static str, &'static str)] {
    match route {
        RouteName::MediaApi => &media_api::COMMON_ERRORS,
        RouteName::OpenMessaging => &[],
    }
}

fn as_text(route: RouteName, findings: &[Finding]) -> String {
    let mut text = format!("route {route}\n");
    for Finding { subject, verdict, detail, fix } in findings {
        let _ = writeln!(text, "{:<4}  {subject}: {detail}", verdict.as_str());
        if let Some(fix) = fix {
            let _ = writeln!(text, "      → {fix}");
        }
    }
    for (status, words) in later(route) {
        let _ = writeln!(text, "      if Genesys answers {status}: {words}");
    }
    let failing = findings.iter().filter(|finding| finding.verdict == Verdict::Failing).count();
    let end = match failing {
        0 => "nothing would fail".to_owned(),
        count => format!("{count} of {} would fail", findings.len()),
    };
    let _ = writeln!(text, "{end}");
    text
}

fn as_json(route: RouteName, findings: &[Finding]) -> String {
    let line = |finding: &Finding| -> Value {
        json!({
            "subject": finding.subject, "verdict": finding.verdict.as_str(),
            "detail": finding.detail, "fix": finding.fix,
        })
    };
    let lines: Vec<Value> = findings.iter().map(line).collect();
    let later: Vec<Value> = later(route)
        .iter()
        .map(|(status, words)| json!({ "status": status, "words": words }))
        .collect();
    format!("{:#}\n", json!({ "route": route, "findings": lines, "later": later }))
}
