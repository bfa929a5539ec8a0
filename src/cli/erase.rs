//! `voicepost erase`: everything of a guest goes, at a running gateway. What it prints says what is
//! removed, what is on its way, and what nobody can prove.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::http::Method;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Ended;
use crate::genesys::tls;
use crate::settings::{AccessSecrets, Environment, Secret, Settings};

/// Arguments of `erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The guest, as their messages name the sender
    #[arg(long, value_name = "ID")]
    pub sender: String,
    /// Who made the guest's tokens (`iss`), where `auth.jwt_issuer` is empty or was another
    #[arg(long, value_name = "ISS")]
    pub issuer: Option<String>,
    /// The operators' listener; else the settings' `admin.listen`
    #[arg(long, value_name = "URL")]
    pub at: Option<String>,
    /// Seconds to wait until nothing is on its way any more
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    pub wait: u64,
    /// Print the gateway's last answer as it came
    #[arg(long)]
    pub json: bool,
}

/// Exit code when the order was refused.
const REFUSED: u8 = 1;
/// Exit code when the gateway could not be reached, or did not answer.
const UNREACHED: u8 = 2;
/// Exit code when something is still on its way, or cannot be proven.
const NOT_PROVEN: u8 = 3;
/// Time for one answer: a large ledger is looked through once or twice.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How often it is looked how far it has come.
const LOOK: Duration = Duration::from_millis(500);

/// Has the guest erased and prints what came of it. Exit code 0: all that was found is removed, and
/// proven to be;
/// 1: refused; 2: no answer; 3: promised, and some of it on its way or not to be proven.
///
/// # Errors
/// When settings or key cannot be read, or the output not written.
pub fn run(args: &EraseArgs, config: Option<&Path>) -> Ended {
    let settings = Settings::load(config)?;
    let key = AccessSecrets::load_from(&Environment::of_process()?)?.admin_key;
    let base_url = args.at.clone().unwrap_or_else(|| base_url(&settings));
    let base_url = base_url.trim_end_matches('/').to_owned();
    let tls = tls::client_config(settings.tls.ca_file.as_deref())?;
    let asked = actix_rt::System::new().block_on(async {
        let connector = awc::Connector::new().rustls_0_23(tls);
        let client = awc::Client::builder().connector(connector).timeout(ANSWER_WITHIN).finish();
        let key = key.map(|key| key.current());
        erase(args, &Gateway { base_url: &base_url, client, key }).await
    });
    match asked {
        Ok((status, body)) => {
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            let refused = !(200..300).contains(&status);
            let text = match (args.json, refused) {
                (true, _) => format!("{}\n", String::from_utf8_lossy(&body).trim_end()),
                (false, true) => refusal(status, &answer),
                (false, false) => table(&answer),
            };
            std::io::stdout().write_all(text.as_bytes())?;
            let proven = answer["done"] == true && answer["unproven"] == json!([]);
            Ok(match (refused, proven) {
                (true, _) => ExitCode::from(REFUSED),
                (false, true) => ExitCode::SUCCESS,
                (false, false) => ExitCode::from(NOT_PROVEN),
            })
        }
        Err(error) => {
            eprintln!("error: no answer from {base_url}: {error}");
            Ok(ExitCode::from(UNREACHED))
        }
    }
}

fn base_url(settings: &Settings) -> String {
    let scheme = if settings.admin_speaks_tls() { "https" } else { "http" };
    format!("{scheme}://{}", settings.admin.listen)
}

/// Where operators ask, and what they show there.
struct Gateway<'a> {
    base_url: &'a str,
    client: awc::Client,
    key: Option<Secret>,
}

type Answer = Result<(u16, Vec<u8>), Box<dyn Error>>;

impl Gateway<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base_url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let mut response = match body {
            Some(body) => request.send_json(body).await?,
            None => request.send().await?,
        };
        let status = response.status().as_u16();
        Ok((status, response.body().limit(ANSWER_BYTES_MAX).await?.to_vec()))
    }
}

async fn erase(args: &EraseArgs, gateway: &Gateway<'_>) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(args.wait);
    let mut order = json!({"sender_id": args.sender});
    if let Some(issuer) = &args.issuer {
        order["issuer"] = json!(issuer);
    }
    let (mut status, mut body) = gateway.ask(Method::POST, "/admin/erasures", Some(&order)).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(id) = answer["id"].as_str() else { return Ok((status, body)) };
    let path = format!("/admin/erasures/{id}");
    let mut done = answer["done"] == true;
    while !done && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        (status, body) = gateway.ask(Method::GET, &path, None).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        done = answer["done"] != false;
    }
    Ok((status, body))
}

fn refusal(status: u16, problem: &Value) -> String {
    match (problem["code"].as_str(), problem["detail"].as_str()) {
        (Some(code), Some(detail)) => format!("refused: {code}: {detail}\n"),
        _ => format!("refused: HTTP {status}, without a problem document\n"),
    }
}

/// What became of everything, in three parts.
fn table(answer: &Value) -> String {
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    let (found, removed) = (number("messages_found"), number("messages_removed"));
    let copies = |state: &str| {
        let all = answer["copies"].as_array().into_iter().flatten();
        all.filter(|copy| copy["state"] == state).fold(String::new(), |mut text, copy| {
            let kind = copy["kind"].as_str().unwrap_or_default();
            let _ = write!(text, ", {} {kind}", copy["count"]);
            text
        })
    };
    let mut text = format!("erasure {}\n", answer["id"].as_str().unwrap_or_default());
    let _ = writeln!(
        text,
        "  removed        {removed} of {found} messages (record, words, identity, history, key, \
         clip here){}",
        copies("gone")
    );
    let _ = writeln!(
        text,
        "  on its way     {} messages{}",
        found.saturating_sub(removed),
        copies("owed")
    );
    for (state, why) in [
        ("not-possible", "no call of this route deletes it"),
        ("orphaned", "it may exist, and its id was never told to us"),
        ("given-up", "an operator decided to stop trying"),
    ] {
        let copies = copies(state);
        if let Some(copies) = copies.strip_prefix(", ") {
            let _ = writeln!(text, "  not provable   {copies}: {why}");
        }
    }
    text + NOT_OURS
}

/// What no erasure reaches.
const NOT_OURS: &str = "  not touched    what stands in the conversation at Genesys (texts), \
    backups of this disk, and records\n                 whose last purge was proven before: they \
    say no longer whose they were. Those of tokens do,\n                 where auth.jwt_issuer or \
    --issuer names who made them\n";
