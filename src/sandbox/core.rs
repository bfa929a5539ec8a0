//! The state of a sandbox and the way of a call through it: count, trouble, token, limit, endpoint.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::answers::{AgentAnswer, Webhook};
use super::cached_media::{self, CachedMedia};
use super::faults::{Faults, Moment};
use super::integration;
use super::oauth::{self, Tokens};
use super::open_messages::{self, OpenConversations};
use super::rate::{RateCount, RateLimit, RateLimits};
use super::receipts;
use super::rule::{FaultError, FaultRule, Outage};
use super::settings::{MediaIds, SandboxSettings};
use super::wire::{Arrival, Problem, Reply, Request};

/// The calls of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// `POST /oauth/token`
    Token,
    /// `POST /api/v2/media/attachments/upload`
    Upload,
    /// `POST /api/v2/conversations/messages`
    Post,
    /// `POST /api/v2/media/recordings/{mediaId}/retention`
    Retention,
    /// `DELETE /api/v2/media/attachments/{mediaId}`
    Delete,
    /// `POST /api/v2/conversations/messages/{integrationId}/inbound/open/message`
    InboundMessage,
    /// `POST /api/v2/conversations/messages/{integrationId}/inbound/open/receipt`
    InboundReceipt,
    /// `GET /api/v2/conversations/messages/{conversationId}`
    Conversation,
    /// `GET /api/v2/conversations/messages/{conversationId}/messages/{messageId}`
    Message,
    /// `GET /api/v2/conversations/messages/cachedmedia`
    CachedMedia,
    /// `DELETE /api/v2/conversations/messages/cachedmedia/{id}`
    CachedMediaDelete,
    /// `GET /api/v2/conversations/messaging/integrations/open/{integrationId}`
    Integration,
    /// `GET /api/v2/conversations/messaging/supportedcontent/{supportedContentId}`
    SupportedContent,
}

impl Endpoint {
    /// The word for it in fault rules and in the account.
    pub fn as_str(self) -> &'static str {
        match self {
            Endpoint::Token => "token",
            Endpoint::Upload => "upload",
            Endpoint::Post => "post",
            Endpoint::Retention => "retention",
            Endpoint::Delete => "delete",
            Endpoint::InboundMessage => "inbound-message",
            Endpoint::InboundReceipt => "inbound-receipt",
            Endpoint::Conversation => "conversation",
            Endpoint::Message => "message",
            Endpoint::CachedMedia => "cached-media",
            Endpoint::CachedMediaDelete => "cached-media-delete",
            Endpoint::Integration => "integration",
            Endpoint::SupportedContent => "supported-content",
        }
    }

    /// The endpoint a request is for, and the still encoded media id in its path.
    fn of(request: &Request) -> Option<(Endpoint, &str)> {
        let is_segment = |text: &&str| !text.is_empty() && !text.contains('/');
        let path = request.path.as_str();
        match (request.method.as_str(), path) {
            ("POST", "/oauth/token") => Some((Endpoint::Token, "")),
            ("POST", "/api/v2/media/attachments/upload") => Some((Endpoint::Upload, "")),
            ("POST", "/api/v2/conversations/messages") => Some((Endpoint::Post, "")),
            ("POST", _) if open_messages::is_inbound(path) => Some((Endpoint::InboundMessage, "")),
            ("POST", _) if receipts::is_receipt(path) => Some((Endpoint::InboundReceipt, "")),
            ("GET", cached_media::PATH) => Some((Endpoint::CachedMedia, "")),
            ("GET", _) if integration::integration_id(path).is_some() => {
                Some((Endpoint::Integration, ""))
            }
            ("GET", _) if integration::profile_id(path).is_some() => {
                Some((Endpoint::SupportedContent, ""))
            }
            ("GET", _) => match open_messages::reads_conversation(path)? {
                true => Some((Endpoint::Conversation, "")),
                false => Some((Endpoint::Message, "")),
            },
            ("DELETE", _) if path.starts_with(cached_media::PATH) => {
                Some((Endpoint::CachedMediaDelete, ""))
            }
            ("POST", _) => path
                .strip_prefix("/api/v2/media/recordings/")
                .and_then(|rest| rest.strip_suffix("/retention"))
                .filter(is_segment)
                .map(|media_id| (Endpoint::Retention, media_id)),
            ("DELETE", _) => path
                .strip_prefix("/api/v2/media/attachments/")
                .filter(is_segment)
                .map(|media_id| (Endpoint::Delete, media_id)),
            _ => None,
        }
    }
}

