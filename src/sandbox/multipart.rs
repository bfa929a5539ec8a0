//! The one multipart form the upload takes: a single part `file`, nothing else (RFC 7578).

use bytes::Bytes;

use super::wire::Problem;

/// The part `file`.
pub(super) struct FilePart {
    pub media_type: String,
    pub disposition: String,
    pub body: Bytes,
}

/// Takes the form apart. `content_type` is that of the request and carries the boundary.
pub(super) fn single_file(content_type: &str, form: &Bytes) -> Result<FilePart, Problem> {
    let malformed = |what: &str| Problem::bad_request(format!("multipart body: {what}"));
    let boundary = parameter(content_type, "boundary")
        .filter(|boundary| (1..=70).contains(&boundary.len()))
        .ok_or_else(|| malformed("no boundary of 1 to 70 characters"))?;
    let opening = format!("--{boundary}\r\n");
    let closing = format!("\r\n--{boundary}--");
    if !form.starts_with(opening.as_bytes()) {
        return Err(malformed("it does not begin with its boundary"));
    }
    let trimmed = form.strip_suffix(b"\r\n").unwrap_or(form);
    if !trimmed.ends_with(closing.as_bytes()) {
        return Err(malformed("it does not end with its boundary"));
    }
    let head_at = opening.len();
    let end = trimmed.len() - closing.len();
    let head_length = form
        .get(head_at..end)
        .and_then(|part| find(part, b"\r\n\r\n"))
        .ok_or_else(|| malformed("a part without a blank line after its headers"))?;
    let head = std::str::from_utf8(&form[head_at..head_at + head_length])
        .map_err(|_| malformed("part headers that are not UTF-8"))?;
    let body = form.slice(head_at + head_length + 4..end);
    if find(&body, &closing.as_bytes()[..closing.len() - 2]).is_some() {
        return Err(malformed("more than one part"));
    }
    let header = |name: &str| {
        head.split("\r\n").find_map(|line| {
            let (named, value) = line.split_once(':')?;
            named.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition")
        .filter(|value| parameter(value, "name") == Some("file"))
        .ok_or_else(|| malformed("the part is not named file"))?;
    let media_type =
        header("content-type").ok_or_else(|| malformed("the part has no content-type"))?;
    Ok(FilePart { media_type, disposition, body })
}

/// The parameter `name` of a header value, unquoted. Values with a semicolon are not understood.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|pair| {
        let (named, text) = pair.split_once('=')?;
        let text = text.trim();
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        named.trim().eq_ignore_ascii_case(name).then_some(bare)
    })
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}
