//! `voicepost demo`: sandbox and gateway in one process, and a clip that goes the whole way. Each
//! step is printed when it has happened, as the ledger's history tells it.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::demo_steps::Steps;
use super::send::{self, SendArgs};
use super::{DemoArgs, Ended, serve};
use super::{demo_agent, demo_pages};
use crate::app::App;
use crate::domain::{CopyKind, CopyState, MessageId, PurgeState, Record, RouteName};
use crate::sandbox::{SandboxServer, SandboxSettings};
use crate::settings::{AccessSecrets, Credentials, LedgerUrl, LiveSecret, Secret, Settings};
use crate::telemetry;

/// The clip: five seconds of synthetic speech, Ogg Opus.
const CLIP: &[u8] = include_bytes!("../../tests/fixtures/audio/hello.ogg");
/// The demo's copies live this long, so that one can watch them go: with `--once` nobody listens to
/// them before.
const TTL_SECONDS: u64 = 30;
/// On `open-messaging` the agent is to answer meanwhile.
const TTL_SECONDS_ANSWERED: u64 = 45;
const TTL_SECONDS_ONCE: u64 = 4;
/// The demo's floor between post and delete.
const DELAY_SECONDS_MIN: u64 = 2;
/// How often the history is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The whole way, purge included, takes little more than the life of a copy; longer is a failure.
const WHOLE_WAY_MAX: Duration = Duration::from_secs(60);
/// Port of the gateway, unless `--port` says otherwise: that of `serve`.
const PORT: u16 = 8080;

/// Runs the demo. With `--once` exit code 0 says that the purge is proven.
///
/// # Errors
/// When sandbox or gateway cannot start.
pub fn run(config: Option<&Path>, args: &DemoArgs) -> Ended {
    let mut settings = Settings::load(config)?;
    settings.log.filter = if args.json { "error" } else { "warn" }.to_owned();
    telemetry::init(&settings.log)?;
    let data = std::env::temp_dir().join(format!("voicepost-demo-{}", std::process::id()));
    let ended = actix_rt::System::new().block_on(demo(settings, args, &data));
    // Nothing of a demo is worth keeping; what cannot be deleted lies in the temporary folder.
    let _ = std::fs::remove_dir_all(&data);
    ended
}

async fn demo(mut settings: Settings, args: &DemoArgs, data: &Path) -> Ended {
    let steps = Steps::new(args.json);
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = SandboxServer::start(SandboxSettings::default(), TcpListener::bind(any_port)?)?;
    let sandbox = Arc::new(sandbox);
    let url = sandbox.base_url().to_owned();
    let ttl_seconds = match args.route {
        _ if args.once => TTL_SECONDS_ONCE,
        RouteName::MediaApi => TTL_SECONDS,
        RouteName::OpenMessaging => TTL_SECONDS_ANSWERED,
    };
    let usual = usual(&settings, args.route);
    settings.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port(args)));
    settings.admin.listen = any_port;
    settings.genesys.route = Some(args.route);
    settings.genesys.login_url = Some(url.clone());
    settings.genesys.api_url = Some(url.clone());
    settings.purge.ttl_seconds = ttl_seconds;
    settings.purge.delay_seconds_min = DELAY_SECONDS_MIN;
    settings.ledger.url = LedgerUrl::Sqlite(data.join("voicepost.db"));
    settings.spool.dir = data.join("spool");
    let webhook_secret = match args.route {
        RouteName::MediaApi => None,
        RouteName::OpenMessaging => {
            let secret = demo_agent::prepare(&mut settings, &sandbox, data, ttl_seconds)?;
            Some(LiveSecret::from(secret))
        }
    };
    let SandboxSettings { client_id, client_secret, .. } = SandboxSettings::default();
    let client_secret = Secret::new(client_secret).into();
    let access = AccessSecrets { webhook_secret, ..AccessSecrets::default() };
    let credentials = Credentials { client_id, client_secret, access };
    let pages = demo_pages::pages(&sandbox, args.route);
    let app = App::start(&settings, credentials, serve::fatal(), Some(pages)).await?;
    if !args.once {
        steps.invitation(&app);
    }
    steps.started(&url, &app, [DELAY_SECONDS_MIN, ttl_seconds], usual);
    let proven = whole_way(args.route, &app, &sandbox, &steps).await;
    let code = match (args.once, proven) {
        (true, Ok(true)) => ExitCode::SUCCESS,
        (true, Ok(false)) => ExitCode::FAILURE,
        (true, Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        (false, _) => {
            follow_until_stopped(&app, &steps).await?;
            ExitCode::SUCCESS
        }
    };
    app.drain().await;
    sandbox.close();
    Ok(code)
}

