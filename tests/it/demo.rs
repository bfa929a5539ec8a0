//! The demo's page, through the real program: one address for guest, agent and clips.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Client, Request, eventually};

/// A demo, and the pipe that it goes on writing to. Dropped, it is killed.
struct Demo(Child, #[expect(dead_code, reason = "held open")] BufReader<ChildStdout>);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a demo on a free port, and reads where its page is: the first thing it says.
fn start(route: &str) -> (Demo, Client) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
    command.env_clear().args(["demo", "--json", "--port", "0", "--route", route]);
    command.stdout(Stdio::piped());
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

/// What an agent's page would send.
fn answer(conversation_id: &Value, text: &str) -> Request {
    let body = json!({ "conversation_id": conversation_id, "text": text });
    Request::new("POST", "/sandbox/answers").body(body.to_string())
}

#[test]
fn one_address_shows_guest_agent_and_clips() {
    let (_demo, client) = start("media-api");
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
    for (route, answers) in [("media-api", 405), ("open-messaging", 404)] {
        let (_demo, client) = start(route);
        for path in ["/sandbox/reset", "/sandbox/faults", "/sandbox/tokens/revoke"] {
            assert_eq!(client.send(&Request::new("POST", path)).status, 405, "{route}: {path}");
        }
        let nowhere = client.send(&answer(&json!("no-such-conversation"), "Hello?"));
        assert_eq!(nowhere.status, answers, "{route}: only where a guest is given answers");
    }
}

#[test]
fn what_the_agents_page_sends_reaches_the_guest() {
    let (_demo, client) = start("open-messaging");
    assert!(client.get("/").text().contains("data-route=\"open-messaging\""));
    let account = || client.get("/sandbox/account").json();
    // The demo's own first message, and the agent's first answer to it.
    let conversation_id = eventually("the agent has answered", || {
        let answers = account()["answers"].as_array().unwrap().clone();
        answers.first().map(|answer| answer["conversation_id"].clone())
    });
    // Another page of this browser is no agent.
    let strange =
        answer(&conversation_id, "Buy here").header("Origin", "https://elsewhere.example");
    assert_eq!(client.send(&strange).status, 403);
    assert_eq!(client.send(&answer(&conversation_id, "One thing more")).status, 201);
    eventually("the answer is taken", || {
        let answers = account()["answers"].as_array().unwrap().clone();
        let taken = answers.iter().filter(|answer| answer["state"] == "delivered-to-webhook");
        (answers.len() == 2 && taken.count() == 2).then_some(())
    });
}
