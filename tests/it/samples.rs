//! Records to test with: one plain, one with everything set, and any at all.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use voicepost::domain::{
    ClipPlace, Code, Codec, Copy, CopyKind, CopyState, Deliverable, Ending, Envelope, Intent, Lane,
    Media, MessageId, NewCopy, Note, Principal, Private, Record, Retention, RouteName, Stage, Step,
    Transcript, TranscriptSource, UnixMs,
};

/// When the plain record was accepted.
pub const START: UnixMs = UnixMs(1_760_000_000_000);

/// The id of number `number`; ids sort by number.
pub fn id(number: u64) -> MessageId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    MessageId::new(START, random)
}

/// A message just accepted, with its upload intended.
pub fn plain(number: u64) -> Record {
    Record {
        id: id(number),
        accepted_seq: 0,
        version: 0,
        principal: Principal::loopback(),
        route: RouteName::MediaApi,
        lane: Lane("c0ffee00-0000-4000-8000-000000000000".to_owned()),
        stage: Stage::Accepted,
        clip: ClipPlace::Memory,
        media: Media {
            container: Deliverable::Ogg,
            codec: Codec::Opus,
            duration_ms: 4980,
            sample_rate_hz: 48_000,
            channels: 1,
            bytes: 20_310,
            notes: Vec::new(),
        },
        sha256: "5e".repeat(32),
        converted_from: None,
        waveform: None,
        conversation_id: Some("c0ffee00-0000-4000-8000-000000000000".to_owned()),
        envelope: Some(Envelope { sender_id: Some("guest-1".to_owned()), ..Envelope::default() }),
        transcript: Some(Transcript {
            text: "Good morning, where is my parcel?".to_owned(),
            source: TranscriptSource::Sender,
        }),
        intent: Some(intent(Step::Upload)),
        attempts: 1,
        next_attempt_at: None,
        post_in_doubt: false,
        withdrawn: false,
        possible_duplicate: false,
        audio_dropped: false,
        was_promised: false,
        last_error_code: None,
        ending: None,
        message_id: None,
        crashes: 0,
        clip_kept_until: None,
        clip_attempts: 0,
        created_at: START,
        uploaded_at: None,
        posted_at: None,
        expires_at: START.plus_seconds(3600),
        copies: Vec::new(),
    }
}

/// An intent with a private value of a usual size.
pub fn intent(step: Step) -> Intent {
    Intent { step, private: Private(b"{\"name\":\"voice-message.ogg\"}".to_vec()) }
}

/// A copy as an upload answers it.
pub fn new_copy() -> NewCopy {
    NewCopy {
        kind: CopyKind::UploadedMedia,
        state: CopyState::Owed,
        host: "api.mypurecloud.com".to_owned(),
        client: "client-1".to_owned(),
        private: Private(vec![b'u'; 300]),
    }
}

fn time() -> impl Strategy<Value = UnixMs> {
    (0i64..253_402_300_799_999).prop_map(UnixMs)
}

fn private() -> impl Strategy<Value = Private> {
    prop_oneof![vec(any::<u8>(), 0..64), vec(any::<u8>(), Private::BYTES_MAX..=Private::BYTES_MAX)]
        .prop_map(Private)
}

fn media() -> impl Strategy<Value = Media<Deliverable>> {
    use Codec::{Adpcm, Alaw, Mp3, Mulaw, Opus, Pcm, PcmFloat, Vorbis};
    use Note::{Chained, HeaderDurationWrong, JunkBytes, Truncated, UnknownSize};
    (
        select(vec![Deliverable::Mp3, Deliverable::Wav, Deliverable::Ogg]),
        select(vec![Mp3, Pcm, PcmFloat, Alaw, Mulaw, Adpcm, Vorbis, Opus]),
        any::<(u32, u32, u16, u64)>(),
        vec(select(vec![Truncated, HeaderDurationWrong, Chained, JunkBytes, UnknownSize]), 0..3),
    )
        .prop_map(
            |(container, codec, (duration_ms, sample_rate_hz, channels, bytes), notes)| Media {
                container,
                codec,
                duration_ms,
                sample_rate_hz,
                channels,
                bytes,
                notes,
            },
        )
}

