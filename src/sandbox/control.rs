//! The sandbox's own paths: the account, the levers of a test, the page. No part of the contract.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::account::{AccountView, tail};
use super::answers::{AgentAnswer, Webhook};
use super::audio::query_value;
use super::core::Sandbox;
use super::open_messages::OpenShown;
use super::page;
use super::rate::RateLimit;
use super::rule::FaultRule;
use super::wire::{Reply, Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseCall {
    conversation_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerCall {
    conversation_id: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentCall {
    inbound: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntegrationCall {
    status: String,
}

/// What the page shows.
#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    account: AccountView<'a>,
    open_messages: Vec<OpenShown<'a>>,
    answers: &'a [AgentAnswer],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LifeCall {
    seconds: u32,
}

impl Sandbox {
    /// Answers the page and the paths under `/sandbox/`:
    /// - `GET account` (`?latest=N` for the last N of each list), `GET account/summary`
    /// - `GET`, `POST`, `DELETE faults`: a JSON list of rules
    /// - `POST rate`: a limit by window, `{"calls":300,"window_seconds":60,"endpoint":"any"}`
    /// - `POST tokens/revoke`, `POST tokens/life` `{"seconds":…}`
    /// - `GET`, `POST` `answers` `{"conversation_id":…,"text":…}`: agents' answers
    /// - `POST webhook` `{"url":…,"secret":…}`: where they go
    /// - `POST content` `{"inbound":["audio/*"]}`: media that are let in; `POST integration`
    ///   `{"status":"Inactive"}`
    /// - `POST conversations/close` `{"conversation_id":…}`, `POST reset`
    pub(super) fn control(&mut self, request: &Request, now_ms: i64) -> Reply {
        let path = request.path.as_str();
        match (request.method.as_str(), path) {
            ("GET", "/sandbox/account") => {
                let latest = query_value(&request.query, "latest").and_then(|v| v.parse().ok());
                self.view(latest.unwrap_or(usize::MAX), now_ms)
            }
            ("GET", "/sandbox/account/summary") => fresh(&self.account.summary()),
            ("GET", "/sandbox/faults") => fresh(&self.faults.rules()),
            ("POST", "/sandbox/faults") => self.read_faults(&request.body),
            ("DELETE", "/sandbox/faults") => {
                self.clear_faults();
                Reply::new(204)
            }
            ("POST", "/sandbox/tokens/revoke") => fresh(&json!({"revoked": self.revoke_tokens()})),
            ("POST", "/sandbox/tokens/life") => read(&request.body, |LifeCall { seconds }| {
                self.set_token_life(seconds);
            }),
            ("POST", "/sandbox/rate") => read(&request.body, |limit: RateLimit| {
                self.set_rate_limit(limit);
            }),
            ("POST", "/sandbox/conversations/close") => {
                read(&request.body, |CloseCall { conversation_id }| {
                    self.close_conversation(&conversation_id);
                })
            }
            ("GET", "/sandbox/answers") => fresh(&self.answers()),
            ("POST", "/sandbox/answers") => self.read_answer(&request.body, now_ms),
            ("POST", "/sandbox/webhook") => read(&request.body, |webhook: Webhook| {
                self.set_webhook(webhook);
            }),
            ("POST", "/sandbox/content") => read(&request.body, |ContentCall { inbound }| {
                self.set_inbound_media(inbound);
            }),
            ("POST", "/sandbox/integration") => read(&request.body, |call: IntegrationCall| {
                self.set_integration_status(&call.status);
            }),
            ("POST", "/sandbox/reset") => {
                self.reset();
                Reply::new(204)
            }
            ("GET" | "HEAD", _) => page::find(path).unwrap_or_else(|| refusal(404, "no such path")),
            _ => refusal(404, "no such method and path"),
        }
    }

    fn view(&self, latest: usize, now_ms: i64) -> Reply {
        fresh(&View {
            account: self.account.view(latest, now_ms),
            open_messages: self.open_shown(latest),
            answers: tail(self.answers(), latest),
        })
    }

    fn read_answer(&mut self, body: &[u8], now_ms: i64) -> Reply {
        let AnswerCall { conversation_id, text } = match serde_json::from_slice(body) {
            Ok(call) => call,
            Err(error) => return refusal(400, &error.to_string()),
        };
        match self.answer_guest(&conversation_id, &text, now_ms) {
            Ok(id) => Reply::json(201, &json!({ "id": id })),
            Err(refused) => refusal(refused.status(), &refused.to_string()),
        }
    }

    fn read_faults(&mut self, body: &[u8]) -> Reply {
        let rules: Vec<FaultRule> = match serde_json::from_slice(body) {
            Ok(rules) => rules,
            Err(error) => return refusal(400, &error.to_string()),
        };
        match self.set_faults(rules) {
            Ok(()) => fresh(&self.faults.rules()),
            Err(error) => refusal(400, &error.to_string()),
        }
    }
}

/// Reads a body and acts on it: 204, or 400 with what is wrong.
fn read<T: serde::de::DeserializeOwned>(body: &[u8], act: impl FnOnce(T)) -> Reply {
    match serde_json::from_slice(body) {
        Ok(value) => {
            act(value);
            Reply::new(204)
        }
        Err(error) => refusal(400, &error.to_string()),
    }
}

fn fresh(value: &impl serde::Serialize) -> Reply {
    Reply::json(200, value).with("cache-control", "no-store")
}

fn refusal(status: u16, detail: &str) -> Reply {
    Reply::json(status, &json!({"detail": detail}))
}
