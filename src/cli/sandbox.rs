//! `voicepost sandbox`: the stand-in for Genesys Cloud by itself.

use std::net::TcpListener;
use std::process::ExitCode;

use super::{Ended, SandboxArgs, serve};
use crate::sandbox::{SandboxServer, SandboxSettings};
use crate::web::WEBHOOK_PATH;

/// Where `serve` listens unless it is told otherwise.
const GATEWAY: &str = "http://127.0.0.1:8080";

fn settings(args: &SandboxArgs) -> SandboxSettings {
    let mut settings = SandboxSettings {
        webhook_url: args.webhook_url.clone().unwrap_or_default(),
        webhook_secret: args.webhook_secret.clone().unwrap_or_default(),
        ..SandboxSettings::default()
    };
    if !args.inbound_media.is_empty() {
        settings.inbound_media.clone_from(&args.inbound_media);
    }
    settings
}

/// Runs the sandbox until it is told to stop.
///
/// # Errors
/// When the address cannot be listened on.
pub fn run(args: &SandboxArgs) -> Ended {
    let listener = TcpListener::bind(args.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let settings = settings(args);
    let said = advice(&settings);
    let sandbox = SandboxServer::start(settings, listener)?;
    let url = sandbox.base_url();
    println!("sandbox on {url}: open it to see the conversations");
    println!("{}", said.replace("{url}", url));
    actix_rt::System::new().block_on(serve::stop_signal())?;
    sandbox.stop();
    Ok(ExitCode::SUCCESS)
}

/// How a gateway is started that talks to it, on each route; `{url}` is where the sandbox is.
fn advice(settings: &SandboxSettings) -> String {
    let SandboxSettings { client_id, client_secret, integration_id, .. } = settings;
    let common = format!(
        "GENESYS_CLIENT_ID={client_id} GENESYS_CLIENT_SECRET={client_secret} \\
  VOICEPOST__GENESYS__LOGIN_URL={{url}} VOICEPOST__GENESYS__API_URL={{url}} \\"
    );
    // The secret is the caller's own: it is not repeated.
    let answers = match settings.webhook_url.as_str() {
        "" => format!(
            "agents cannot answer: for that start this with --webhook-url {GATEWAY}{WEBHOOK_PATH} \
             --webhook-secret TEXT"
        ),
        webhook_url => format!("agents' answers go to {webhook_url}"),
    };
    format!(
        "a gateway that talks to it, on the route media-api:
  {common}
  VOICEPOST__GENESYS__ROUTE=media-api \\
  voicepost serve
and on the route open-messaging, TEXT being what answers are signed with (16 characters or more):
  {common}
  VOICEPOST__GENESYS__ROUTE=open-messaging VOICEPOST_WEBHOOK_SECRET=TEXT \\
  VOICEPOST__GENESYS__OPEN_MESSAGING__INTEGRATION_ID={integration_id} \\
  VOICEPOST__PUBLIC__BASE_URL={GATEWAY} \\
  voicepost serve
{answers}"
    )
}
