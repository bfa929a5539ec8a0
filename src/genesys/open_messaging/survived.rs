//! Whether Genesys kept the attachment of a message that it took: what a content profile does not
//! admit is dropped silently, and the agent sees text alone.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::super::api::{Api, encoded};
use super::super::transport::{Call, CallName, Method};
use super::{answers, look_up};
use crate::domain::Posted;

/// Longest time the check may take: a sender waits for the delivery meanwhile.
const CHECK_MAX: Duration = Duration::from_secs(3);

/// Reads the message back; `false` only where it is there, and nothing is attached to it. What
/// cannot be told counts as kept: the check only ever adds a warning.
pub(super) async fn is_kept(api: &Api, posted: &Posted) -> bool {
    let (Some(message_id), Some(conversation_id)) = (&posted.message_id, &posted.conversation_id)
    else {
        return true;
    };
    let url = format!(
        "{}/api/v2/conversations/messages/{}/messages/{}",
        api.base_url,
        encoded(conversation_id),
        encoded(message_id)
    );
    let (name, method, body) = (CallName::LookUp, Method::Get, Bytes::new());
    let call = Call { name, method, url, headers: Vec::new(), due_at: None, body };
    let called = tokio::time::timeout(CHECK_MAX, api.call(call)).await;
    match called.map(|called| answers::json(called, look_up::VIEW)) {
        Ok(Ok(message)) => has_attachment(&message),
        Ok(Err(failure)) => {
            let code = failure.code.as_str();
            tracing::info!(code, detail = failure.detail, "the attachment could not be checked");
            true
        }
        Err(_) => {
            tracing::info!(
                limit_ms = CHECK_MAX.as_millis(),
                "the attachment was not checked in time"
            );
            true
        }
    }
}

/// A message whose content is told in another way than expected counts as whole.
pub(super) fn has_attachment(message: &Value) -> bool {
    let normalized = &message["normalizedMessage"];
    match (normalized.is_object(), normalized["content"].as_array()) {
        (false, _) => true,
        (true, None) => !normalized["content"].is_null(),
        (true, Some(content)) => content.iter().any(|item| item["attachment"].is_object()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_message_without_anything_attached_has_lost_it() {
        let told = |content: Value| json!({ "normalizedMessage": { "content": content } });
        let audio = json!([{ "contentType": "Attachment", "attachment": { "mime": "audio/ogg" } }]);
        assert!(has_attachment(&told(audio)));
        assert!(!has_attachment(&told(json!([]))));
        assert!(!has_attachment(&told(json!([{ "contentType": "Text" }]))));
        assert!(!has_attachment(&json!({ "normalizedMessage": { "text": "words" } })));
        assert!(has_attachment(&json!({ "id": "without a normalized message" })));
        assert!(has_attachment(&told(json!("in another way"))));
    }
}
