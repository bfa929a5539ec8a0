//! The names of everything that can go wrong, as callers and operators see them.
//!
//! A code is stable: programs branch on it. What a code means over HTTP (status, title, whether to
//! try again) is told by one table in `web/problem.rs`; here is only the closed list.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One way a request or a voice message can fail; kebab-case on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)+ }

        impl Code {
            /// Every code, in the order of the table in the README.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The code as it stands on the wire and in the ledger.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)+ }
            }
        }
    };
}

codes! {
    /// The request cannot be read: broken multipart, a header that does not parse.
    MalformedRequest = "malformed-request",
    /// A required part is not there.
    MissingPart = "missing-part",
    /// A part that this version does not know.
    UnknownPart = "unknown-part",
    /// A part was sent twice.
    DuplicatePart = "duplicate-part",
    /// A field's value is blank, too long or has characters it must not have.
    InvalidField = "invalid-field",
    /// The request does not say who it comes from, or not so that it can be believed.
    Unauthorized = "unauthorized",
    /// The caller is known and may not do this.
    Forbidden = "forbidden",
    /// No such path.
    RouteNotFound = "route-not-found",
    /// No voice message of this id, or not the caller's.
    MessageNotFound = "message-not-found",
    /// The audio that was at this address is deleted.
    MediaGone = "media-gone",
    /// The range asked for lies outside the audio.
    RangeNotSatisfiable = "range-not-satisfiable",
    /// Genesys does not know the conversation.
    ConversationNotFound = "conversation-not-found",
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed",
    /// The body stopped coming, or came too slowly.
    UploadTooSlow = "upload-too-slow",
    /// The first request with this idempotency key is not durable yet.
    InProgress = "in-progress",
    /// The message may be posted, and nobody can tell: it has failed and the answer to its post was
    /// lost; or nothing can be promised of it, and the request has no key to be repeated under.
    Undecided = "undecided",
    /// The operator's action does not fit the state it was asked for.
    WrongState = "wrong-state",
    /// The clip or the whole body is larger than allowed.
    TooLarge = "too-large",
    /// The request is not `multipart/form-data`.
    UnsupportedMediaType = "unsupported-media-type",
    /// The bytes are not audio of an accepted format.
    UnsupportedAudioFormat = "unsupported-audio-format",
    /// The file part has no bytes.
    AudioEmpty = "audio-empty",
    /// The audio is shorter than allowed.
    AudioTooShort = "audio-too-short",
    /// The audio is longer than allowed.
    AudioTooLong = "audio-too-long",
    /// The container or its headers make no sense.
    AudioCorrupted = "audio-corrupted",
    /// The container is well formed but its audio does not decode.
    AudioUndecodable = "audio-undecodable",
    /// The transcript is longer than the route can carry.
    TranscriptTooLong = "transcript-too-long",
    /// The idempotency key was used for another clip or other fields.
    IdempotencyMismatch = "idempotency-mismatch",
    /// Genesys refused the clip itself.
    ClipRefusedByGenesys = "clip-refused-by-genesys",
    /// The caller has asked too much in too short a time.
    QuotaExceeded = "quota-exceeded",
    /// Genesys refused the call for good.
    GenesysRefused = "genesys-refused",
    /// Genesys could not be reached, or answered that it cannot serve now.
    GenesysUnavailable = "genesys-unavailable",
    /// Genesys asked for a pause.
    GenesysRateLimited = "genesys-rate-limited",
    /// The answer of Genesys was lost; the call may have had its effect.
    GenesysAnswerLost = "genesys-answer-lost",
    /// No access token can be had at present.
    TokenUnavailable = "token-unavailable",
    /// Too much is under way.
    Busy = "busy",
    /// The gateway is shutting down.
    Draining = "draining",
    /// The disk is nearly full.
    StorageLow = "storage-low",
    /// The gateway cannot keep, or read back, a clip.
    StorageFailed = "storage-failed",
    /// Audio is not deleted as fast as it comes in.
    PurgeBacklog = "purge-backlog",
    /// The message could not be delivered before its time was over.
    Expired = "expired",
    /// The gateway stopped while the clip was only in memory; nobody was told that it was accepted.
    Interrupted = "interrupted",
    /// An operator has asked for it to be held.
    OnHold = "on-hold",
    /// It was accepted on another route than the gateway now runs.
    OtherRoute = "other-route",
    /// The gateway crashed again and again while this message was under way.
    CrashLoop = "crash-loop",
    /// A bug in the gateway.
    Internal = "internal",
}

impl Code {
    /// The code of this name, if there is one.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Code::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("unknown code {text}")))
    }
}
