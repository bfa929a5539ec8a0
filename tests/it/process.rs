//! The real program as a child process, in front of a sandbox that lives in the test.
//!
//! A [`World`] is what outlives the process: sandbox, data directory, settings. A [`Gateway`] is
//! one life of the process; dropped, it is killed.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use voicepost::domain::RouteName;
use voicepost::sandbox::{
    Account, Endpoint, FaultAction, FaultRule, Latency, SandboxServer, SandboxSettings,
};

pub use crate::child::Process;
pub use crate::sender::{Answer, Send};
use crate::sender::{exchange, request};
use crate::ways;

/// The longest any single wait of a test takes before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Lines of a gateway's log that are shown where a test fails.
const LOG_SHOWN: usize = 60;

/// Everything that outlives a process: Genesys, the data, the settings.
pub struct World {
    pub sandbox: SandboxServer,
    pub data: tempfile::TempDir,
    /// The way into Genesys.
    pub route: RouteName,
    settings: Vec<(String, String)>,
    variables: Vec<(String, Option<String>)>,
}

impl World {
    /// A world with the settings' defaults, short pauses, no waveforms, and these settings on top:
    /// `("PURGE__TTL_SECONDS", "3")`.
    pub fn new(settings: &[(&str, &str)]) -> World {
        World::on(RouteName::MediaApi, settings)
    }

    /// The same on this route.
    pub fn on(route: RouteName, settings: &[(&str, &str)]) -> World {
        World::made(&std::env::temp_dir(), route, settings)
    }

    /// The same with its data below this directory.
    pub fn within(parent: &Path, settings: &[(&str, &str)]) -> World {
        World::made(parent, RouteName::MediaApi, settings)
    }

    fn made(parent: &Path, route: RouteName, settings: &[(&str, &str)]) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let sandbox = SandboxServer::start(SandboxSettings::default(), listener).unwrap();
        let data = tempfile::tempdir_in(parent).expect("a temporary directory");
        let path = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
        let mut all: Vec<(String, String)> = [
            ("SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("SERVER__WORKERS", "2".to_owned()),
            ("ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
            ("GENESYS__LOGIN_URL", sandbox.base_url().to_owned()),
            ("GENESYS__API_URL", sandbox.base_url().to_owned()),
            ("DELIVERY__PAUSE_MS_MIN", "100".to_owned()),
            ("DELIVERY__LATER_PAUSE_MS_MIN", "100".to_owned()),
            // Receipts and histories must not depend on who was faster.
            ("AUDIO__WAVEFORMS", "false".to_owned()),
            ("PURGE__PAUSE_MS_MIN", "100".to_owned()),
            ("PURGE__TTL_SECONDS", "1".to_owned()),
            ("PURGE__DELAY_SECONDS_MIN", "1".to_owned()),
            ("LEDGER__URL", format!("sqlite:{}", path("voicepost.db"))),
            ("SPOOL__DIR", path("spool")),
            ("LOG__FORMAT", "json".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        let of_route = ways::settings(route, data.path());
        all.extend(of_route.into_iter().map(|(name, value)| (name.to_owned(), value)));
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        World { sandbox, data, route, settings: all, variables: Vec::new() }
    }

    /// A variable of the program's environment, whole, or one that is not to be there.
    pub fn variable(mut self, name: &str, value: Option<&str>) -> World {
        self.variables.push((name.to_owned(), value.map(str::to_owned)));
        self
    }

    /// A file in the data directory, and its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.data.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.to_str().expect("a path of text").to_owned()
    }

    /// `voicepost serve` with the world's settings, not started yet.
    pub fn serve(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
        command.env_clear().arg("serve").current_dir(self.data.path());
        command.env("GENESYS_CLIENT_ID", "sandbox-client");
        command.env("GENESYS_CLIENT_SECRET", "sandbox-secret");
        for (name, value) in &self.settings {
            command.env(format!("VOICEPOST__{name}"), value);
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts the program and waits for nothing.
    pub fn launch(&self) -> Process {
        Process(self.serve().stderr(Stdio::piped()).spawn().expect("the program starts"))
    }

    /// Starts the gateway and waits until both listeners answer.
    pub fn start(&self) -> Gateway {
        let mut process = self.launch();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (started, start) = mpsc::channel();
        let lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
        let kept = Arc::clone(&log);
        // Ends with the process, whose end of the pipe is the only one.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(addresses) = addresses(&line) {
                    let _ = started.send(addresses);
                }
                kept.lock().unwrap().push(line);
            }
        });
        match start.recv_timeout(PATIENCE) {
            Ok((public, admin)) => Gateway { process, public, admin, log: Log(log) },
            Err(_) => panic!("the gateway did not start:\n{}", log.lock().unwrap().join("\n")),
        }
    }

    /// Puts these fault rules in the place of those in force.
    pub fn faults(&self, rules: Vec<FaultRule>) {
        self.sandbox.with(|sandbox| sandbox.set_faults(rules)).expect("the rules are sound");
    }

    /// Lets calls of this endpoint take effect at once and answers them after `seconds`.
    pub fn hold(&self, endpoint: Endpoint, seconds: u64) {
        self.faults(vec![FaultRule::new(endpoint, late(seconds * 1000))]);
    }

    /// Ends all trouble.
    pub fn release(&self) {
        self.faults(Vec::new());
    }