/// The floor after a post and the life of copies, in seconds, as `serve` would have them.
fn usual(settings: &Settings, route: RouteName) -> [u64; 2] {
    let life = match route {
        RouteName::MediaApi => settings.purge.ttl_seconds,
        RouteName::OpenMessaging => settings.genesys.open_messaging.serve_seconds,
    };
    [settings.purge.delay_seconds_min, life]
}

/// The port that was asked for; else `serve`'s, or a free one where that is taken or nobody looks.
fn port(args: &DemoArgs) -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let usual = Some(PORT).filter(|_| !args.once).filter(free);
    args.port.or(usual).unwrap_or(0)
}

/// Sends the clip and shows every step until its purge is proven by both sides.
async fn whole_way(
    route: RouteName,
    app: &App,
    sandbox: &SandboxServer,
    steps: &Steps,
) -> Result<bool, Box<dyn Error>> {
    let args = SendArgs {
        file: "hello.ogg".into(),
        to: format!("http://{}", app.addresses.public),
        conversation: route.asks_for_a_conversation().then(|| "demo-conversation".to_owned()),
        sender: "demo-guest".to_owned(),
        transcript: Some(
            "Hello. My flight lands later than planned. Could you hold my room, please?".to_owned(),
        ),
        language: Some("en".to_owned()),
        key: None,
        token_file: None,
        wait: None,
        asynchronous: false,
        json: true,
    };
    steps.sending(CLIP.len());
    let mut seq = 0;
    let deadline = tokio::time::Instant::now() + WHOLE_WAY_MAX;
    let mut sending = std::pin::pin!(send::deliver(&args, CLIP));
    let answer = loop {
        tokio::select! {
            answer = &mut sending => break answer?,
            () = tokio::time::sleep(LOOK) => seq = show_new(app, steps, seq).await?,
        }
    };
    seq = show_new(app, steps, seq).await?;
    let receipt: Value = serde_json::from_slice(&answer.body)?;
    steps.answered(answer.status.as_u16(), &receipt);
    let id = receipt["id"].as_str().and_then(MessageId::parse).ok_or("the receipt has no id")?;
    let heard_at = match route {
        RouteName::MediaApi => None,
        RouteName::OpenMessaging => {
            Some(demo_agent::hear_and_answer(app, sandbox, steps, &receipt).await?)
        }
    };
    loop {
        seq = show_new(app, steps, seq).await?;
        let record = app.pipeline.find(id, None).await.map_err(|problem| problem.detail)?;
        let state = record.purge_state(app.pipeline.clock().now());
        if is_purged(&record, state) && record.posted_at.is_some() {
            show_new(app, steps, seq).await?;
            return match heard_at {
                Some(url) => demo_agent::confirmed(app, sandbox, steps, &url).await,
                None => Ok(confirmed(sandbox, steps)),
            };
        }
        if tokio::time::Instant::now() > deadline {
            steps.say("failed", "the purge was not proven in time", json!({ "state": state }));
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether every copy is proven gone; recordings apart, which are said to be not possible.
fn is_purged(record: &Record, state: PurgeState) -> bool {
    let gone = |copy: &crate::domain::Copy| match copy.kind {
        CopyKind::Recording => copy.state == CopyState::NotPossible,
        _ => copy.state == CopyState::Gone,
    };
    match state {
        PurgeState::Purged => true,
        PurgeState::Incomplete => record.copies.iter().all(gone),
        _ => false,
    }
}

/// The other side's word: everything that arrived there is deleted.
fn confirmed(sandbox: &SandboxServer, steps: &Steps) -> bool {
    let summary = sandbox.with(|sandbox| sandbox.account().summary());
    let clean = summary.uploads > 0 && summary.uploads_alive == 0;
    let text = format!(
        "the sandbox confirms: {} uploaded, {} posted, {} still there",
        summary.uploads, summary.posts, summary.uploads_alive
    );
    steps.say(if clean { "proven" } else { "failed" }, &text, json!({ "clean": clean }));
    clean
}

async fn show_new(app: &App, steps: &Steps, after_seq: u64) -> Result<u64, Box<dyn Error>> {
    let rows = app.pipeline.ledger().history_after(None, after_seq, 100).await?;
    let last = rows.last().map_or(after_seq, |row| row.seq);
    for row in &rows {
        let record = app.pipeline.find(row.message_id, None).await.ok();
        steps.happened(row, record.as_ref());
    }
    Ok(last)
}

/// Goes on serving, and shows what happens, until a signal comes.
async fn follow_until_stopped(app: &App, steps: &Steps) -> Result<(), Box<dyn Error>> {
    let mut stop = std::pin::pin!(serve::stop_signal());
    let rows = app.pipeline.ledger().history_after(None, 0, u32::MAX).await?;
    let mut seq = rows.last().map_or(0, |row| row.seq);
    loop {
        tokio::select! {
            stopped = &mut stop => return Ok(stopped?),
            () = tokio::time::sleep(LOOK * 10) => seq = show_new(app, steps, seq).await?,
        }
    }
}