/// One call of the contract on its way through the sandbox.
pub(super) struct Call<'a> {
    pub endpoint: Endpoint,
    /// The id in the path, decoded; empty where the path has none.
    pub media_id: String,
    pub request: &'a Request,
    pub correlation_id: String,
    pub now_ms: i64,
    /// `None` for token exchanges, which no limit counts.
    pub rate: Option<RateCount>,
}

/// A stand-in for Genesys Cloud, in memory. Reads no clock and opens no socket.
pub struct Sandbox {
    pub(super) settings: SandboxSettings,
    pub(super) base_url: String,
    pub(super) signing_key: hmac::Key,
    pub(super) account: Account,
    pub(super) closed_conversations: HashSet<String>,
    pub(super) post_calls: u64,
    pub(super) open: OpenConversations,
    pub(super) cached_media: CachedMedia,
    pub(super) answers: Vec<AgentAnswer>,
    pub(super) webhook: Webhook,
    pub(super) tokens: Tokens,
    pub(super) faults: Faults,
    ids: StdRng,
    rate: RateLimits,
}

impl Sandbox {
    /// An empty sandbox. `base_url` is where clients reach it, without a trailing slash; it is used
    /// where the settings name none.
    pub fn new(settings: SandboxSettings, base_url: &str) -> Self {
        let mut ids = StdRng::seed_from_u64(settings.seed);
        let key: [u8; 32] = ids.random();
        let base_url = match settings.base_url.as_str() {
            "" => base_url,
            named => named,
        };
        let webhook =
            Webhook { url: settings.webhook_url.clone(), secret: settings.webhook_secret.clone() };
        Sandbox {
            base_url: base_url.trim_end_matches('/').to_owned(),
            signing_key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            account: Account::default(),
            closed_conversations: HashSet::new(),
            post_calls: 0,
            open: OpenConversations::default(),
            cached_media: CachedMedia::default(),
            answers: Vec::new(),
            webhook,
            tokens: Tokens::default(),
            faults: Faults::new(settings.seed),
            rate: RateLimits::new(settings.calls_per_minute),
            ids,
            settings,
        }
    }

    /// Says how a call is met of which the head is there: method, path and headers. Anything but
    /// a call of the contract is taken.
    pub fn arrive(&mut self, head: &Request) -> Arrival {
        let Some((endpoint, _)) = Endpoint::of(head) else { return Arrival::Taken };
        let strike = self.faults.draw(endpoint, Moment::Head);
        match strike.map(|strike| strike.action) {
            Some(action) if action.outage == Some(Outage::Refuse) => {
                self.account.record_call(endpoint, None);
                Arrival::Refused
            }
            Some(action) => action
                .read_bytes_per_second
                .map_or(Arrival::Taken, |rate| Arrival::ReadSlowly { bytes_per_second: rate }),
            None => Arrival::Taken,
        }
    }

    /// Answers one request that arrived at `now_ms` (Unix milliseconds). All effects have happened
    /// when it returns; `Reply::fault` says how the answer reaches the client.
    pub fn handle(&mut self, request: &Request, now_ms: i64) -> Reply {
        if let Some((endpoint, media_id)) = Endpoint::of(request) {
            let media_id = percent_decode_str(media_id).decode_utf8_lossy().into_owned();
            let correlation_id = self.next_uuid();
            return self.call(Call {
                endpoint,
                media_id,
                request,
                correlation_id,
                now_ms,
                rate: None,
            });
        }
        let path = request.path.as_str();
        if path.starts_with("/media/") {
            self.play(request, now_ms)
        } else if path.starts_with("/api/") || path.starts_with("/oauth/") {
            let problem = Problem::not_found(format!("no such path: {} {path}", request.method));
            problem.into_reply(&self.next_uuid())
        } else {
            self.control(request, now_ms)
        }
    }

    /// What reached the sandbox.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Puts `rules` in the place of the fault rules in force; an empty list ends all trouble. The
    /// draws start anew from the seed.
    pub fn set_faults(&mut self, rules: Vec<FaultRule>) -> Result<(), FaultError> {
        self.faults.set(rules)
    }

    /// Ends all trouble.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Lists of fault rules that have been in force; what hangs is let go when it grows.
    pub fn fault_lists(&self) -> u64 {
        self.faults.lists()
    }

    /// Limits calls from now on; the other limits stay.
    pub fn set_rate_limit(&mut self, limit: RateLimit) {
        self.rate.set(limit);
    }

    /// Life of the tokens that are issued from now on; those that are out keep theirs. 0 leaves
    /// `expires_in` out of the answer.
    pub fn set_token_life(&mut self, seconds: u32) {
        self.settings.token_expires_in_seconds = seconds;
    }

