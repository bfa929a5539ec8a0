//! Records as rows, and rows as records. Both directions of each value stand side by side.

use std::borrow::Cow;
use std::num::NonZeroU32;

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::seal::{self, Kind};
use super::words;
use crate::domain::{
    ClipPlace, Code, Copy, CopyKind, CopyState, Deliverable, Ending, Intent, Lane, Media,
    MessageId, Principal, Private, Record, Retention, RouteName, Stage, Step, UnixMs, Waveform,
};
use crate::ledger::ReadError;
use crate::sealing::Sealer;

/// Columns of a message in the order [`message`] reads them.
pub(super) const MESSAGE_COLUMNS: &str = "accepted_seq, id, version, principal, route, lane, \
     stage, clip, next_attempt_at, created_at, uploaded_at, posted_at, expires_at, \
     last_error_code, intent_step, intent, who, said, body";

/// Columns of a copy in the order [`copy`] reads them.
pub(super) const COPY_COLUMNS: &str = "ordinal, kind, state, due_at, retention, attempts, \
     next_attempt_at, last_error, host, client, created_at, private";

/// The part of a record that no query looks into.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    media: Cow<'a, Media<Deliverable>>,
    sha256: Cow<'a, str>,
    converted_from: Option<Cow<'a, str>>,
    // Rows of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waveform: Option<Cow<'a, Waveform>>,
    conversation_id: Option<Cow<'a, str>>,
    attempts: u32,
    post_in_doubt: bool,
    withdrawn: bool,
    possible_duplicate: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    audio_dropped: bool,
    ending: Option<Cow<'a, Ending>>,
    message_id: Option<Cow<'a, str>>,
    crashes: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    was_promised: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clip_kept_until: Option<UnixMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clip_attempts: Option<NonZeroU32>,
}

/// The column `intent`.
pub(super) fn intent_value(record: &Record, sealer: &Sealer) -> rusqlite::Result<Option<Vec<u8>>> {
    let intent = record.intent.as_ref();
    intent.map(|intent| seal::seal(sealer, Kind::Intent, &intent.private.0)).transpose()
}

/// A column of `words`: a sealed value as JSON, as [`sealed_json`] reads it.
pub(super) fn json_value<T: Serialize>(
    value: Option<&T>,
    sealer: &Sealer,
    kind: Kind,
) -> rusqlite::Result<Option<Vec<u8>>> {
    value.map(|value| seal::seal_json(sealer, kind, value)).transpose()
}

