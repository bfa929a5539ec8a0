//! `voicepost send`: one clip to a running gateway, as any other sender would bring it.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use awc::error::{PayloadError, SendRequestError};
use clap::Args;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Ended;
use crate::genesys::http::may_have_arrived;
use crate::genesys::tls;

/// Arguments of `send`.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// The clip
    pub file: PathBuf,
    /// The gateway
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub to: String,
    /// Conversation to send into; needed on the route media-api
    #[arg(long, value_name = "ID")]
    pub conversation: Option<String>,
    /// The guest who speaks
    #[arg(long, value_name = "ID")]
    pub sender: String,
    /// Text for where the audio cannot be heard
    #[arg(long, value_name = "TEXT")]
    pub transcript: Option<String>,
    /// Spoken language, as in en-GB
    #[arg(long, value_name = "TAG")]
    pub language: Option<String>,
    /// Idempotency key: the same clip with the same key is sent only once; without it a new one
    #[arg(long, value_name = "KEY", value_parser = header_value)]
    pub key: Option<String>,
    /// File with the API key or the guest's token to show
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Seconds to wait for the delivery
    #[arg(long, value_name = "SECONDS", conflicts_with = "asynchronous")]
    pub wait: Option<u64>,
    /// Do not wait for the delivery
    #[arg(long = "async")]
    pub asynchronous: bool,
    /// Print the gateway's answer as it came
    #[arg(long)]
    pub json: bool,
}

/// Exit code when the clip was refused.
const REFUSED: u8 = 1;
/// Exit code when the gateway could not be reached, or did not answer.
const UNREACHED: u8 = 2;
/// What an upload may take beside the wait for the delivery.
const UPLOAD_SECONDS_MAX: u64 = 180;
/// The longest wait a gateway grants.
const WAIT_SECONDS_MAX: u64 = 60;
/// A receipt has about 1 kB; this is only so that no answer fills the memory.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What the gateway said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Sends the clip and prints the receipt. Exit code 0: sent or accepted; 1: refused; 2: no answer.
///
/// # Errors
/// When the file cannot be read, or the output not written.
pub fn run(args: &SendArgs) -> Ended {
    let clip = std::fs::read(&args.file)
        .map_err(|error| format!("cannot read {}: {error}", args.file.display()))?;
    // With a key a repeat is safe, whatever becomes of the answer.
    let key = args.key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let args = SendArgs { key: Some(key), ..args.clone() };
    match actix_rt::System::new().block_on(deliver(&args, &clip)) {
        Ok(answer) => {
            let (text, code) = answer.show(&args);
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(code)
        }
        Err(error) => {
            eprintln!("error: {}", unanswered(&args, &*error));
            Ok(ExitCode::from(UNREACHED))
        }
    }
}

