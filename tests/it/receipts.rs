//! What a sender is told about a voice message that is on its way, delivered, withdrawn, purged.

use serde_json::{Value, json};

use crate::support::{CONVERSATION, Form, TRANSCRIPT, TestGateway, fixture};

#[test]
fn a_delivered_message_has_a_whole_receipt() {
    let gateway = TestGateway::start();
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let clip = fixture("hello.ogg");
    let sha256 = ring::digest::digest(&ring::digest::SHA256, &clip);
    let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let posts = gateway.at_genesys(|sandbox| sandbox.account().posts().to_vec());
    let [post] = posts.as_slice() else { panic!("{} posts", posts.len()) };
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(
        receipt,
        json!({
            "id": id,
            "status": "sent",
            "message_id": post.message_id,
            "conversation_id": CONVERSATION,
            "media": {
                "id": id, "media_type": "audio/ogg", "codec": "opus", "duration_ms": 5000,
                "bytes": clip.len(), "sha256": sha256, "converted_from": null, "notes": [],
            },
            "transcript": {"text": TRANSCRIPT, "source": "sender"},
            "delivery": {
                "route": "media-api", "attempts": 1, "possible_duplicate": false,
                "next_attempt_at": null, "last_error_code": null,
            },
            "purge": {
                "due_at": receipt["purge"]["due_at"], "state": "scheduled",
                "copies": [{"kind": "uploaded-media", "state": "owed"}],
            },
            "created_at": receipt["created_at"],
            "error": Value::Null,
        })
    );
    assert_eq!(gateway.get(id).receipt(200), receipt);
}
