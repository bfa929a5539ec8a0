//! Half characters in JSON: what some programs write when they cut a text in the middle of an
//! emoji. RFC 8259 §8.2 lets them stand and leaves open what they mean; a reader that knows only
//! Unicode texts refuses the whole body.

/// The same JSON with U+FFFD for each escaped surrogate that is not one of a pair.
pub(super) fn without_lone_surrogates(json: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(at);
        whole.extend_from_slice(before);
        let taken = match (escaped(escape), escape.get(6..).and_then(escaped)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                whole.extend_from_slice(b"\\uFFFD");
                rest = &escape[6..];
                continue;
            }
            // Another escape, whose second byte may be a backslash.
            _ => escape.len().min(2),
        };
        whole.extend_from_slice(&escape[..taken]);
        rest = &escape[taken..];
    }
    whole.extend_from_slice(rest);
    whole
}

/// The number of an escape, `\u` and four hexadecimal digits, that begins here.
fn escaped(bytes: &[u8]) -> Option<u16> {
    let hex = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits = hex.iter().all(u8::is_ascii_hexdigit).then_some(hex)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::without_lone_surrogates;

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        for (written, read) in [
            (r#""a""#, "a"),
            (r#""\ud83d\ude00!""#, "\u{1F600}!"),
            (r#""x\ud83d""#, "x\u{FFFD}"),
            (r#""\ude00x""#, "\u{FFFD}x"),
            (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}\u{1F600}"),
            (r#""\ud83d\n""#, "\u{FFFD}\n"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\\\ud83d""#, "\\\u{FFFD}"),
            (r#""\u00e9""#, "\u{E9}"),
        ] {
            let json = without_lone_surrogates(written.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), read, "{written}");
        }
        for cut in [r"\", r"\u", r"\ud83", r"\ud83d\u", r"\ud83d\ude0"] {
            assert!(!without_lone_surrogates(cut.as_bytes()).is_empty());
        }
    }
}
