//! What can be told of this route before a message goes: the scopes of the token, where its answer
//! names them (media-api contract, "Hosts and sign-in"). No call of the route can be tried without
//! an effect.

use crate::domain::Finding;

/// The scopes that the contract asks for, and whether a call of this route needs them.
const SCOPES: [(&str, bool); 5] = [
    ("media:upload", true),
    ("media:read", false),
    ("webchat:write", true),
    ("conversations:write", true),
    ("archivings:export", false),
];

/// What Genesys may answer later, and what to do then (the contract's list of common errors).
pub const COMMON_ERRORS: [(&str, &str); 5] = [
    ("401", "the credentials are wrong or the client is disabled: check GENESYS_CLIENT_ID/_SECRET"),
    ("403", "a scope is missing: grant media:upload, webchat:write and conversations:write"),
    ("404", "the conversation is over or not of this organisation: send the id of an open one"),
    ("429", "too many calls: nothing to do; where it lasts, ask Genesys for a higher limit"),
    ("400", "Genesys does not take the audio: compare with `voicepost inspect`"),
];

/// Compares the scopes of a token with those that the contract asks for.
pub fn check_up(granted: Option<&str>) -> Vec<Finding> {
    let Some(granted) = granted else {
        let detail = "the token's answer names no scopes; a missing one shows as a 403";
        let names = SCOPES.map(|(name, _)| name).join(", ");
        return vec![Finding::note("scopes", detail, format!("the client needs {names}"))];
    };
    let granted: Vec<&str> = granted.split_ascii_whitespace().collect();
    let look = |(name, needed): (&str, bool)| {
        let subject = format!("scope {name}");
        if granted.contains(&name) {
            return Finding::fine(subject, "granted");
        }
        let fix = format!("grant {name} to the OAuth client");
        if needed {
            Finding::failing(subject, "not granted", fix)
        } else {
            Finding::note(subject, "not granted; no call of the gateway needs it", fix)
        }
    };
    SCOPES.into_iter().map(look).collect()
}