/// The column `body`.
pub(super) fn body_value(record: &Record) -> rusqlite::Result<String> {
    let body = Body {
        media: Cow::Borrowed(&record.media),
        sha256: Cow::Borrowed(&record.sha256),
        converted_from: record.converted_from.as_deref().map(Cow::Borrowed),
        waveform: record.waveform.as_ref().map(Cow::Borrowed),
        conversation_id: record.conversation_id.as_deref().map(Cow::Borrowed),
        attempts: record.attempts,
        post_in_doubt: record.post_in_doubt,
        withdrawn: record.withdrawn,
        possible_duplicate: record.possible_duplicate,
        audio_dropped: record.audio_dropped,
        was_promised: record.was_promised,
        ending: record.ending.as_ref().map(Cow::Borrowed),
        message_id: record.message_id.as_deref().map(Cow::Borrowed),
        crashes: record.crashes,
        clip_kept_until: record.clip_kept_until,
        clip_attempts: NonZeroU32::new(record.clip_attempts),
    };
    serde_json::to_string(&body)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The record of a row with [`MESSAGE_COLUMNS`], still without its copies.
pub(super) fn message(row: &Row<'_>, sealer: &Sealer) -> Result<Record, ReadError> {
    let body_text = text(row, 18)?;
    let body: Body<'_> = serde_json::from_str(body_text).map_err(unreadable("body"))?;
    Ok(Record {
        accepted_seq: count(row.get(0)?)?,
        id: MessageId::from_bytes(row.get(1)?),
        version: count(row.get(2)?)?,
        principal: Principal(row.get(3)?),
        route: named(row, 4, RouteName::parse)?,
        lane: Lane(row.get(5)?),
        stage: named(row, 6, Stage::parse)?,
        clip: named(row, 7, ClipPlace::parse)?,
        next_attempt_at: row.get::<_, Option<i64>>(8)?.map(UnixMs),
        created_at: UnixMs(row.get(9)?),
        uploaded_at: row.get::<_, Option<i64>>(10)?.map(UnixMs),
        posted_at: row.get::<_, Option<i64>>(11)?.map(UnixMs),
        expires_at: UnixMs(row.get(12)?),
        last_error_code: optional(row, 13)?.map(|_| named(row, 13, Code::parse)).transpose()?,
        intent: intent(row, sealer)?,
        envelope: sealed_json(row, 16, sealer, Kind::Envelope)?,
        transcript: sealed_json(row, 17, sealer, Kind::Transcript)?,
        media: body.media.into_owned(),
        sha256: body.sha256.into_owned(),
        converted_from: body.converted_from.map(Cow::into_owned),
        waveform: body.waveform.map(Cow::into_owned),
        conversation_id: body.conversation_id.map(Cow::into_owned),
        attempts: body.attempts,
        post_in_doubt: body.post_in_doubt,
        withdrawn: body.withdrawn,
        possible_duplicate: body.possible_duplicate,
        audio_dropped: body.audio_dropped,
        was_promised: body.was_promised,
        ending: body.ending.map(Cow::into_owned),
        message_id: body.message_id.map(Cow::into_owned),
        crashes: body.crashes,
        clip_kept_until: body.clip_kept_until,
        clip_attempts: body.clip_attempts.map_or(0, NonZeroU32::get),
        copies: Vec::new(),
    })
}

/// The copy of a row with [`COPY_COLUMNS`].
pub(super) fn copy(row: &Row<'_>, sealer: &Sealer) -> Result<Copy, ReadError> {
    Ok(Copy {
        ordinal: row.get(0)?,
        kind: named(row, 1, CopyKind::parse)?,
        state: named(row, 2, CopyState::parse)?,
        due_at: row.get::<_, Option<i64>>(3)?.map(UnixMs),
        retention: named(row, 4, Retention::parse)?,
        attempts: row.get(5)?,
        next_attempt_at: row.get::<_, Option<i64>>(6)?.map(UnixMs),
        last_error: row.get(7)?,
        host: row.get(8)?,
        client: row.get(9)?,
        created_at: UnixMs(row.get(10)?),
        private: Private(seal::open(sealer, Kind::Copy, blob(row, 11)?)?.into_owned()),
    })
}

/// A count as SQLite gives it: 64 bits with a sign.
pub(super) fn count(stored: i64) -> Result<u64, ReadError> {
    u64::try_from(stored).map_err(|_| ReadError(format!("a count is negative: {stored}")))
}

/// A count as SQLite takes it. Ours come from SQLite, so the end is never reached.
pub(super) fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn intent(row: &Row<'_>, sealer: &Sealer) -> Result<Option<Intent>, ReadError> {
    if optional(row, 14)?.is_none() {
        return Ok(None);
    }
    let step = named(row, 14, Step::parse)?;
    let private = Private(seal::open(sealer, Kind::Intent, blob(row, 15)?)?.into_owned());
    Ok(Some(Intent { step, private }))
}

fn sealed_json<T>(
    row: &Row<'_>,
    column: usize,
    sealer: &Sealer,
    kind: Kind,
) -> Result<Option<T>, ReadError>
where
    T: for<'de> Deserialize<'de>,
{
    if optional(row, column)?.is_none() {
        return Ok(None);
    }
    let value = blob(row, column)?;
    if words::is_erased(value) {
        return Ok(None);
    }
    let value = seal::open(sealer, kind, value)?;
    serde_json::from_slice(&value).map(Some).map_err(unreadable("sealed value"))
}

fn named<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> Result<T, ReadError> {
    let name = text(row, column)?;
    parse(name).ok_or_else(|| ReadError(format!("column {column} holds unknown name {name:?}")))
}

fn optional<'row>(
    row: &'row Row<'_>,
    column: usize,
) -> Result<Option<rusqlite::types::ValueRef<'row>>, ReadError> {
    let value = row.get_ref(column)?;
    Ok((value != rusqlite::types::ValueRef::Null).then_some(value))
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, ReadError> {
    row.get_ref(column)?.as_str().map_err(unreadable("text"))
}

fn blob<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row [u8], ReadError> {
    row.get_ref(column)?.as_blob().map_err(unreadable("blob"))
}

// The values themselves may be confidential: only their kind goes into the error.
fn unreadable<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> ReadError {
    move |_| ReadError(format!("a stored {what} does not parse"))
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> ReadError {
        ReadError(error.to_string())
    }
}