fn envelope() -> impl Strategy<Value = Envelope> {
    of(any::<String>()).prop_flat_map(|sender_id| {
        any::<(Option<String>, Option<String>, Option<String>)>().prop_map(
            move |(language, metadata, file_stem)| Envelope {
                sender_id: sender_id.clone(),
                language,
                metadata,
                file_stem,
            },
        )
    })
}

fn transcript() -> impl Strategy<Value = Transcript> {
    (any::<String>(), select(vec![TranscriptSource::Sender, TranscriptSource::Placeholder]))
        .prop_map(|(text, source)| Transcript { text, source })
}

fn copy() -> impl Strategy<Value = Copy> {
    use CopyState::{GivenUp, Gone, NotPossible, Orphaned, Owed};
    (
        select(vec![Owed, Gone, NotPossible, Orphaned, GivenUp]),
        of(time()),
        select(vec![Retention::None, Retention::Owed, Retention::Set, Retention::Refused]),
        any::<u32>(),
        of(time()),
        of(any::<String>()),
        any::<(String, String)>(),
        private(),
        time(),
    )
        .prop_map(
            |(state, due_at, retention, attempts, next_attempt_at, last_error, at, private, t)| {
                Copy {
                    ordinal: 0,
                    kind: CopyKind::UploadedMedia,
                    state,
                    due_at,
                    retention,
                    attempts,
                    next_attempt_at,
                    last_error,
                    host: at.0,
                    client: at.1,
                    private,
                    created_at: t,
                }
            },
        )
}

fn changing(record: Record) -> impl Strategy<Value = Record> {
    let code = || select(Code::ALL.to_vec());
    let step = select(vec![Step::Upload, Step::Post]);
    let places = vec![ClipPlace::Memory, ClipPlace::Spooled, ClipPlace::Gone];
    (
        (select(Stage::ALL.to_vec()), select(places), media(), any::<(String, Option<String>)>()),
        (of(envelope()), of(transcript()), of((step, private()))),
        (any::<(u32, bool, bool, u32)>(), of(code()), of((code(), any::<String>()))),
        (of(time()), of(time()), of(time()), time(), of(any::<String>())),
        vec(copy(), 0..4),
    )
        .prop_map(move |(is, said, tries, at, copies)| {
            let mut changed = record.clone();
            (changed.stage, changed.clip, changed.media, _) = is.clone();
            (changed.sha256, changed.converted_from) = is.3;
            (changed.envelope, changed.transcript) = (said.0, said.1);
            changed.intent = said.2.map(|(step, private)| Intent { step, private });
            (
                changed.attempts,
                changed.post_in_doubt,
                changed.possible_duplicate,
                changed.crashes,
            ) = tries.0;
            // As random as that is, and no part of its own.
            changed.audio_dropped = changed.post_in_doubt;
            changed.clip_kept_until = at.0;
            changed.clip_attempts = changed.crashes;
            changed.last_error_code = tries.1;
            changed.ending = tries.2.map(|(code, detail)| Ending { code, detail });
            (changed.next_attempt_at, changed.uploaded_at, changed.posted_at) = (at.0, at.1, at.2);
            (changed.expires_at, changed.message_id) = (at.3, at.4);
            changed.copies = copies;
            for (ordinal, copy) in (0u32..).zip(&mut changed.copies) {
                copy.ordinal = ordinal;
            }
            changed
        })
}

/// Any record, and any other state the same record could be changed to.
pub fn any_record_twice() -> impl Strategy<Value = (Record, Record)> {
    (any::<u64>(), any::<String>(), any::<String>(), of(any::<String>()), time())
        .prop_map(|(number, principal, lane, conversation_id, created_at)| Record {
            principal: Principal(principal),
            lane: Lane(lane),
            conversation_id,
            created_at,
            ..plain(number)
        })
        .prop_flat_map(|fixed| (changing(fixed.clone()), changing(fixed)))
        .prop_map(|(first, mut second)| {
            keep_what_copies_keep(&first, &mut second);
            (first, second)
        })
}

// Copies are added and settled; kind, host, client and `created_at` of one stay.
fn keep_what_copies_keep(first: &Record, second: &mut Record) {
    for (at, old) in first.copies.iter().enumerate() {
        match second.copies.get_mut(at) {
            Some(new) => {
                new.host.clone_from(&old.host);
                new.client.clone_from(&old.client);
                new.created_at = old.created_at;
            }
            None => second.copies.push(old.clone()),
        }
    }
}
