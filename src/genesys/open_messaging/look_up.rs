//! Whether a post whose answer was lost has happened: asked of the conversation it would stand in.

use bytes::Bytes;
use serde_json::Value;

use super::super::api::{Api, encoded};
use super::super::transport::{Call, CallName, Called, Method};
use super::{answers, survived};
use crate::domain::{Found, MessageId, Posted};

/// Newest messages of the guest that are looked at.
const MESSAGES_MAX: usize = 8;
/// What reading messages needs.
pub(super) const VIEW: &str = "conversation:message:view";

/// Looks for the message among the guest's newest in this conversation. It is certainly not there
/// only while the conversation is still open: otherwise the post may have begun another one.
/// `checks_audio`: what is found is looked at for its audio, too.
pub(super) async fn look_up(
    api: &Api,
    conversation_id: &str,
    id: MessageId,
    checks_audio: bool,
) -> Found {
    let segment = encoded(conversation_id);
    let base = format!("{}/api/v2/conversations/messages/{segment}", api.base_url);
    let conversation = match get(api, base.clone()).await {
        Ok(conversation) => conversation,
        Err(found) => return found,
    };
    let Some(guest) = guest(&conversation) else { return Found::CannotTell };
    let messages = guest["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for message in messages.iter().rev().take(MESSAGES_MAX) {
        let Some(message_id) = answers::text(message, "messageId") else {
            return Found::CannotTell;
        };
        let found = match get(api, format!("{base}/messages/{}", encoded(&message_id))).await {
            Ok(found) => found,
            Err(found) => return found,
        };
        if is_ours(&found, id) {
            let conversation_id = Some(conversation_id.to_owned());
            return Found::Yes(Posted {
                message_id: Some(message_id),
                conversation_id,
                audio_dropped: checks_audio && !survived::has_attachment(&found),
                ..Posted::default()
            });
        }
    }
    let all_seen = messages.len() <= MESSAGES_MAX;
    if all_seen && guest["endTime"].is_null() { Found::No } else { Found::CannotTell }
}

/// The guest's latest part in the conversation.
fn guest(conversation: &Value) -> Option<&Value> {
    let participants = conversation["participants"].as_array()?;
    participants.iter().rfind(|participant| participant["purpose"] == "customer")
}

fn is_ours(message: &Value, id: MessageId) -> bool {
    let id = id.to_string();
    let channel_id = &message["normalizedMessage"]["channel"]["messageId"];
    message["providerMessageId"] == id.as_str() || *channel_id == id.as_str()
}

/// What passes is waited for: a limit, an error of theirs, no answer at all. Whatever else is said
/// (there is no such conversation, it may not be seen) will be said again.
async fn get(api: &Api, url: String) -> Result<Value, Found> {
    let call = Call {
        name: CallName::LookUp,
        method: Method::Get,
        url,
        headers: Vec::new(),
        due_at: None,
        body: Bytes::new(),
    };
    let called = api.call(call).await;
    let passes = match &called {
        Called::Answered(answer) => answer.status == 429 || answer.status >= 500,
        Called::NotSent(_) | Called::Unknown(_) => true,
    };
    answers::json(called, VIEW).map_err(|failure| match passes {
        true => Found::Later(failure),
        false => Found::CannotTell,
    })
}
