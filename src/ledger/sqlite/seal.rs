//! Confidential values in rows: sealed, each as what it is.

use std::borrow::Cow;

use rusqlite::Error;

use crate::ledger::ReadError;
use crate::sealing::Sealer;

/// What a sealed value is; it can be read as nothing else.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Intent,
    Envelope,
    Transcript,
    Copy,
    Reply,
}

impl Kind {
    fn context(self) -> &'static [u8] {
        match self {
            Kind::Intent => b"intent",
            Kind::Envelope => b"envelope",
            Kind::Transcript => b"transcript",
            Kind::Copy => b"copy",
            Kind::Reply => b"reply",
        }
    }
}

/// The stored form of a value.
pub(super) fn seal(sealer: &Sealer, kind: Kind, value: &[u8]) -> Result<Vec<u8>, Error> {
    let sealed = sealer.seal(kind.context(), value);
    sealed.map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}

/// The stored form of a value as JSON.
pub(super) fn seal_json<T: serde::Serialize>(
    sealer: &Sealer,
    kind: Kind,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_vec(value)
        .map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))?;
    seal(sealer, kind, &json)
}

/// The value of a stored form.
pub(super) fn open<'a>(
    sealer: &Sealer,
    kind: Kind,
    sealed: &'a [u8],
) -> Result<Cow<'a, [u8]>, ReadError> {
    sealer.open(kind.context(), sealed).map_err(|error| ReadError(error.to_string()))
}
