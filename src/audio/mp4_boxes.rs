//! ISO base media boxes (ISO/IEC 14496-12 §4.2): a size, four letters, and whatever is inside.

/// The longest header that matters here: size and letters, and the long size.
pub(super) const HEADER_BYTES_MAX: usize = 16;

/// The header of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BoxHeader {
    pub(super) kind: [u8; 4],
    pub(super) header_bytes: usize,
    /// `None`: the box goes on to the end of the file.
    pub(super) body_bytes: Option<u64>,
}

/// Reads the header of a box. `Ok(None)`: more bytes are needed. `Err`: the size it states, which
/// is less than that of the header.
pub(super) fn header(bytes: &[u8]) -> Result<Option<BoxHeader>, u64> {
    let Some(head) = bytes.first_chunk::<8>() else { return Ok(None) };
    let kind = [head[4], head[5], head[6], head[7]];
    let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    let (size, header_bytes) = match size {
        0 => return Ok(Some(BoxHeader { kind, header_bytes: 8, body_bytes: None })),
        1 => {
            let Some(long) = bytes.get(8..16).and_then(<[u8]>::first_chunk::<8>) else {
                return Ok(None);
            };
            (u64::from_be_bytes(*long), 16)
        }
        size => (size, 8),
    };
    let body_bytes = size.checked_sub(header_bytes as u64).ok_or(size)?;
    Ok(Some(BoxHeader { kind, header_bytes, body_bytes: Some(body_bytes) }))
}

/// The boxes inside a body that lies in memory whole; ends where they make no sense.
pub(super) fn children(mut body: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let BoxHeader { kind, header_bytes, body_bytes } = header(body).ok()??;
        let after = &body[header_bytes..];
        let size = match body_bytes {
            Some(size) => usize::try_from(size).ok()?,
            None => after.len(),
        };
        let (child, rest) = after.split_at_checked(size)?;
        body = rest;
        Some((kind, child))
    })
}

/// The first box of this kind.
pub(super) fn child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(body).find(|(found, _)| found == kind).map(|(_, child)| child)
}

/// The box at the end of a path of kinds, the first of each.
pub(super) fn descend<'a>(body: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(body, |body, kind| child(body, kind))
}

/// A number of four bytes at a place in a box.
pub(super) fn number_32(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// A number of eight bytes at a place in a box.
pub(super) fn number_64(body: &[u8], at: usize) -> Option<u64> {
    body.get(at..)?.first_chunk().map(|eight| u64::from_be_bytes(*eight))
}

/// A number whose width depends on the version of the box, as times have it: the value, and where
/// the next field is.
pub(super) fn versioned(body: &[u8], at: usize) -> Option<(u64, usize)> {
    match body.first()? {
        0 => Some((u64::from(number_32(body, at)?), at + 4)),
        _ => Some((number_64(body, at)?, at + 8)),
    }
}
