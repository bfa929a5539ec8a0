//! The command line: one file per subcommand. What a subcommand prints on standard output is its
//! result, for people or (with `--json`) for programs; everything else goes to standard error.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::domain::RouteName;
use crate::settings::SettingsError;

pub mod check_config;
pub mod demo;
mod demo_agent;
mod demo_pages;
mod demo_steps;
pub mod doctor;
pub mod erase;
pub mod inspect;
pub mod keys;
pub mod sandbox;
pub mod send;
pub mod serve;

/// How a subcommand ended: its exit code, or an error that ends the process with code 1.
pub type Ended = Result<ExitCode, Box<dyn Error>>;

/// Gives a Genesys Cloud web chat a microphone.
#[derive(Debug, Parser)]
#[command(name = "voicepost", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// Settings file: over the built-in config.toml, under the VOICEPOST__* variables
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run sandbox and gateway together, send a clip the whole way, and print each step
    Demo(DemoArgs),
    /// Run the gateway
    Serve,
    /// Run the stand-in for Genesys Cloud by itself
    Sandbox(SandboxArgs),
    /// Send a clip to a running gateway
    Send(send::SendArgs),
    /// Say of each file whether it would be accepted, and what it is
    Inspect(inspect::InspectArgs),
    /// Make, list and revoke the API keys of backends
    Keys(keys::KeysArgs),
    /// Have a running gateway remove everything of a guest, and say what came of it
    Erase(erase::EraseArgs),
    /// Try out everything the gateway needs of Genesys, and say what to change
    Doctor(doctor::DoctorArgs),
    /// Print the effective settings, and where each comes from
    CheckConfig(check_config::CheckConfigArgs),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End once the purge is proven, instead of going on serving
    #[arg(long)]
    pub once: bool,
    /// The route to show; on media-api agents cannot answer
    #[arg(long, default_value = "open-messaging", value_parser = route_name)]
    pub route: RouteName,
    /// Port of the gateway on 127.0.0.1
    #[arg(long)]
    pub port: Option<u16>,
    /// Print each step as one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub listen: SocketAddr,
    /// Where agents' answers to open messages are sent; without it they cannot answer
    #[arg(long, value_name = "URL", requires = "webhook_secret")]
    pub webhook_url: Option<String>,
    /// The key their signatures are made with
    #[arg(long, value_name = "TEXT")]
    pub webhook_secret: Option<String>,
    /// A media type the content profile lets in, e.g. `audio/*`; may be repeated [default: all]
    #[arg(long, value_name = "TYPE")]
    pub inbound_media: Vec<String>,
}

/// Turns what a subcommand came to into the exit code, and tells an error on standard error.
pub fn finish(ended: Ended) -> ExitCode {
    ended.unwrap_or_else(|error| {
        match error.downcast_ref() {
            Some(SettingsError::Invalid(problems)) => {
                problems.iter().for_each(|problem| eprintln!("error: {problem}"));
            }
            _ => eprintln!("error: {error}"),
        }
        ExitCode::FAILURE
    })
}

fn route_name(text: &str) -> Result<RouteName, String> {
    let names = RouteName::ALL.iter().map(|route| route.as_str()).collect::<Vec<_>>().join(", ");
    RouteName::parse(text).ok_or(format!("the routes are: {names}"))
}
