//! EBML, the format below WebM and Matroska (RFC 8794): elements with an id and a size, both of
//! variable length. Ids are taken with their length marker, as specifications print them.

/// The longest header of an element: four bytes of id and eight of size.
pub(super) const HEADER_BYTES_MAX: usize = 12;

/// The header of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) id: u32,
    /// `None`: the element goes on until something comes that cannot be in it.
    pub(super) body_bytes: Option<u64>,
    pub(super) header_bytes: usize,
}

/// What the first bytes of an element tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Whole(Element),
    /// More bytes are needed.
    Part,
    /// No element begins so.
    Invalid,
}

/// Reads the header of an element.
pub(super) fn header(bytes: &[u8]) -> Header {
    let Some(&first) = bytes.first() else { return Header::Part };
    let id_bytes = first.leading_zeros() as usize + 1;
    if id_bytes > 4 {
        return Header::Invalid;
    }
    let Some(id) = bytes.get(..id_bytes) else { return Header::Part };
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    match number(&bytes[id_bytes..]) {
        Number::Part => Header::Part,
        Number::Invalid => Header::Invalid,
        Number::Whole { value, bytes } => {
            Header::Whole(Element { id, body_bytes: value, header_bytes: id_bytes + bytes })
        }
    }
}

/// A number of variable length; all ones mean "unknown".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Whole { value: Option<u64>, bytes: usize },
    Part,
    Invalid,
}

/// Reads a number of one to eight bytes.
pub(super) fn number(bytes: &[u8]) -> Number {
    let Some(&first) = bytes.first() else { return Number::Part };
    let count = first.leading_zeros() as usize + 1;
    if count > 8 {
        return Number::Invalid;
    }
    let Some(bytes) = bytes.get(..count) else { return Number::Part };
    let raw = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let bits = 7 * count as u32;
    let all_ones = (1 << bits) - 1;
    let value = raw & all_ones;
    Number::Whole { value: (value != all_ones).then_some(value), bytes: count }
}

/// The elements inside a body that lies in memory whole; ends where they make no sense.
pub(super) fn children(mut body: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let Header::Whole(element) = header(body) else { return None };
        let size = usize::try_from(element.body_bytes?).ok()?;
        let (child, rest) = body[element.header_bytes..].split_at_checked(size)?;
        body = rest;
        Some((element.id, child))
    })
}

/// An unsigned integer of at most eight bytes.
pub(super) fn unsigned(body: &[u8]) -> u64 {
    body.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::{Element, Header, Number, header, number};

    #[test]
    fn numbers_have_their_length_in_the_first_byte() {
        assert_eq!(number(&[0x81]), Number::Whole { value: Some(1), bytes: 1 });
        assert_eq!(number(&[0x40, 0x02, 9]), Number::Whole { value: Some(2), bytes: 2 });
        assert_eq!(number(&[0xFF]), Number::Whole { value: None, bytes: 1 });
        let unknown = [1, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(number(&unknown), Number::Whole { value: None, bytes: 8 });
        assert_eq!(number(&unknown[..7]), Number::Part);
        assert_eq!(number(&[0]), Number::Invalid);
        assert_eq!(
            header(&[0x1F, 0x43, 0xB6, 0x75, 0xFF]),
            Header::Whole(Element { id: 0x1F43_B675, body_bytes: None, header_bytes: 5 })
        );
        assert_eq!(header(&[0x08, 0, 0]), Header::Invalid);
    }
}
