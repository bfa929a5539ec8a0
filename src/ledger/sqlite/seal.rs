//! How confidential values are kept: one byte that names a key, then the value under that key.
//!
//! Key 0 is "not encrypted", the only one so far. The byte is there from the first schema on, so
//! that encryption can begin without rewriting a row.

use crate::ledger::ReadError;

const PLAIN: u8 = 0;

/// The stored form of a value.
pub(super) fn seal(value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(value.len() + 1);
    sealed.push(PLAIN);
    sealed.extend_from_slice(value);
    sealed
}

/// The stored form of a value as JSON.
pub(super) fn seal_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, rusqlite::Error> {
    let mut sealed = vec![PLAIN];
    serde_json::to_writer(&mut sealed, value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    Ok(sealed)
}

/// The value of a stored form; a key this program does not have is an error, never a guess.
pub(super) fn open(sealed: &[u8]) -> Result<&[u8], ReadError> {
    match sealed.split_first() {
        Some((&PLAIN, value)) => Ok(value),
        Some((key, _)) => Err(ReadError(format!("a value is sealed with unknown key {key}"))),
        None => Err(ReadError("a sealed value is empty".to_owned())),
    }
}