    /// Revokes every live token, and says how many there were.
    pub fn revoke_tokens(&mut self) -> usize {
        self.tokens.revoke_all()
    }

    /// From now on posts into this conversation are answered with 404.
    pub fn close_conversation(&mut self, conversation_id: &str) {
        self.closed_conversations.insert(conversation_id.to_owned());
    }

    /// Forgets clips, posts, answers, tokens, closed conversations and faults. Ids are not used
    /// again.
    pub fn reset(&mut self) {
        self.account = Account::default();
        self.closed_conversations.clear();
        self.post_calls = 0;
        self.open = OpenConversations::default();
        self.cached_media = CachedMedia::default();
        self.answers.clear();
        self.tokens = Tokens::default();
        self.rate = RateLimits::new(self.settings.calls_per_minute);
        self.clear_faults();
    }

    fn call(&mut self, mut call: Call<'_>) -> Reply {
        if call.endpoint != Endpoint::Token {
            call.rate = Some(self.rate.count(call.endpoint, call.now_ms));
        }
        if call.endpoint == Endpoint::Delete {
            self.account.record_delete_attempt(&call.media_id);
        }
        let mut reply = match self.faults.draw(call.endpoint, Moment::Whole) {
            None => self.answer(&call),
            Some(strike) => {
                if strike.action.revoke_tokens {
                    self.revoke_tokens();
                }
                let own = strike.action.takes_effect().then(|| self.answer(&call));
                strike.reply(own, &call)
            }
        };
        reply = reply.with("inin-correlation-id", call.correlation_id);
        if let Some(rate) = call.rate.map(|rate| rate.client) {
            reply = reply
                .with("inin-ratelimit-count", rate.count.to_string())
                .with("inin-ratelimit-allowed", rate.allowed.to_string())
                .with("inin-ratelimit-reset", rate.reset_seconds.to_string());
        }
        let status = reply.fault.is_answered().then_some(reply.status);
        self.account.record_call(call.endpoint, status);
        reply
    }

    /// The sandbox's own answer to a call, with its effect.
    fn answer(&mut self, call: &Call<'_>) -> Reply {
        let answer = match call.endpoint {
            Endpoint::Token => Ok(self.exchange(call)),
            Endpoint::Upload => self.admit(call).and_then(|()| self.upload(call)),
            Endpoint::Post => self.admit(call).and_then(|()| self.post(call)),
            Endpoint::Retention => self.admit(call).and_then(|()| self.retain(call)),
            Endpoint::Delete => self.admit(call).and_then(|()| self.delete(call)),
            Endpoint::InboundMessage => self.admit(call).and_then(|()| self.inbound_message(call)),
            Endpoint::InboundReceipt => self.admit(call).and_then(|()| self.inbound_receipt(call)),
            Endpoint::Conversation => self.admit(call).and_then(|()| self.conversation(call)),
            Endpoint::Message => self.admit(call).and_then(|()| self.open_message(call)),
            Endpoint::CachedMedia => self.admit(call).map(|()| self.list_cached_media(call)),
            Endpoint::CachedMediaDelete => {
                self.admit(call).and_then(|()| self.delete_cached_media(call))
            }
            Endpoint::Integration => self.admit(call).and_then(|()| self.integration(call)),
            Endpoint::SupportedContent => {
                self.admit(call).and_then(|()| self.supported_content(call))
            }
        };
        answer.unwrap_or_else(|problem| problem.into_reply(&call.correlation_id))
    }

    fn admit(&self, call: &Call<'_>) -> Result<(), Problem> {
        self.tokens.check(call.request, call.now_ms)?;
        call.rate.map_or(Ok(()), |rate| rate.check())
    }

    fn exchange(&mut self, call: &Call<'_>) -> Reply {
        if let Err(refusal) = oauth::check(call.request, &self.settings) {
            return refusal;
        }
        let token: [u128; 2] = self.ids.random();
        self.account.record_token();
        let token = format!("{:032x}{:032x}", token[0], token[1]);
        self.tokens.issue(token, &self.settings, call.now_ms)
    }

    pub(super) fn next_media_id(&mut self) -> String {
        let id = self.ids.random::<u128>();
        match self.settings.media_ids {
            MediaIds::Hex => format!("{id:032x}"),
            MediaIds::Awkward => format!("{id:032x}/..%2F a+b?c=d&e#ü"),
        }
    }

    pub(super) fn next_uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.ids.random()).into_uuid().to_string()
    }
}
