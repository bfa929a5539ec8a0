//! The demo's page, through the real program: one address for guest, agent and clips.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::{Client, Request};

/// A demo, and the pipe that it goes on writing to. Dropped, it is killed.
struct Demo(Child, #[expect(dead_code, reason = "held open")] BufReader<ChildStdout>);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a demo on a free port, and reads where its page is: the first thing it says.
fn start() -> (Demo, Client) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
    command.env_clear().args(["demo", "--json", "--port", "0"]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("its output is piped");
    let mut stdout = BufReader::new(stdout);
    stdout.read_line(&mut line).expect("a first line");
    let said: Value = serde_json::from_str(&line).expect("the line is JSON");
    assert_eq!(said["step"], "open", "{line}");
    let url = said["values"]["url"].as_str().expect("an address");
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
    let address: SocketAddr = address.and_then(|rest| rest.parse().ok()).expect("an address");
    (Demo(child, stdout), Client::new(address, None))
}

#[test]
fn one_address_shows_guest_agent_and_clips() {
    let (_demo, client) = start();
    let page = client.get("/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
    assert!(page.text().contains("<voice-message"), "the recorder is on the page");
    // Whatever the page names is there.
    let named = page.text().split('"').filter(|text| text.starts_with('/'));
    let named: Vec<String> = named.map(str::to_owned).collect();
    assert!(named.len() >= 6, "{named:?}");
    for path in named {
        assert_eq!(client.get(&path).status, 200, "{path}");
    }
    let limits = client.get("/v1/limits").receipt(200);
    assert_eq!(limits["duration_ms_max"], 60_000, "the gateway itself is at the same address");
    let account = client.get("/sandbox/account?latest=5").json();
    assert!(account["posts"].is_array(), "{account}");
}

#[test]
fn the_page_shows_the_sandbox_and_moves_no_lever_of_it() {
    let (_demo, client) = start();
    for path in ["/sandbox/reset", "/sandbox/faults", "/sandbox/tokens/revoke"] {
        assert_eq!(client.send(&Request::new("POST", path)).status, 405, "{path}");
    }
}