    /// What has reached Genesys.
    pub fn account<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        self.sandbox.with(|sandbox| look(sandbox.account()))
    }

    /// Voice messages posted so far.
    pub fn posts(&self) -> usize {
        self.account(|account| account.posts().len())
    }

    /// Clips uploaded so far.
    pub fn uploads(&self) -> usize {
        self.account(|account| account.uploads().len())
    }

    /// Clips that still lie at Genesys.
    pub fn alive(&self) -> usize {
        self.account(|account| account.summary().uploads_alive)
    }

    /// Transcripts posted into a conversation, in order.
    pub fn heard(&self, conversation: &str) -> Vec<String> {
        self.account(|account| {
            let posts = account.posts().iter();
            let here = posts.filter(|post| post.conversation_id == conversation);
            here.map(|post| post.transcript.clone()).collect()
        })
    }

    /// Names of the files in the spool.
    pub fn spooled(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.data.path().join("spool")) else {
            return Vec::new();
        };
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A fault that answers late.
pub fn late(latency_ms: u64) -> FaultAction {
    FaultAction::latency(Latency::Fixed(latency_ms))
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "gateway started").then_some(())?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    Some((address("public_addr")?, address("admin_addr")?))
}

/// Waits until `ready`; a test that waits in vain has failed.
pub fn wait_until(what: &str, ready: impl Fn() -> bool) {
    wait_at_most(PATIENCE, what, ready);
}

/// The same, for what takes its time.
pub fn wait_at_most(patience: Duration, what: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !ready() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One life of the gateway, from the moment on that it answers.
pub struct Gateway {
    process: Process,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    log: Log,
}

/// What it said; the end of it is shown where a test fails.
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn tail(&self) -> String {
        let lines = self.0.lock().unwrap();
        lines[lines.len().saturating_sub(LOG_SHOWN)..].join("\n")
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the gateway's last lines:\n{}", self.tail());
        }
    }
}

impl Gateway {
    /// Sends a clip and waits for the answer.
    pub fn send(&self, send: &Send) -> Answer {
        send.to(self.public).expect("the gateway answers")
    }

    /// Sends a clip from a thread of its own.
    pub fn sending(&self, send: Send) -> JoinHandle<Option<Answer>> {
        let address = self.public;
        std::thread::spawn(move || send.to(address))
    }

    /// Asks the operators' listener.
    pub fn admin(&self, path: &str) -> Value {
        let answer = exchange(self.admin, &request("GET", path, "", b""));
        answer.unwrap_or_else(|| panic!("no answer to {path}")).body
    }

    /// Gives an operator's order.
    pub fn command(&self, path: &str, body: &str) -> Answer {
        let answer = exchange(self.admin, &request("POST", path, "", body.as_bytes()));
        answer.unwrap_or_else(|| panic!("no answer to {path}"))
    }

    /// What is under way and owed, as an operator reads it.
    pub fn state(&self) -> Value {
        self.admin("/admin/state")
    }

    /// Lets every held message go on; their ids.
    pub fn release_held(&self) -> Vec<String> {
        let held = self.admin("/admin/held?limit=1000");
        let ids = held.as_array().expect("a list").iter();
        let ids: Vec<_> = ids.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        for id in &ids {
            let released = self.command(&format!("/admin/messages/{id}/release"), "");
            assert_eq!(released.status, 200, "{id} is released");
        }
        ids
    }

    /// Lets it come to the end of all it owes, held messages included, and ends it in order. The
    /// ids of those that had been held.
    pub fn settled(self, patience: Duration) -> Vec<String> {
        let mut released = Vec::new();
        loop {
            wait_at_most(patience, "nothing is owed any more", || {
                let ledger = self.state()["ledger"].clone();
                ledger["open"] == 0 && (ledger["purges_owed"] == 0 || ledger["held"] != 0)
            });
            let held = self.release_held();
            if held.is_empty() {
                break;
            }
            released.extend(held);
        }
        self.terminate();
        assert_eq!(self.ended().code(), Some(0), "a whole drain");
        released
    }

    /// Everything it has said so far.
    pub fn said(&self) -> String {
        self.log.0.lock().unwrap().join("\n")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The receipt of a message, as an operator reads it.
    pub fn receipt(&self, id: &str) -> Value {
        self.admin(&format!("/admin/messages/{id}"))
    }

    /// Withdraws a message.
    pub fn withdraw(&self, id: &str) -> Answer {
        let path = format!("/v1/voice-messages/{id}");
        exchange(self.public, &request("DELETE", &path, "", b"")).expect("the gateway answers")
    }

    /// Names of the events in a message's history.
    pub fn history(&self, id: &str) -> Vec<String> {
        let rows = self.admin(&format!("/admin/messages/{id}/history"));
        let rows = rows.as_array().expect("a list").iter();
        rows.map(|row| row["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the receipt says so, and returns it.
    pub fn receipt_when(&self, id: &str, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let receipt = self.receipt(id);
            if ready(&receipt) {
                return receipt;
            }
            assert!(Instant::now() < deadline, "{what}, but {receipt:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the message has this status, and returns the receipt.
    pub fn receipt_at(&self, id: &str, status: &str) -> Value {
        self.receipt_when(id, status, |receipt| receipt["status"] == status)
    }

    /// Waits until the message's purge stands so, and returns the receipt.
    pub fn purge_at(&self, id: &str, state: &str) -> Value {
        self.receipt_when(id, state, |receipt| receipt["purge"]["state"] == state)
    }

    /// The ids of messages on their way, in order of acceptance.
    pub fn queue(&self) -> Vec<String> {
        let queue = self.admin("/admin/messages");
        let ids = queue.as_array().expect("a list").iter();
        ids.map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }

    /// kill -9, and the end of it.
    pub fn kill(mut self) {
        self.process.0.kill().expect("it lives");
        self.process.0.wait().expect("it ends");
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits for the end of the process; a code other than 0 comes with its log.
    pub fn ended(self) -> ExitStatus {
        let status = self.process.ended();
        if !status.success() {
            println!("{status}:\n{}", self.log.tail());
        }
        status
    }
}
