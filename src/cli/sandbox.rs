//! `voicepost sandbox`: the stand-in for Genesys Cloud by itself.

use std::net::TcpListener;
use std::process::ExitCode;

use super::{Ended, SandboxArgs, serve};
use crate::sandbox::{SandboxServer, SandboxSettings};

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
    let (client_id, client_secret) = (settings.client_id.clone(), settings.client_secret.clone());
    let sandbox = SandboxServer::start(settings, listener)?;
    let url = sandbox.base_url();
    println!("sandbox on {url}: open it to see the conversations");
    println!("a gateway that talks to it:");
    println!("  GENESYS_CLIENT_ID={client_id} GENESYS_CLIENT_SECRET={client_secret} \\");
    println!("  VOICEPOST__GENESYS__ROUTE=media-api \\");
    println!("  VOICEPOST__GENESYS__LOGIN_URL={url} VOICEPOST__GENESYS__API_URL={url} \\");
    println!("  voicepost serve");
    actix_rt::System::new().block_on(serve::stop_signal())?;
    sandbox.stop();
    Ok(ExitCode::SUCCESS)
}
