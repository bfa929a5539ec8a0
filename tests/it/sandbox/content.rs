//! The integration, its content profile, and media that the profile does not let in.

use serde_json::{Value, json};
use voicepost::sandbox::SandboxSettings;

use super::{Client, INTEGRATION, bytes_of};

const INTEGRATIONS: &str = "/api/v2/conversations/messaging/integrations/open";

fn admitting(types: &[&str]) -> Client {
    let inbound_media = types.iter().map(|name| (*name).to_owned()).collect();
    Client::start(SandboxSettings { inbound_media, ..SandboxSettings::default() })
}

#[test]
fn media_that_the_profile_does_not_admit_are_dropped_without_a_word() {
    for (admitted, sent, stays) in [
        (vec!["*/*"], "audio/ogg", true),
        (vec!["image/png", "audio/*"], "audio/ogg", true),
        (vec!["audio/ogg"], "Audio/OGG; codecs=opus", true),
        (vec!["audio/mpeg"], "audio/ogg", false),
        (vec!["image/*"], "audio/ogg", false),
        (vec![], "audio/ogg", false),
    ] {
        let client = admitting(&admitted);
        let answer = client.open_message(sent);
        assert_eq!(answer["content"][0]["attachment"]["mime"], sent, "the answer tells nothing");
        let details = client.details(&answer["id"]);
        let kept = &details["normalizedMessage"];
        assert_eq!(kept["text"], "Where is my parcel?");
        let count = kept["content"].as_array().expect("a list").len();
        assert_eq!(count, usize::from(stays), "{sent} where {admitted:?} is let in");
        let cached = client.server.with(|sandbox| sandbox.cached_items().len());
        assert_eq!(cached, count, "nothing is fetched of what is dropped");
        let shown = client.get("/sandbox/account", &[]).json()["open_messages"][0].clone();
        assert_eq!(shown["media"].is_null(), !stays);
        assert_eq!(shown["dropped"].is_null(), stays);
    }
}

#[test]
fn the_integration_names_its_profile_and_the_profile_what_it_admits() {
    let client = admitting(&["audio/ogg"]);
    let read = |target: &str| client.call("GET", target, &[], b"");
    let integration = read(&format!("{INTEGRATIONS}/{INTEGRATION}")).json();
    assert_eq!(integration["id"], INTEGRATION);
    assert_eq!(integration["status"], "Active");
    assert_eq!(integration["createStatus"], "Completed");
    let profile = integration["supportedContent"]["selfUri"].as_str().expect("an address");
    let admitted = |profile: &str| read(profile).json()["mediaTypes"]["allow"]["inbound"].clone();
    assert_eq!(admitted(profile), json!([{"type": "audio/ogg"}]));

    let set = |path: &str, body: Value| {
        let answer = client.send("POST", path, &[], &bytes_of(&body));
        assert_eq!(answer.status, 204, "{path}");
    };
    set("/sandbox/content", json!({"inbound": ["audio/*", "image/png"]}));
    assert_eq!(admitted(profile), json!([{"type": "audio/*"}, {"type": "image/png"}]));
    set("/sandbox/integration", json!({"status": "Inactive"}));
    let integration = read(&format!("{INTEGRATIONS}/{INTEGRATION}")).json();
    assert_eq!(integration["status"], "Inactive");

    let unknown = read(&format!("{INTEGRATIONS}/other"));
    assert_eq!((unknown.status, unknown.json()["code"].clone()), (404, json!("not.found")));
    assert_eq!(read(&format!("{profile}0")).status, 404);
    assert_eq!(client.get(profile, &[]).status, 401);
}