/// What happened, and what to do.
fn unanswered(args: &SendArgs, error: &(dyn Error + 'static)) -> String {
    let url = url(args);
    let arrived = match error.downcast_ref::<SendRequestError>() {
        Some(error) => may_have_arrived(error),
        // The answer broke off, or the request was never made.
        None => error.is::<PayloadError>(),
    };
    let key = args.key.as_deref().unwrap_or_default();
    if arrived {
        format!(
            "no answer from {url}: {error}\nThe message may have been taken. Send it again with \
             --key {key}: the same clip with the same key is sent only once"
        )
    } else {
        format!("no answer from {url}: {error}\nNothing was sent")
    }
}

fn url(args: &SendArgs) -> String {
    format!("{}/v1/voice-messages", args.to.trim_end_matches('/'))
}

/// Sends this clip; `args.file` only names it.
pub(super) async fn deliver(args: &SendArgs, clip: &[u8]) -> Result<Answer, Box<dyn Error>> {
    let boundary = Uuid::now_v7().simple().to_string();
    post(args, &url(args), &boundary, form(args, clip, &boundary)).await
}

async fn post(
    args: &SendArgs,
    url: &str,
    boundary: &str,
    body: Vec<u8>,
) -> Result<Answer, Box<dyn Error>> {
    let wait = args.wait.unwrap_or(WAIT_SECONDS_MAX);
    let connector = awc::Connector::new().rustls_0_23(tls::client_config(None)?);
    let mut request = awc::Client::builder()
        .connector(connector)
        .finish()
        .post(url)
        .insert_header((CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}")))
        .timeout(Duration::from_secs(UPLOAD_SECONDS_MAX.saturating_add(wait)));
    if let Some(file) = &args.token_file {
        let token = std::fs::read_to_string(file)
            .map(Zeroizing::new)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        request = request.bearer_auth(token.trim());
    }
    if let Some(key) = &args.key {
        request = request.insert_header(("idempotency-key", key.as_str()));
    }
    if args.asynchronous {
        request = request.insert_header(("prefer", "respond-async"));
    } else if let Some(seconds) = args.wait {
        request = request.insert_header(("prefer", format!("wait={seconds}")));
    }
    let mut response = request.send_body(body).await?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let location = header(LOCATION).map(str::to_owned);
    let announced = header(CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    let body = response.body().limit(ANSWER_BYTES_MAX).await?.to_vec();
    // awc takes a body that breaks off for a whole one.
    if announced.is_some_and(|bytes| body.len() < bytes) {
        return Err(PayloadError::Incomplete(None).into());
    }
    Ok(Answer { status: response.status(), location, body })
}

/// The request body, `multipart/form-data` (RFC 7578).
fn form(args: &SendArgs, clip: &[u8], boundary: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(clip.len() + 1024);
    let fields = [
        ("conversation_id", args.conversation.as_ref()),
        ("sender_id", Some(&args.sender)),
        ("transcript", args.transcript.as_ref()),
        ("language", args.language.as_ref()),
    ];
    for (name, value) in fields {
        let Some(value) = value else { continue };
        let part = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
         content-type: application/octet-stream\r\n\r\n",
        file_name(&args.file)
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(clip);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}

/// The name without its directory; quotes and line ends escaped as browsers do (HTML, "multipart
/// form data").
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn header_value(text: &str) -> Result<String, String> {
    match HeaderValue::from_str(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("must be visible characters, as a header carries them".to_owned()),
    }
}

impl Answer {
    /// What to print, and the exit code.
    fn show(&self, args: &SendArgs) -> (String, ExitCode) {
        let good = self.status.is_success();
        let code = if good { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) };
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = if args.json {
            format!("{}\n", String::from_utf8_lossy(&self.body).trim_end())
        } else if good {
            receipt(&body, self.location.as_deref())
        } else {
            self.refusal(&body)
        };
        (text, code)
    }

    fn refusal(&self, problem: &Value) -> String {
        match (problem["code"].as_str(), problem["detail"].as_str()) {
            (Some(code), Some(detail)) => format!("refused: {code}: {detail}\n"),
            (Some(code), None) => format!("refused: {code}\n"),
            // Somebody between us and the gateway answered.
            _ => format!("refused: HTTP {}, without a problem document\n", self.status),
        }
    }
}

/// The receipt in a few lines; what it does not hold is left out.
fn receipt(receipt: &Value, location: Option<&str>) -> String {
    let text = |pointer: &str| receipt.pointer(pointer).and_then(Value::as_str);
    let number = |pointer: &str| receipt.pointer(pointer).and_then(Value::as_u64);
    let mut lines = String::new();
    let status = text("/status").unwrap_or("answered, but without a status");
    let _ = writeln!(lines, "{status}: voice message {}", text("/id").unwrap_or("without an id"));
    if let Some(conversation) = text("/conversation_id") {
        let message = text("/message_id").map(|id| format!(", as message {id}"));
        let _ = writeln!(lines, "  conversation  {conversation}{}", message.unwrap_or_default());
    }
    if let (Some(media_type), Some(codec)) = (text("/media/media_type"), text("/media/codec")) {
        let seconds = number("/media/duration_ms").unwrap_or_default() as f64 / 1000.0;
        let bytes = number("/media/bytes").unwrap_or_default();
        let _ = writeln!(
            lines,
            "  audio         {media_type} ({codec}), {seconds:.2} s, {bytes} bytes"
        );
    }
    if let Some(source) = text("/transcript/source") {
        let _ = writeln!(lines, "  transcript    {source}");
    }
    if receipt.pointer("/delivery/possible_duplicate") == Some(&Value::Bool(true)) {
        let _ = writeln!(lines, "  delivery      may show twice in the conversation");
    }
    if let Some(at) = text("/delivery/next_attempt_at") {
        let _ = writeln!(lines, "  delivery      goes on at {at}");
    }
    if let Some(state) = text("/purge/state") {
        let due = text("/purge/due_at").map(|at| format!(", due at {at}")).unwrap_or_default();
        let _ = writeln!(lines, "  purge         {state}{due}");
    }
    if let Some(location) = location {
        let _ = writeln!(lines, "  receipt       {location}");
    }
    lines
}
